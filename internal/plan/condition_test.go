package plan_test

import (
	"reflect"
	"testing"

	"repfuse/internal/plan"
)

// Equal notes are one, of the modules of all; equal conditions of different notes are one
// with each module once; one that is the user's word does not ask for a flag.
func TestConditions(t *testing.T) {
	eps := func(modules ...string) *plan.Condition {
		return &plan.Condition{If: "ε is 1e-05", By: plan.Assumed, Flag: "--eps", Value: "1e-05", Modules: modules}
	}
	word := &plan.Condition{If: "nothing stands between", By: plan.YourWord, Flag: "--fold-bn", Modules: []string{"n"}}
	notes := plan.AddNotes(nil, plan.Note{Text: "a", Condition: eps("m")}, plan.Note{Text: "b"}, plan.Note{Text: "b"},
		plan.Note{Text: "a", Condition: eps("n")}, plan.Note{Text: "a"}, plan.Note{Text: "c", Condition: eps("n", "o")}, plan.Note{Condition: word})
	if len(notes) != 5 {
		t.Errorf("%d notes, want 5: %v", len(notes), notes)
	}
	got := plan.Conditions(notes)
	if want := []plan.Condition{*eps("m", "n", "o"), *word}; !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	for k, want := range []string{"ε is 1e-05 (assumed for 3 blocks; --eps says it)", "nothing stands between (your word for 1 block)"} {
		if got[k].String() != want || got[k].Open() == (k == 1) {
			t.Errorf("%s (open %t), want %s", got[k].String(), got[k].Open(), want)
		}
	}
	if plan.Conditions(nil) == nil {
		t.Error("no condition is null in JSON, want an empty list")
	}
}
