// Package facts holds what a model's module tree knows and its keys do not: ε,
// strides, groups, padding, and children without parameters. repfuse exporter
// writes them beside the tensors as modules.json; pickled modules hold them too.
package facts

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"

	"repfuse/internal/disk"
)

// File is the name of the facts in a directory of .npy files.
const File = "modules.json"

// Graph is the name of the traced graph beside it; package trace reads it.
const Graph = "graph.json"

// Version is the version of the file that this program reads and writes.
const Version = 1

// Model is the facts of a whole model.
type Model struct {
	Version int `json:"version"`
	// Modules by path; the root is "".
	Modules map[string]Module `json:"modules"`
	// Order is the paths as they are written down: exporter and pickles have them in the order in
	// which the modules were registered.
	Order []string `json:"-"`
}

// Module is the facts of one module. What a module does not have is zero.
type Module struct {
	Class       string   `json:"class"`
	Eps         *float64 `json:"eps,omitempty"`
	Kernel      []int    `json:"kernel,omitempty"`
	Stride      []int    `json:"stride,omitempty"`
	Padding     []int    `json:"padding,omitempty"`
	PaddingMode string   `json:"padding_mode,omitempty"`
	Dilation    []int    `json:"dilation,omitempty"`
	Groups      int      `json:"groups,omitempty"`
	Transposed  bool     `json:"transposed,omitempty"`
	// Keyless is the children that hold no tensor, name to class ("Identity", "ReLU").
	Keyless map[string]string `json:"keyless,omitempty"`
	// Flags is the module's own booleans and small numbers that decide its form
	// (with_idt, use_residual_connection, stride).
	Flags map[string]any `json:"flags,omitempty"`
}

// Of is the facts of a module, none of a model without facts.
func (m *Model) Of(path string) Module {
	if m == nil {
		return Module{}
	}
	return m.Modules[path]
}

var harmless = regexp.MustCompile(`^(Identity|Dropout\w*|AlphaDropout|FeatureAlphaDropout|DropPath)$`)

// Harmless reports whether modules of a class pass what comes as it is, in eval mode.
func Harmless(class string) bool { return harmless.MatchString(class) }

// Read parses a modules.json.
func Read(text []byte) (*Model, error) {
	var file struct {
		Version int             `json:"version"`
		Modules json.RawMessage `json:"modules"`
	}
	if err := disk.JSON(text, &file); err != nil {
		return nil, fmt.Errorf("%s: %w", File, err)
	}
	if file.Version != Version {
		return nil, fmt.Errorf("%s: version %d, want %d", File, file.Version, Version)
	}
	m := Model{Version: file.Version}
	if err := disk.JSON(file.Modules, &m.Modules); err != nil {
		return nil, fmt.Errorf("%s: %w", File, err)
	}
	m.Order = names(file.Modules)
	for _, path := range m.Order {
		if err := m.Modules[path].check(); err != nil {
			return nil, fmt.Errorf("%s: module %q has %w", File, path, err)
		}
	}
	return &m, nil
}

// check refuses numbers that no layer has.
func (m Module) check() error {
	for _, list := range []struct {
		name  string
		of    []int
		least int
	}{{"kernel", m.Kernel, 1}, {"stride", m.Stride, 1}, {"padding", m.Padding, 0}, {"dilation", m.Dilation, 1}, {"groups", []int{m.Groups}, 0}} {
		for _, n := range list.of {
			if n < list.least {
				return fmt.Errorf("%s %d, want at least %d", list.name, n, list.least)
			}
		}
	}
	return nil
}

// names is the names of a JSON object that is known to be one, in its order.
func names(object []byte) []string {
	var all []string
	d := json.NewDecoder(bytes.NewReader(object))
	d.Token() // {
	for d.More() {
		var value json.RawMessage
		if name, err := d.Token(); err == nil && d.Decode(&value) == nil {
			all = append(all, name.(string))
		}
	}
	return all
}
