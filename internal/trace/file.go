// Package trace reads graph.json: the operators that one forward pass of a PyTorch model
// ran, as the exporter's Trace saw them. It makes of them the neutral graph of package
// graph, over the tensors of a checkpoint of that architecture.
package trace

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"repfuse/internal/disk"
	"repfuse/internal/tensor"
)

// Version is the version of the file that this program reads.
const Version = 1

// MaxBytes bounds the file: a network of a hundred thousand operators takes 20 MiB.
const MaxBytes = 128 << 20

// file is graph.json. Values are numbered; an argument "%7" is value 7.
type file struct {
	Version int `json:"version"`
	Device  string
	Inputs  []int
	Outputs []int
	// Keys is the value of each entry of the state dict; shared tensors have one.
	Keys map[string]int
	// Constants is the values that no key holds; the elements of small ones are there.
	Constants map[string][]any
	// Classes is the class of each module, by its path.
	Classes map[string]string
	// Values is [TYPE, EXTENT…] of each value.
	Values [][]any
	Ops    []operator
}

// operator is one call of an ATen operator in the module At.
type operator struct {
	Op    string
	At    string
	In    []any
	Named map[string]any
	Out   []int
}

// value is what is known of one value of the file.
type value struct {
	elem  string
	shape []int
	// defined says that something before made it: an input, a key, an operator.
	defined bool
	// key is the checkpoint's tensor that the value is, reshaped at most, nil for others;
	// turned marks the transpose of a matrix.
	key    *tensor.Named
	turned bool
	// of is the keys that the value was made of.
	of []string
	// literal is the one number that a constant without a key holds everywhere.
	literal *float64
	// fixed marks what does not depend on the input: keys, constants, what comes of them.
	fixed bool
	// axis is where the channels are, as far as what makes the value says.
	axis int
	// at is the value's index in the graph, -1 where it has none.
	at int
}

// parse reads the file and holds it to being a graph: every value is defined once, before
// it is used.
func parse(text []byte) (*file, []value, error) {
	if len(text) > MaxBytes {
		return nil, nil, fmt.Errorf("%d bytes, want at most %d", len(text), MaxBytes)
	}
	f := &file{}
	if err := disk.JSON(text, f); err != nil {
		return nil, nil, err
	}
	if f.Version != Version {
		return nil, nil, fmt.Errorf("version %d, want %d", f.Version, Version)
	}
	values := make([]value, len(f.Values))
	for k, v := range f.Values {
		if err := values[k].read(v); err != nil {
			return nil, nil, fmt.Errorf("value %d: %w", k, err)
		}
	}
	return f, values, f.sound(values)
}

func (v *value) read(words []any) error {
	v.at = -1
	if len(words) == 0 {
		return errors.New("empty, want its type and its extents")
	}
	var ok bool
	if v.elem, ok = words[0].(string); !ok {
		return fmt.Errorf("%v, want a type", words[0])
	}
	v.shape = make([]int, 0, len(words)-1)
	for _, word := range words[1:] {
		n, ok := whole(word)
		if !ok || n < 0 {
			return fmt.Errorf("extent %v, want a number", word)
		}
		v.shape = append(v.shape, n)
	}
	return nil
}

// sound holds the file to every value being defined once and before it is used.
func (f *file) sound(values []value) error {
	define := func(n int, who string) error {
		if n < 0 || n >= len(values) {
			return fmt.Errorf("%s is value %d of %d", who, n, len(values))
		}
		if values[n].defined {
			return fmt.Errorf("%s is value %d, which is made twice", who, n)
		}
		values[n].defined = true
		return nil
	}
	seen := map[int]bool{} // several keys may share a tensor
	for key, n := range f.Keys {
		if seen[n] {
			continue
		}
		seen[n] = true
		if err := define(n, key); err != nil {
			return err
		}
	}
	for word := range f.Constants {
		n, err := strconv.Atoi(word)
		if err != nil {
			return fmt.Errorf("constant %q, want a value's number", word)
		}
		if err := define(n, "constant "+word); err != nil {
			return err
		}
	}
	for _, n := range f.Inputs {
		if err := define(n, "an input"); err != nil {
			return err
		}
	}
	for k, o := range f.Ops {
		if err := o.sound(values); err != nil {
			return fmt.Errorf("operator %d (%s): %w", k, o.Op, err)
		}
		for _, n := range o.Out {
			if err := define(n, fmt.Sprintf("the output of operator %d (%s)", k, o.Op)); err != nil {
				return err
			}
		}
	}
	for _, n := range f.Outputs {
		if n < 0 || n >= len(values) || !values[n].defined {
			return fmt.Errorf("the output %d is no value that is made", n)
		}
	}
	return nil
}

func (o *operator) sound(values []value) error {
	for _, n := range o.reads() {
		if n < 0 || n >= len(values) || !values[n].defined {
			return fmt.Errorf("reads value %d, which nothing before it makes", n)
		}
	}
	return nil
}

// reads lists the values among the arguments, once for each time that they stand there.
func (o *operator) reads() []int {
	var list []int
	var look func(x any)
	look = func(x any) {
		switch x := x.(type) {
		case string:
			if n, ok := reference(x); ok {
				list = append(list, n)
			}
		case []any:
			for _, y := range x {
				look(y)
			}
		}
	}
	look(o.In)
	for _, name := range slices.Sorted(maps.Keys(o.Named)) {
		look(o.Named[name])
	}
	return list
}

// reference is the value that an argument "%7" names.
func reference(x any) (int, bool) {
	word, ok := x.(string)
	if !ok {
		return 0, false
	}
	digits, ok := strings.CutPrefix(word, "%")
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(digits)
	return n, err == nil
}

// whole is a number without a fraction.
func whole(x any) (int, bool) {
	v, ok := x.(float64)
	if !ok || v != float64(int(v)) {
		return 0, false
	}
	return int(v), true
}

// wholes is a list of them.
func wholes(x any) ([]int, bool) {
	words, ok := x.([]any)
	if !ok {
		return nil, false
	}
	list := make([]int, len(words))
	for k, word := range words {
		if list[k], ok = whole(word); !ok {
			return nil, false
		}
	}
	return list, true
}
