package family

import (
	"cmp"
	"fmt"
	"strings"

	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// tensor fetches a key into p: as used where it is there, else as missing.
func (b *builder) tensor(p *part, key string) *op.Param {
	t, ok := b.maybe(p, key)
	if !ok {
		p.missing = append(p.missing, b.whole(b.fill(key)))
		return nil
	}
	return t
}

func (b *builder) maybe(p *part, key string) (*op.Param, bool) {
	if key == "" {
		return nil, false
	}
	t, ok := b.lookup(b.fill(key))
	if !ok {
		return nil, false
	}
	p.used = append(p.used, t.Key)
	return t, true
}

func (b *builder) source(p *part, s source) *op.Param {
	if s.call != nil {
		return b.generate(p, s.call)
	}
	return b.tensor(p, s.key)
}

// forms are weights that are computed before use, by what stands in the place of weight.
var forms = []call{
	{name: "normed", args: []string{"weight_v", "weight_g"}},
	{name: "normed", args: []string{"parametrizations.weight.original1", "parametrizations.weight.original0"}},
	{name: "spectral", args: []string{"weight_orig", "weight_u", "weight_v"}},
	{name: "spectral", args: []string{"parametrizations.weight.original", "parametrizations.weight.0._u", "parametrizations.weight.0._v"}},
	{name: "normed", args: []string{"theta", "r"}},
}

// form is the call that computes a convolution's weight that is not there, from keys that
// are.
func (b *builder) form(n *convNode) *call {
	key := b.fill(n.weight.key)
	module, ok := strings.CutSuffix(key, "weight")
	if _, there := b.lookup(key); there || !ok || module != "" && !strings.HasSuffix(module, ".") {
		return nil
	}
	for _, f := range forms {
		c := &call{name: f.name}
		for _, name := range f.args {
			if _, there := b.lookup(module + name); there {
				c.args = append(c.args, literal(module+name))
			}
		}
		if len(c.args) == len(f.args) {
			if n.transposed && c.name == "spectral" {
				c.args = append(c.args, "1")
			}
			return c
		}
	}
	return nil
}

// generate calls a kernel generator on tensors that are there.
func (b *builder) generate(p *part, c *call) *op.Param {
	g := generators[c.name]
	args := make([]argument, 0, len(c.args))
	words := make([]string, len(c.args))
	for k, word := range c.args {
		a := argument{word: b.fill(word)}
		words[k] = QuoteKey(a.word)
		switch g.kind(k) {
		case required, like:
			a.tensor = b.tensor(p, word)
		case optional:
			a.tensor, _ = b.maybe(p, word)
		}
		args = append(args, a)
	}
	if len(p.missing) > 0 {
		return nil
	}
	text := c.name + "(" + strings.Join(words, ", ") + ")"
	t, err := g.tensor(args)
	if err != nil {
		p.err = fmt.Errorf("%s: %w", text, err)
		return nil
	}
	return &op.Param{Key: text, Tensor: t}
}

// Computed is the tensor that a generator makes of one that is stored, whose key is as the root sees it.
func Computed(name string, of op.Param) (op.Param, error) {
	t, err := generators[name].tensor([]argument{{word: of.Key, tensor: &of}})
	return op.Param{Key: name + "(" + QuoteKey(of.Key) + ")", Tensor: t}, err
}

// tensor is what a generator makes of its arguments.
func (g *generator) tensor(args []argument) (tensor.Tensor, error) {
	t, err := g.computed(args)
	if err == nil && g.set != nil {
		t.Computed.Near = g.near
		t.Computed.Set = func(wanted tensor.Tensor, now func(op.Param) tensor.Tensor) ([]op.Param, error) {
			return g.set(args, wanted, now)
		}
	}
	return t, err
}

func (g *generator) computed(args []argument) (tensor.Tensor, error) {
	if g.scaled != nil {
		s, err := g.scaled(args)
		if err != nil {
			return tensor.Tensor{}, err
		}
		return s.tensor(), nil
	}
	shape, f, err := g.prepare(args)
	if err != nil {
		return tensor.Tensor{}, err
	}
	of := tensor.Invalid
	for _, a := range args {
		if a.tensor != nil {
			of = tensor.Wider(of, a.tensor.Type)
		}
	}
	how := &tensor.Computation{Type: cmp.Or(of, tensor.F32)}
	if g.roundings != nil {
		how.Steps, how.Sums = g.roundings(args)
	}
	t := tensor.Later(tensor.F64, shape, func() ([]float64, error) {
		v := make([][]float64, len(args))
		for k, a := range args {
			if a.tensor == nil || g.kind(k) == like {
				continue
			}
			var err error
			if v[k], err = a.tensor.Floats(); err != nil {
				return nil, err
			}
		}
		return f(v), nil
	})
	t.Computed = how
	return t, nil
}
