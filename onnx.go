package repfuse

import (
	"fmt"
	"maps"

	"repfuse/internal/checkpoint"
	"repfuse/internal/graph"
	"repfuse/internal/hint"
	"repfuse/internal/onnx"
	"repfuse/internal/op"
	"repfuse/internal/plan"
	"repfuse/internal/regions"
	"repfuse/internal/tensor"
	"repfuse/internal/verify"
)

// model plans the network of an .onnx: its own graph shows the layers, and what they do
// not read stays.
func (r *Recognition) model(s *source) (*plan.Plan, error) {
	if r.given() {
		return nil, hint.Add(fmt.Errorf("%s: an .onnx is fused by its own graph", s.Path), "flags on families, ε, identities and plans are for checkpoints")
	}
	found := &plan.Found{Dropped: map[string]string{}, Kept: map[string]string{}}
	if n := s.Model.Overridable(); n > 0 && !r.FreezeInputs {
		found.Notes = append(found.Notes, Note{Where: s.Path, Text: fmt.Sprintf("%d weights are inputs too, which a caller may replace, and are no constants", n),
			Hint: "--freeze-inputs takes them for constants"})
	}
	names := s.Model.Names()
	for _, net := range s.Model.Nets(r.FreezeInputs) {
		shown, left, err := graph.Find(&net.Graph, graph.Options{AnyCost: r.AnyCost})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Path, err)
		}
		for _, f := range net.Layers(shown, names) {
			s.layers = append(s.layers, f.Layer)
			found.Blocks = append(found.Blocks, blockOfLayer(net, f))
			if s.rounded = s.rounded || f.Rounded; f.Rounded {
				found.Notes = append(found.Notes, Note{Where: f.Weight, Text: "the file computed some of its constants in its own precision, and so do we"})
			}
		}
		found.Notes = append(found.Notes, regions.Notes(left)...)
	}
	if err := settle(s, found); err != nil {
		return nil, err
	}
	return plan.New(plan.Sources(s.Tensors, ""), plan.Selection{}, *found)
}

// blockOfLayer is a layer of a network as a block.
func blockOfLayer(net *onnx.Net, f onnx.Fused) plan.Block {
	out := plan.Output{Weight: f.Weight, Bias: f.Bias, Expr: f.Region.Expr, Form: f.Region.Form}
	b := plan.Block{Path: net.Vals[f.Region.Sink].Name, Family: regions.Name, Title: regions.Title, Outputs: []plan.Output{out}}
	for p := range op.Params(f.Region.Expr) {
		b.Used = append(b.Used, p.Key)
	}
	return b
}

// compare holds the network of a result to what is made of the source's, and gives the tensors of
// its layers the keys that the plan has for them. Checkpoints without a network have no
// differences.
func (s *source) compare(out *checkpoint.Checkpoint) ([]verify.Finding, error) {
	switch {
	case s.Model == nil && out.Model == nil:
		return nil, nil
	case s.Model == nil || out.Model == nil:
		return nil, fmt.Errorf("%s is %s and %s is %s, want two networks or two checkpoints", s.Path, s.Format, out.Path, out.Format)
	}
	keys, different, err := s.Model.Compare(s.layers, out.Model)
	if err != nil {
		return nil, err
	}
	var found []verify.Finding
	for _, d := range different {
		found = append(found, verify.Finding{Kind: verify.Node, Key: d.Where, Got: d.Got, Want: d.Want})
	}
	planned := map[string]string{}
	for ours, theirs := range keys {
		planned[theirs] = ours
	}
	for k, t := range out.Tensors {
		if key, ok := planned[t.Key]; ok {
			out.Tensors[k].Key = key
		}
	}
	return found, nil
}

// settle says which tensors the rewritten network has no more, and why.
func settle(s *source, found *plan.Found) error {
	stay, err := s.Model.Kept(s.layers)
	if err != nil {
		return fmt.Errorf("%s: %w", s.Path, err)
	}
	kept := make(map[string]bool, len(stay))
	for _, t := range stay {
		kept[t.Key] = true
	}
	for k := range found.Blocks {
		b := &found.Blocks[k]
		for _, key := range b.Used {
			if kept[key] {
				b.Stale = append(b.Stale, key)
			}
		}
	}
	for _, t := range s.Tensors {
		if !kept[t.Key] {
			found.Dropped[t.Key] = "served only what is fused"
		}
	}
	return nil
}

// graphOfModel finds what the graph of an .onnx shows of a checkpoint of the same architecture, whose
// keys its initializers bear.
func (r *Recognition) graphOfModel(path string) func([]tensor.Named) (*plan.Found, error) {
	return func(tensors []tensor.Named) (*plan.Found, error) {
		m, err := onnx.Open(path)
		if err != nil {
			return nil, err
		}
		defer m.Close()
		found := &plan.Found{Dropped: map[string]string{}, Renamed: map[string]string{}, Kept: map[string]string{}}
		for _, net := range m.Nets(r.FreezeInputs) {
			if err := net.Bind(tensors); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			n := regions.Network{Graph: &net.Graph, Source: path, Elsewhere: net.ReadElsewhere()}
			more, err := regions.Blocks(n, tensors, graph.Options{AnyCost: r.AnyCost})
			if err != nil {
				return nil, err
			}
			found.Blocks, found.Notes = append(found.Blocks, more.Blocks...), append(found.Notes, more.Notes...)
			maps.Copy(found.Kept, more.Kept)
		}
		return found, nil
	}
}
