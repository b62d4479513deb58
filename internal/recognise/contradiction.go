package recognise

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"repfuse/internal/facts"
	"repfuse/internal/family"
	"repfuse/internal/hint"
	"repfuse/internal/pairs"
	"repfuse/internal/plan"
	"repfuse/internal/tensor"
)

// That a norm stands directly behind a layer is the user's word, with --fold-bn. Facts and a graph
// that speak against it are an error, as the user and the network cannot both be right.

// otherNorm is classes of norms that are no batch norm though they may have running statistics,
// noLayer classes whose weight is no kernel.
var (
	otherNorm = regexp.MustCompile(`(?i)(Instance|Group|Layer|RMS|Response)Norm`)
	noLayer   = regexp.MustCompile(`^(Embedding(Bag)?|Bilinear)$`)
)

// registered is the order in which modules were registered, by their facts.
type registered struct {
	facts *facts.Model // nil without facts
	// place is empty where the order is that of the names, by which somebody sorted them.
	place map[string]int
}

func newRegistered(m *facts.Model) registered {
	r := registered{facts: m, place: map[string]int{}}
	if m == nil || slices.IsSorted(m.Order) {
		return r
	}
	for k, path := range m.Order {
		r.place[path] = k
	}
	return r
}

// contradicted is the error of a pair that the graph, the facts, or what the user says beside them
// rule out.
func (r *recogniser) contradicted(p pairs.Pair, c candidate) error {
	var setting *family.SettingError
	if errors.As(c.problem, &setting) {
		return c.problem
	}
	why := r.seen.against(p)
	if r.graph != nil && r.graph.left[p.Norm+".running_mean"] != "" {
		why = r.graph.left[p.Norm+".running_mean"]
	}
	if why == "" && c.problem != nil {
		names := r.matcher
		names.facts = nil
		if names.match(c.Family, c.Module).problem == nil {
			why = c.problem.Error()
		}
	}
	if why == "" {
		return nil
	}
	return hint.Add(fmt.Errorf("--fold-bn: %s is not the norm directly behind %s: %s", plan.Shown(p.Norm), plan.Shown(p.Layer), why),
		"%s leaves it as it is", flagAt("family", p.Norm, noFamily))
}

// against is why the classes of a pair and the order of modules speak against it, or "".
func (r registered) against(p pairs.Pair) string {
	layer, norm := r.facts.Of(p.Layer), r.facts.Of(p.Norm)
	switch {
	case otherNorm.MatchString(norm.Class):
		return fmt.Sprintf("by its facts %s is a %s", plan.Shown(p.Norm), norm.Class)
	case noLayer.MatchString(layer.Class):
		return fmt.Sprintf("by its facts %s is a %s", plan.Shown(p.Layer), layer.Class)
	}
	first, ok := r.place[p.Layer]
	last, there := r.place[p.Norm]
	switch {
	case !ok || !there:
		return ""
	case last < first:
		return fmt.Sprintf("by its facts %s was registered before %s", plan.Shown(p.Norm), plan.Shown(p.Layer))
	}
	return r.between(p.Layer, r.facts.Order[first+1:last])
}

// between names what a Sequential around a layer has behind it, among the modules that were registered
// before the norm.
func (r registered) between(layer string, paths []string) string {
	for _, path := range paths {
		around := tensor.Parent(path)
		if class := r.facts.Of(path).Class; r.facts.Of(around).Class == "Sequential" && !facts.Harmless(class) &&
			(around == "" || strings.HasPrefix(layer, around+".")) {
			return fmt.Sprintf("by its facts %s, a %s, stands between", path, class)
		}
	}
	return ""
}
