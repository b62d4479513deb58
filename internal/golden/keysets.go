package golden

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"repfuse/internal/tensor"
)

// KeySet is the keys and shapes of a real model's checkpoint, in state-dict order, with
// what a traced forward pass shows of it.
type KeySet struct {
	Name string
	// Eps is every ε of the model's batch norms.
	Eps     []float64
	Tensors []tensor.Spec
	// Traced says that a forward pass was seen. Layer is then, for the path of each batch
	// norm directly behind a layer, that layer's path; Idle is norms that did not run.
	Traced bool
	Layer  map[string]string
	Idle   map[string]bool
}

// KeySets reads the models of torchvision and timm that testdata/keysets holds; root is
// the repository's.
func KeySets(root string) ([]KeySet, error) { return keySets(root, "keysets.txt.gz") }

// Frameworks reads the models of other projects, which docs/ is about.
func Frameworks(root string) ([]KeySet, error) { return keySets(root, "frameworks.txt.gz") }

func keySets(root, name string) ([]KeySet, error) {
	file, err := os.Open(filepath.Join(root, "testdata", "keysets", name))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := gzip.NewReader(file)
	if err != nil {
		return nil, err
	}
	var sets []KeySet
	var before []string
	lines := bufio.NewScanner(text)
	for lines.Scan() {
		words := strings.Split(lines.Text(), " ")
		if words[0] == "=" {
			sets = append(sets, KeySet{Name: words[1], Eps: numbers(words[2]), Traced: words[3] == "traced", Layer: map[string]string{}, Idle: map[string]bool{}})
			before = nil
			continue
		}
		same, err := strconv.Atoi(words[0])
		if err != nil {
			return nil, fmt.Errorf("%q: want how many names are the last line's", lines.Text())
		}
		path := append(before[:same:same], strings.Split(words[1], ".")...)
		if words[1] == "" {
			path = path[:same]
		}
		before = path
		if err := sets[len(sets)-1].add(strings.Join(path, "."), words[2:]); err != nil {
			return nil, fmt.Errorf("%q: %w", lines.Text(), err)
		}
	}
	if len(sets) == 0 && lines.Err() == nil {
		return nil, fmt.Errorf("%s holds no key set", file.Name())
	}
	return sets, lines.Err()
}

// add reads what a module holds.
func (s *KeySet) add(path string, words []string) error {
	for _, word := range words {
		put := func(name string, shape []int) {
			s.Tensors = append(s.Tensors, tensor.Spec{Key: strings.TrimPrefix(path+"."+name, "."), Type: tensor.F32, Shape: shape})
		}
		name, rest, named := strings.Cut(word, ":")
		switch {
		case word == "idle":
			s.Idle[path] = true
		case word[0] == '<':
			s.Layer[path] = word[1:]
		case named:
			shape, err := extents(rest)
			if err != nil {
				return err
			}
			put(name, shape)
		default:
			shape, err := extents(word[1:])
			if err != nil {
				return err
			}
			put("weight", shape)
			if word[0] != 'W' {
				put("bias", shape[:1])
			}
			if word[0] == 'N' {
				put("running_mean", shape)
				put("running_var", shape)
				put("num_batches_tracked", nil)
			}
		}
	}
	return nil
}

func extents(text string) ([]int, error) {
	var shape []int
	for word := range strings.SplitSeq(text, "x") {
		if word == "" {
			continue
		}
		n, err := strconv.Atoi(word)
		if err != nil {
			return nil, err
		}
		shape = append(shape, n)
	}
	return shape, nil
}

func numbers(text string) []float64 {
	var list []float64
	for word := range strings.SplitSeq(text, ",") {
		if n, err := strconv.ParseFloat(word, 64); err == nil {
			list = append(list, n)
		}
	}
	return list
}
