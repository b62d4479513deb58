package onnx

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"repfuse/internal/graph"
	"repfuse/internal/hint"
	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// exporterFlags is what has an exporter keep the names of the state dict.
const exporterFlags = "torch.onnx.export(…, training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False) keeps the keys"

// Bind has the net's steps read the tensors of a checkpoint, by the names of the
// initializers, or where an exporter gave one a name of its own, by its elements, if one
// tensor alone has them. A convolution of which neither is found is an error, as its weights were
// computed by the exporter; another step becomes opaque.
func (t *Net) Bind(tensors []tensor.Named) error {
	b := &binding{have: make(map[string]tensor.Named, len(tensors)), tensors: tensors}
	for _, s := range tensors {
		b.have[s.Key] = s
	}
	for k := range t.Nodes {
		n := &t.Nodes[k]
		if n.Op == nil {
			continue
		}
		e, err := op.Rebind(n.Op, b.find)
		var lost *lostError
		switch {
		case err == nil:
			n.Op = e
		case !errors.As(err, &lost) || n.Type == "Conv" || n.Type == "ConvTranspose":
			return fmt.Errorf("%s: %w", t.Of[k][0], err)
		default:
			*n = graph.Node{Name: n.Name, Type: n.Type, Inputs: n.Inputs, Outputs: n.Outputs, Why: "with tensors that have no key of the checkpoint"}
		}
	}
	return nil
}

// binding finds the tensors of a checkpoint.
type binding struct {
	have    map[string]tensor.Named
	tensors []tensor.Named
}

// lostError says that a tensor of the graph is none of the checkpoint.
type lostError struct{ key string }

func (e *lostError) Error() string {
	return fmt.Sprintf("%q is no key of the checkpoint, and its elements are not those of one tensor alone", e.key)
}

func (b *binding) find(p op.Param) (op.Param, error) {
	s, ok := b.have[p.Key]
	if !ok {
		if s, ok = b.byElements(p); !ok {
			return p, hint.Add(&lostError{p.Key}, exporterFlags)
		}
	}
	if len(p.Shape) == 1 && s.Len() == p.Len() {
		s.Shape = p.Shape
	}
	if !slices.Equal(s.Shape, p.Shape) {
		return p, fmt.Errorf("%s has shape %v, and %v in the graph", p.Key, s.Shape, p.Shape)
	}
	return s, nil
}

// byElements is the one tensor of the checkpoint that has the elements of another.
func (b *binding) byElements(p op.Param) (found tensor.Named, ok bool) {
	want, err := p.ReadAll()
	for _, s := range b.tensors {
		if err != nil || s.Type != p.Type || !slices.Equal(s.Shape, p.Shape) {
			continue
		}
		if got, err := s.ReadAll(); err == nil && bytes.Equal(got, want) {
			if ok {
				return found, false
			}
			found, ok = s, true
		}
	}
	return found, ok
}

// ReadElsewhere is the names of the initializers that nodes read which are no step of a
// layer.
func (t *Net) ReadElsewhere() map[string]bool {
	all := map[string]bool{}
	for k, n := range t.Nodes {
		if n.Kind != graph.Opaque {
			continue
		}
		for _, of := range t.Of[k] {
			for _, v := range of.In {
				if v != nil && v.Tensor != nil {
					all[v.Tensor.Key] = true
				}
			}
		}
	}
	return all
}
