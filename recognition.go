package repfuse

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"repfuse/internal/adapter"
	"repfuse/internal/checkpoint"
	"repfuse/internal/disk"
	"repfuse/internal/facts"
	"repfuse/internal/family"
	"repfuse/internal/graph"
	"repfuse/internal/hint"
	"repfuse/internal/plan"
	"repfuse/internal/planfile"
	"repfuse/internal/recognise"
	"repfuse/internal/record"
	"repfuse/internal/regions"
	"repfuse/internal/tensor"
	"repfuse/internal/trace"
)

// Recognition says what a checkpoint's keys do not. Each list has entries of the form
// VALUE or GLOB=VALUE, where GLOB, such as stage2.**, picks the modules that it holds for; of
// several that fit, the last decides.
type Recognition struct {
	Reading
	// Eps is the ε that batch norms add to the variance, where no fact says it.
	Eps []string
	// Identity is yes or no: whether blocks add their input, where no key says it.
	Identity []string
	// Set answers another question, as NAME=VALUE.
	Set []string
	// Family is NAME or NAME/DIALECT of the blocks; none leaves modules as they are, with all below
	// them that no other entry names.
	Family []string
	// Families are paths of files with declarations beside the built-in ones.
	Families []string
	// FoldNorms also folds each batch norm that stands behind a layer, of any network; that
	// nothing without keys stands between the two is the caller's word.
	FoldNorms bool
	// Graph is the path of a graph.json of repfuse exporter, traced from a model of the
	// same architecture, of a .pt2 of torch.export, or of an .onnx whose initializers have the checkpoint's keys; "" takes the one that lies beside the tensors, if one does. With a
	// graph nothing is assumed.
	Graph string
	// AnyCost lifts the rule that a layer that a graph shows may not cost more products
	// than its parts. FreezeInputs takes initializers of an .onnx that are inputs too for
	// constants.
	AnyCost, FreezeInputs bool
	// Plan is the path of a file that names the blocks by hand, see Planned.YAML.
	Plan string
	// With are PATH or PATH=WEIGHT of adapters, LoRA and LoCon as PEFT and kohya's scripts write them, that are
	// merged into the layers. Their keys are behind adapter1:, adapter2: and so on, for Drop too.
	With []string
	// Prefix is taken off each key that is looked at; "module.", "_orig_mod." and what else only
	// wraps a model are without being asked.
	Prefix string
	// Only and Drop are globs of keys as they are in the file: blocks are looked for among what fits
	// one of Only, all where there is none, and what fits one of Drop is dropped.
	Only, Drop []string
	// KeepRest keeps, as it is, what Only leaves out; else it is dropped.
	KeepRest bool
	// Strict makes an error of each condition that nobody's word answers, an *OpenError.
	Strict bool
}

// given reports whether anything is said that decides what is recognised.
func (r *Recognition) given() bool {
	return len(r.Only)+len(r.Drop)+len(r.Eps)+len(r.Identity)+len(r.Set)+len(r.Family)+len(r.Families)+len(r.With) > 0 || r.Plan != "" || r.Prefix != "" || r.Graph != "" || r.FoldNorms
}

// inputs is the paths of the files that are named beside a checkpoint; "" is none.
func (r *Recognition) inputs() []string {
	paths := append([]string{r.Plan, r.Graph}, r.Families...)
	for _, text := range r.With {
		if path, _, err := adapter.Parse(text); err == nil {
			paths = append(paths, path)
		}
	}
	return paths
}

// checkValues is an error where a value is none of its option.
func (r *Recognition) checkValues() error {
	for _, text := range r.Eps {
		if v, err := strconv.ParseFloat(text[strings.LastIndexByte(text, '=')+1:], 64); err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("--eps %s, want a number such as 1e-5", text)
		}
	}
	for _, text := range r.Identity {
		if value := text[strings.LastIndexByte(text, '=')+1:]; value != "yes" && value != "no" {
			return fmt.Errorf("--identity %s, want yes or no", text)
		}
	}
	return nil
}

