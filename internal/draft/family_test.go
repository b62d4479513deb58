package draft

import (
	"fmt"
	"testing"

	"repfuse/internal/family"
)

// The notation takes letters alone in the place of a dilation: 60 questions have as many names, and are read back.
func TestManyDilations(t *testing.T) {
	f := &Family{Name: "draft", Modules: []string{"a"}}
	for k := range 60 {
		f.units = append(f.units, &unit{name: "dil", parts: []part{{layer: fmt.Sprintf("dil%d", k), shape: []int{4, 4, 3, 3}}}})
	}
	names := map[string]bool{}
	_, asks := f.Expression()
	for _, q := range asks {
		names[q.Name] = true
	}
	for _, name := range []string{"dilationa", "dilationz", "dilationaa", "dilationbh"} {
		if len(names) != 61 || !names[name] {
			t.Errorf("%d names, want 61 and %s among %v", len(names), name, names)
		}
	}
	text := YAML("weights", []*Family{f})
	if _, err := family.Load("draft", []byte(text)); err != nil {
		t.Errorf("%v in\n%s", err, text)
	}
}
