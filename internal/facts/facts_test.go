package facts

import (
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	m, err := Read([]byte(`{"version": 1, "modules": {"": {"class": "Net"}, "b": {"flags": {"a": [1]}}, "a.bn": {"class": "BatchNorm2d", "eps": 0.001}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(m.Order, " "); got != " b a.bn" {
		t.Errorf("in the order %q, want that of the text", got)
	}
	if eps := m.Modules["a.bn"].Eps; eps == nil || *eps != 0.001 {
		t.Errorf("ε %v, want 0.001", eps)
	}
	if m.Modules[""].Eps != nil {
		t.Error("a module without ε has one")
	}
}

// Another version, and what is no JSON, are errors that name the file.
func TestReadRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`{"version": 2, "modules": {}}`:                                  "modules.json: version 2, want 1",
		`{"modules": {}}`:                                                "modules.json: version 0, want 1",
		`{"version": 1, "modules": []}`:                                  "modules.json: ",
		`{"version": 1, "modules": {"a": {"eps`:                          "modules.json: ",
		`{"version": 1, "modules": {}} {}`:                               "modules.json: ",
		`{"version": 1, "modules": {"a": {"dilation": [0, 0]}}}`:         `modules.json: module "a" has dilation 0, want at least 1`,
		`{"version": 1, "modules": {"a": {"dilation": [1, -1]}}}`:        `modules.json: module "a" has dilation -1, want at least 1`,
		`{"version": 1, "modules": {"a": {"stride": [0]}}}`:              `modules.json: module "a" has stride 0, want at least 1`,
		`{"version": 1, "modules": {"a": {"kernel": [0]}}}`:              `modules.json: module "a" has kernel 0, want at least 1`,
		`{"version": 1, "modules": {"a": {"padding": [-1]}}}`:            `modules.json: module "a" has padding -1, want at least 0`,
		`{"version": 1, "modules": {"a": {"groups": -4}}}`:               `modules.json: module "a" has groups -4, want at least 0`,
		`{"version": 1, "modules": {"a": {"eps": 1}, "b": {}, "a": {}}}`: `modules.json: "a" is there twice`,
	} {
		if _, err := Read([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s…", text, err, want)
		}
	}
}
