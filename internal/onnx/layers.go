package onnx

import (
	"slices"

	"repfuse/internal/graph"
	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// Fused is a region as the nodes that take its place.
type Fused struct {
	Layer
	Region graph.Region
	// Weight and Bias are the keys of the tensors that the layer reads; Bias is "" where
	// there is none.
	Weight, Bias string
	// Rounded says that the file's own constants were computed or compared in its
	// precision: the layer is equivalent at best.
	Rounded bool
}

// Layers writes regions of the net as nodes. New names differ from all in the model.
func (t *Net) Layers(regions []graph.Region, all Names) []Fused {
	out := make([]Fused, len(regions))
	for k, r := range regions {
		out[k] = t.layer(r, all)
	}
	return out
}

func (t *Net) layer(r graph.Region, all Names) Fused {
	f := Fused{Region: r}
	f.Reads = []*Value{t.Vals[r.Anchor]}
	for _, k := range r.Nodes {
		f.Rounded = f.Rounded || t.Rounded[k]
		if !slices.Contains(r.Moves, k) {
			f.Gone = append(f.Gone, t.Of[k]...)
		}
	}
	out, place := t.Vals[r.Sink], f.Gone[len(f.Gone)-1]
	for _, k := range slices.Backward(r.Moves) { // each makes what the next one reads, which keeps its name
		move := t.Of[k][0]
		if move.Out[0] != out {
			f.Gone = append(f.Gone, move)
			f.Nodes = append(f.Nodes, NewNode{At: move, Name: move.Name, Op: move.Op.Name, In: move.in, Outs: []string{out.Name}, Like: move})
			for _, v := range move.In {
				if v != nil {
					f.Reads = append(f.Reads, v)
				}
			}
		}
		out = move.In[0]
		place = out.Maker
	}
	f.Nodes = append(f.Nodes, t.nodes(&f, out, place, all)...)
	return f
}

// nodes writes the layer of a region, which makes the value out in the place of a node.
func (t *Net) nodes(f *Fused, out *Value, place *Node, all Names) []NewNode {
	r := f.Region
	typ, name := t.main(r)
	sink := out.Name
	f.Weight = all.fresh(sink + ".weight")
	f.Tensors = []tensor.Spec{{Key: f.Weight, Type: typ, Shape: r.Form.WeightShape()}}
	n := NewNode{At: place, Name: name, In: []string{f.Reads[0].Name, f.Weight}, Outs: []string{sink}}
	if r.Form.Bias {
		f.Bias = all.fresh(sink + ".bias")
		f.Tensors = append(f.Tensors, tensor.Spec{Key: f.Bias, Type: typ, Shape: []int{r.Form.Out}})
		n.In = append(n.In, f.Bias)
	}
	rank := r.Form.Rank()
	switch {
	case rank > 0 && r.Like >= 0:
		of := t.Of[r.Like]
		n.Op, n.Like = "ConvTranspose", of[len(of)-1]
	case rank > 0:
		n.Op = "Conv"
		n.Attrs = []NewAttr{
			{"dilations", r.Form.Dilation(), false}, {"group", []int{r.Form.Groups}, true}, {"kernel_shape", r.Form.Kernel(), false},
			{"pads", slices.Concat(r.Begin, r.End), false}, {"strides", strideOf(r.Form), false},
		}
	case r.Axis == graph.LastAxis || f.Bias == "" && r.Form.Transposed:
		n.Op = "MatMul"
		if f.Bias != "" { // which adds nothing by itself
			n.In, n.Outs = n.In[:2], []string{all.fresh(sink + ".product")}
			return []NewNode{n, {At: place, Op: "Add", Name: all.fresh(name + ".bias"), In: []string{n.Outs[0], f.Bias}, Outs: []string{sink}}}
		}
	default:
		n.Op = "Gemm"
		if !r.Form.Transposed {
			n.Attrs = []NewAttr{{"transB", []int{1}, true}}
		}
		if t.facts.m.Opset < 7 {
			n.Attrs = append(n.Attrs, NewAttr{"broadcast", []int{1}, true})
		}
	}
	return []NewNode{n}
}

func strideOf(f op.Form) []int {
	if f.Stride == nil {
		return slices.Repeat([]int{1}, f.Rank())
	}
	return f.Stride
}

// main is the element type of a region's layers, which all have one, and the name of the
// node with the largest weight.
func (t *Net) main(r graph.Region) (typ tensor.Type, name string) {
	most := -1
	for _, k := range r.Nodes {
		if t.Nodes[k].Kind != graph.Linear {
			continue
		}
		op.Walk(t.Nodes[k].Op, func(e op.Expr) {
			if c, ok := e.(op.Conv); ok && c.Weight.Len() > most {
				most, typ = c.Weight.Len(), c.Weight.Type
				name = t.Of[k][len(t.Of[k])-1].Name
			}
		})
	}
	return typ, name
}
