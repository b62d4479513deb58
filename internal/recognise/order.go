package recognise

import (
	"fmt"

	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// againstOrder is why the order in which modules were registered speaks against a
// match: a batch norm that it puts behind a layer was registered before that layer, as in a
// pre-activation block. A module is nearly always registered where it is used.
func (m *matcher) againstOrder(c *candidate) error {
	if !m.ordered && len(m.seen.place) == 0 {
		return nil
	}
	for _, made := range c.Made {
		var before error
		op.Walk(made.Expr, func(e op.Expr) {
			parts, _ := e.(op.Seq)
			for k := 1; k < len(parts); k++ {
				layer, isLayer := parts[k-1].(op.Conv)
				norm, isNorm := parts[k].(op.BatchNorm)
				if isLayer && isNorm && before == nil && m.before(norm.Mean, &layer.Weight) {
					before = fmt.Errorf("%s was registered before %s, so it is not the norm behind it", norm.Mean.Key, layer.Weight.Key)
				}
			}
		})
		if before != nil {
			return before
		}
	}
	return nil
}

// before reports whether one stored tensor comes before another: in the checkpoint, or else its module by
// the facts.
func (m *matcher) before(a, b *op.Param) bool {
	if !m.ordered {
		first, known := m.seen.place[tensor.Parent(a.Key)]
		second, too := m.seen.place[tensor.Parent(b.Key)]
		return known && too && first < second
	}
	first, second := m.keys.root.find(a.Key), m.keys.root.find(b.Key)
	return first != nil && second != nil && first.place < second.place
}
