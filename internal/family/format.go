package family

import (
	"fmt"
	"strconv"
	"strings"

	"repfuse/internal/op"
)

// Format writes an expression in the notation that Parse reads, with keys relative
// to a module and everything that was decided (ε, dilation, groups) spelled out.
func Format(e op.Expr, module string) string {
	return formatter{module}.expr(e, false)
}

type formatter struct{ module string }

func (f formatter) expr(e op.Expr, nested bool) string {
	switch e := e.(type) {
	case op.Identity:
		if o := option("stride", e.Stride) + option("padding", e.Padding); o != "" {
			return "x(" + o[2:] + ")"
		}
		return "x"
	case op.Window:
		return e.String()
	case op.Conv:
		return f.conv(e)
	case op.BatchNorm:
		mean, repeat := f.relative(e.Mean.Key), ""
		if args, ok := strings.CutPrefix(mean, "repeat("); ok {
			mean, repeat, _ = strings.Cut(strings.TrimSuffix(args, ")"), ", ")
			repeat = ", repeat " + repeat
		}
		module := strings.TrimSuffix(strings.TrimSuffix(mean, "running_mean"), "_mean")
		return fmt.Sprintf("bn(%s, eps %s%s)", stem(module), number(e.Eps), repeat)
	case op.Scale:
		return "scale(" + f.vector(e.By, e.Factor) + ")"
	case op.Shift:
		return "shift(" + f.vector(e.By, e.Term) + ")"
	case op.AvgPool:
		s := "avgpool(" + extents(e.Kernel) + option("stride", e.Stride) + option("padding", e.Padding) + option("dilation", e.Dilation)
		if e.ExcludesPadding {
			s += ", uncounted"
		}
		return s + ")"
	case op.Select:
		return fmt.Sprintf("channels(%d, %d, %d)", e.From, e.To, e.Of)
	case op.Concat:
		return "concat(" + f.join(e, ", ", false) + ")"
	case op.Seq:
		return f.join(e, " > ", true)
	case op.Sum:
		if nested {
			return "(" + f.join(e, " + ", false) + ")"
		}
		return f.join(e, "\n+ ", false)
	default:
		panic(fmt.Sprintf("family: no notation for %T", e))
	}
}

func (f formatter) join(parts []op.Expr, sep string, nested bool) string {
	s := make([]string, len(parts))
	for k, e := range parts {
		s[k] = f.expr(e, nested)
	}
	return strings.Join(s, sep)
}

func (f formatter) conv(c op.Conv) string {
	weight := f.relative(c.Weight.Key)
	module := strings.TrimSuffix(weight, "weight")
	named := weight == "weight" || strings.HasSuffix(weight, ".weight")
	named = named && (c.Bias == nil || f.relative(c.Bias.Key) == module+"bias")
	s := "kernel(" + weight
	switch {
	case c.Transposed:
		s = "convt(" + stem(module)
	case named:
		s = "conv(" + stem(module)
	case c.Bias != nil:
		s += ", " + f.relative(c.Bias.Key)
	}
	if named && c.Bias == nil {
		s += ", unbiased"
	}
	s += option("stride", c.Stride) + option("padding", c.Padding) + option("dilation", c.Dilation)
	if c.PaddingMode != "" {
		s += ", mode " + c.PaddingMode
	}
	if c.Groups > 0 {
		s += ", groups " + strconv.Itoa(c.Groups)
	}
	return s + ")"
}

func (f formatter) vector(p *op.Param, literal float64) string {
	if p == nil {
		return number(literal)
	}
	return f.relative(p.Key)
}

// relative is a key as the block's module sees it. What a generator made has its
// call for a key, which is relative already.
func (f formatter) relative(key string) string { return Relative(f.module, key) }

// stem is what child joins to a key prefix that ends in a dot or an underscore.
func stem(prefix string) string {
	if prefix == "" {
		return "."
	}
	if strings.HasSuffix(prefix, "_.") {
		return prefix
	}
	return strings.TrimSuffix(prefix, ".")
}

// option is one of one number an axis, where somebody gave it.
func option(name string, k []int) string {
	if len(k) == 0 {
		return ""
	}
	return ", " + name + " " + extents(k)
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

func extents(k []int) string {
	s := make([]string, len(k))
	for a, n := range k {
		s[a] = strconv.Itoa(n)
	}
	return strings.Join(s, "x")
}
