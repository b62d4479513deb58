package family

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"repfuse/internal/facts"
	"repfuse/internal/tensor"
)

// Answer is a question's answer and who gave it: "said", "fact", "default" or
// "shapes".
type Answer struct {
	Question
	Value, By string
	// Overruled reports a yes that was said and is a no by shapes that a group count,
	// of which nothing speaks, would explain as well.
	Overruled bool
}

// Yes reports whether the answer is yes.
func (a Answer) Yes() bool { return isYes(a.Value) }

// sayNo turns every yes about a part without keys to no, since the shapes refuse it: a
// bare identity is there only where as many channels go in as come out. In doubt it is kept in mind that
// somebody said yes.
func (b *builder) sayNo(doubtful bool) bool {
	changed := false
	for name, a := range b.answers {
		if isYes(a.Value) && !b.keyed[name] {
			a.Overruled = doubtful && a.By == "said"
			a.Value, a.By = "no", "shapes"
			b.answers[name] = a
			changed = true
		}
	}
	return changed
}

// plausible reports whether the block, were every yes a no, would have as many
// channels in as out. A kernel [O, I/g] beside an identity could be read as one of
// g = O/(I/g) groups, but without a word about groups it is one of fewer input
// channels, which no identity can join. Depthwise kernels are told by I/g = 1.
func (b *builder) plausible(yes *Match) bool {
	trial := &builder{site: b.site, family: b.family, answers: maps.Clone(b.answers), keyed: b.keyed}
	if !trial.sayNo(false) {
		return true
	}
	no := trial.match()
	if no.Err != nil || len(no.Made) != len(yes.Made) {
		return true
	}
	for k, m := range no.Made {
		if in := m.Form.In; in != 1 && in != yes.Made[k].Form.In {
			return false
		}
	}
	return true
}

// answer decides a question: what the user said, else a fact, else the default.
func (b *builder) answer(q Question, open string) Answer {
	if a, ok := b.answers[q.Name]; ok {
		return a
	}
	a := Answer{Question: q, Value: q.Default, By: "default"}
	if said, ok := b.site.Said(q.Name); ok {
		a.Value, a.By = said, "said"
	} else if fact, ok := b.fact(q); ok {
		a.Value, a.By = fact, "fact"
	} else if q.Default == "ask" {
		a.Value, a.By = open, "open"
	}
	b.answers[q.Name] = a
	return a
}

// fact answers a question from the module tree, by the first rule that applies.
func (b *builder) fact(q Question) (string, bool) {
	if b.site.Facts == nil {
		return "", false
	}
	for _, rule := range q.Facts {
		verb, arg, _ := strings.Cut(rule, " ")
		if v, ok := b.factRule(verb, b.fill(arg)); ok {
			return v, true
		}
	}
	return "", false
}

func (b *builder) factRule(verb, arg string) (string, bool) {
	modules := b.site.Facts.Modules
	own, ok := modules[b.site.Module]
	switch verb {
	case "keyless":
		if !ok || own.Class == "" {
			return "", false
		}
		parent, name := own, arg
		if at := strings.LastIndexByte(arg, '.'); at >= 0 {
			parent, name = modules[b.whole(arg[:at])], arg[at+1:]
		}
		if parent.Keyless == nil && (name == arg || parent.Class == "") {
			return "", false
		}
		return YesNo(parent.Keyless[name] == "Identity"), true
	case "has": // a keyless child of whatever class
		_, there := own.Keyless[arg]
		return YesNo(there), ok && own.Class != ""
	case "flag":
		v, there := own.Flags[arg]
		return flagValue(v), there
	case "enclosing": // the flag of the innermost module around that has it
		return enclosing(modules, b.site.Module, arg)
	case "stride":
		m, there := modules[b.whole(arg)]
		return YesNo(!slices.ContainsFunc(m.Stride, func(s int) bool { return s != 1 })), there && len(m.Stride) > 0
	case "transposed":
		m, there := modules[b.whole(arg)]
		return YesNo(m.Transposed), there
	case "eps":
		if !ok || own.Eps == nil {
			return "", false
		}
		return number(*own.Eps), true
	case "class": // NAME or NAME ANSWER
		name, answer, given := strings.Cut(arg, " ")
		if !given {
			answer = "yes"
		}
		return answer, ok && own.Class == name
	case "yes", "no":
		return verb, ok
	}
	return "", false
}

func enclosing(modules map[string]facts.Module, path, flag string) (string, bool) {
	for path != "" {
		path = tensor.Parent(path)
		if v, there := modules[path].Flags[flag]; there {
			return flagValue(v), true
		}
	}
	return "", false
}

func flagValue(v any) string {
	switch v := v.(type) {
	case bool:
		return YesNo(v)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case []any:
		parts := make([]string, len(v))
		for k, e := range v {
			parts[k] = flagValue(e)
		}
		return strings.Join(parts, "x")
	}
	return fmt.Sprint(v)
}

// isYes reports whether an answer is yes, or the number 1 of a project that keeps
// its flags as numbers.
func isYes(answer string) bool { return answer == "yes" || answer == "1" }

// YesNo is an answer.
func YesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