// recognise finds the blocks of a source by its keys.
func (r *Recognition) recognise(s *source) (*plan.Plan, error) {
	o, err := r.options(s)
	if err != nil {
		return nil, err
	}
	p, err := recognise.Plan(s.Tensors, o)
	return p, hint.For(err, s.Path)
}

// options is what is known of a source and said of it.
func (r *Recognition) options(s *source) (recognise.Options, error) {
	c := s.Checkpoint
	o := recognise.Options{Facts: c.Facts, Choices: r.Family, Selection: r.selection(), Wrapper: c.Wrapper, Sets: r.answers(), Deployed: s.already, Adapters: s.adapters,
		FoldNorms: r.FoldNorms, Ordered: c.Ordered()}
	var err error
	if o.Families, err = family.WithFiles(r.Families); err != nil {
		return o, err
	}
	if r.Plan != "" {
		text, err := readFile("--plan", r.Plan)
		if err != nil {
			return o, err
		}
		if o.File, err = planfile.Read(r.Plan, text); err != nil {
			return o, err
		}
	}
	o.Shown, err = r.graph(c, o.File)
	return o, err
}

// selection is which tensors are looked at.
func (r *Recognition) selection() plan.Selection {
	return plan.Selection{Prefix: r.Prefix, Only: r.Only, Without: r.Drop, KeepRest: r.KeepRest}
}

// graph is what the network's graph shows of a checkpoint: the one that is given or that lies beside
// the tensors. Where there is none, or a plan file names the blocks, it is nil.
func (r *Recognition) graph(c *checkpoint.Checkpoint, file *planfile.File) (func([]tensor.Named) (*plan.Found, error), error) {
	path, option, text := r.Graph, "--graph", []byte(nil)
	var err error
	switch {
	case path == "" && file != nil:
		return nil, nil
	case path == "" && c.Graph != nil:
		path, text = c.Path, c.Graph
	case path == "":
		path, option = filepath.Join(c.Path, facts.Graph), besideTensors
		if _, err := os.Lstat(path); err != nil {
			return nil, nil
		}
	case checkpoint.IsModel(path):
		return r.graphOfModel(path), nil
	default:
		if text, err = checkpoint.GraphOf(path); err != nil {
			return nil, err
		}
	}
	if text == nil {
		text, err = readFile(option, path)
	}
	return func(tensors []tensor.Named) (*plan.Found, error) {
		n, err := trace.Read(text, tensors)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		n.Source = path
		return regions.Blocks(*n, tensors, graph.Options{AnyCost: r.AnyCost})
	}, err
}

// answers is all settings in one form: Eps and Identity are short for Set.
func (r *Recognition) answers() []string {
	all := append([]string{}, r.Set...)
	short := func(name string, list []string) {
		for _, s := range list {
			at := strings.LastIndexByte(s, '=') + 1
			all = append(all, s[:at]+name+"="+s[at:])
		}
	}
	short("eps", r.Eps)
	short("identity", r.Identity)
	return all
}

// said is what the record keeps of it, with paths that are the same everywhere.
func (r *Recognition) said() record.Said {
	name := func(path string) string {
		if filepath.IsAbs(path) {
			path = filepath.Base(path)
		}
		return filepath.ToSlash(path)
	}
	s := record.Said{Eps: r.Eps, Identity: r.Identity, Set: r.Set, Family: r.Family, FoldNorms: r.FoldNorms, AnyCost: r.AnyCost, Graph: name(r.Graph), Plan: name(r.Plan)}
	for _, path := range r.Families {
		s.Families = append(s.Families, name(path))
	}
	return s
}

// besideTensors is in place of an option for a file that no one named.
const besideTensors = "beside the tensors:"

// readFile reads the file that an option names, or that lies beside the tensors.
func readFile(option, path string) ([]byte, error) {
	read := disk.Small
	if option == besideTensors {
		read = disk.SmallBeside
	}
	b, err := read(path)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", option, path, err)
	}
	return b, nil
}
