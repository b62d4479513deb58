package family

import (
	"fmt"
	"strconv"
	"strings"

	"repfuse/internal/op"
	"repfuse/internal/text"
)

// Format writes an expression in the notation that Parse reads, with keys relative
// to a module, of which they all are, and everything that was decided (ε, dilation, groups) spelled out.
func Format(e op.Expr, module string) string {
	keys := map[string]bool{}
	for p := range op.Params(e) {
		keys[p.Key] = true
	}
	return FormatAmong(keys, e, module)
}

// FormatAmong is Format where a checkpoint has other keys than those that e reads:
// conv(MODULE) reads a bias wherever there is one.
func FormatAmong(keys map[string]bool, e op.Expr, module string) string {
	return formatter{module, keys}.expr(e, false)
}

type formatter struct {
	below string // the module
	keys  map[string]bool
}

func (f formatter) expr(e op.Expr, nested bool) string {
	switch e := e.(type) {
	case op.Identity:
		if o := option("stride", e.Stride) + option("padding", e.Padding) + mode("", e.Plane); o != "" {
			return "x(" + o[2:] + ")"
		}
		return "x"
	case op.Conv:
		return f.conv(e)
	case op.BatchNorm:
		return f.norm(e)
	case op.Scale:
		return "scale(" + f.vector(e.By, e.Factor) + ")"
	case op.Shift:
		return "shift(" + f.vector(e.By, e.Term) + ")"
	case op.AvgPool:
		s := "avgpool(" + extents(e.Kernel) + option("stride", e.Stride) + option("padding", e.Padding) + option("dilation", e.Dilation) + mode("", e.Plane)
		if e.ExcludesPadding {
			s += ", uncounted"
		}
		return s + ")"
	case op.Select:
		if e.Apart {
			return fmt.Sprintf("channels(%d, %d, %d, apart)", e.From, e.To, e.Of)
		}
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
	weight, bias := f.key(c.Weight), ""
	if c.Bias != nil {
		bias = f.key(*c.Bias)
	}
	module, named := f.module(c.Weight, "weight")
	named = named && f.sibling(module, "bias", c.Bias)
	s := "kernel(" + weight
	switch {
	case named && c.Transposed:
		s = "convt(" + Quote(module)
	case named:
		s = "conv(" + Quote(module)
	case bias != "":
		s += ", " + f.word(*c.Bias, isOption)
	}
	if named && bias == "" {
		s += ", unbiased"
	}
	if !named && c.Transposed {
		s += ", transposed"
	}
	s += option("stride", c.Stride) + option("padding", c.Padding) + option("dilation", c.Dilation) + mode(c.PaddingMode, c.Plane)
	if c.Groups > 0 {
		s += ", groups " + strconv.Itoa(c.Groups)
	}
	return s + ")"
}

// norm is bn(MODULE), where one module has all four vectors under their names.
func (f formatter) norm(b op.BatchNorm) string {
	if mean, by, ok := repeated(b.Mean); ok {
		return fmt.Sprintf("bn(%s, eps %s, repeat %s)", Quote(Stem(strings.TrimSuffix(strings.TrimSuffix(mean, "running_mean"), "_mean"))), number(b.Eps), by)
	}
	for _, names := range [][2]string{{"running_mean", "running_var"}, {"_mean", "_variance"}} {
		module, ok := f.module(*b.Mean, names[0])
		if ok && f.sibling(module, names[1], b.Var) && f.sibling(module, "weight", b.Gamma) && f.sibling(module, "bias", b.Beta) {
			return "bn(" + Quote(module) + ", eps " + number(b.Eps) + ")"
		}
	}
	var words []string
	for _, v := range []*op.Param{b.Mean, b.Var, b.Gamma, b.Beta} {
		if v != nil {
			words = append(words, f.word(*v, func(word string) bool { return word == "eps" }))
		}
	}
	return fmt.Sprintf("norm(%s, eps %s)", strings.Join(words, ", "), number(b.Eps))
}

// sibling reports whether MODULE has a vector under a name, or none where v is none.
func (f formatter) sibling(module, name string, v *op.Param) bool {
	key := Whole(f.below, Child(module, name))
	return v == nil && !f.keys[key] || v != nil && v.Key == key
}

// repeated takes apart what bn(MODULE, repeat KEY) makes of a mean: repeat(MEAN, KEY).
func repeated(mean *op.Param) (key, by string, ok bool) {
	if mean.Computed == nil {
		return "", "", false
	}
	p := &parser{text: mean.Key}
	p.next()
	s := p.source()
	if p.err != nil || s.call == nil || s.call.name != "repeat" {
		return "", "", false
	}
	return plain(s.call.args[0]), QuoteKey(plain(s.call.args[1])), true
}

// module is the MODULE of which a key is the child of a name; ok reports whether there
// is one.
func (f formatter) module(p op.Param, name string) (module string, ok bool) {
	rest, below := Relative(f.below, p.Key)
	prefix, ok := strings.CutSuffix(rest, name)
	module = Stem(prefix)
	ok = ok && below && p.Computed == nil && Child(module, name) == rest
	return module, ok && (name != "weight" || prefix == "" || strings.HasSuffix(prefix, "."))
}

func (f formatter) vector(p *op.Param, literal float64) string {
	if p == nil {
		return number(literal)
	}
	return f.word(*p, func(word string) bool {
		_, err := strconv.ParseFloat(word, 64)
		return err == nil
	})
}

// word is a key where some words mean something else.
func (f formatter) word(p op.Param, taken func(word string) bool) string {
	word := f.key(p)
	if taken(word) {
		return strconv.Quote(word)
	}
	return word
}

// key is a stored tensor's key as the block's module sees it, and the call of a computed
// one, which is relative already.
func (f formatter) key(p op.Param) string {
	if p.Computed != nil {
		return p.Key
	}
	rest, _ := Relative(f.below, p.Key)
	return QuoteKey(rest)
}

// option is one of one number an axis, where somebody gave it.
func option(name string, k []int) string {
	if len(k) == 0 {
		return ""
	}
	return ", " + name + " " + extents(k)
}

// mode is the option of what stands outside the image, where it is not zeros.
func mode(name string, plane bool) string {
	if plane {
		name = "plane"
	}
	if name == "" {
		return ""
	}
	return ", mode " + name
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

func extents(k []int) string { return text.Join(k, "x") }
