package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"repfuse/internal/checkpoint"
	"repfuse/internal/family"
	"repfuse/internal/hint"
	"repfuse/internal/plan"
	"repfuse/internal/planfile"
	"repfuse/internal/recognise"
	"repfuse/internal/record"
	"repfuse/internal/tensor"
)

func withHint(err error, format string, args ...any) error { return hint.Add(err, format, args...) }

// recognition is the flags that say what a checkpoint's keys do not.
type recognition struct {
	eps, identity, sets, choices, files []string
	planFile, prefix                    string
	bfloat16                            bool
	state                               string
}

func (r *recognition) add(c *cobra.Command) {
	f := c.Flags()
	f.StringArrayVar(&r.eps, "eps", nil, "`[GLOB=]E` added to the variance by batch norms, where no fact says it")
	f.StringArrayVar(&r.identity, "identity", nil, "`[GLOB=]yes|no`: whether blocks add their input, where no key says it")
	f.StringArrayVar(&r.sets, "set", nil, "`[GLOB=]NAME=VALUE`: answer another question that no key answers")
	f.StringArrayVar(&r.choices, "family", nil, "`[GLOB=]NAME[/DIALECT]` of blocks; none leaves them as they are")
	f.StringArrayVar(&r.files, "families", nil, "`FILE` of declarations beside the built-in ones")
	f.StringVar(&r.planFile, "plan", "", "`FILE` that names the blocks by hand (repfuse plan --yaml prints one)")
	f.StringVar(&r.prefix, "prefix", "", "`PREFIX` that is taken off every key (module. is by itself)")
	f.BoolVar(&r.bfloat16, "bfloat16", false, "take two-byte .npy elements without a type for bfloat16")
	f.StringVar(&r.state, "state", "", "`NAME` of the dict to read of a file that holds several")
	for _, name := range []string{"families", "plan"} {
		if err := c.MarkFlagFilename(name, "yaml", "yml"); err != nil {
			panic(err) // a flag that the lines above do not declare
		}
	}
}

// given reports whether any of the flags that decide what is recognised was used.
func (r *recognition) given() bool {
	return len(r.eps)+len(r.identity)+len(r.sets)+len(r.choices)+len(r.files) > 0 || r.planFile != "" || r.prefix != ""
}

// source is a checkpoint and its plan.
type source struct {
	*checkpoint.Checkpoint
	plan *plan.Plan
	// already is the modules that the record beside it says are fused.
	already []string
}

func (r *recognition) open(path string) (*checkpoint.Checkpoint, error) {
	return checkpoint.Open(path, checkpoint.Options{BFloat16: r.bfloat16, State: r.state})
}

// read opens a checkpoint and plans it.
func (r *recognition) read(path string) (*source, error) {
	c, err := r.open(path)
	if err != nil {
		return nil, err
	}
	s := &source{Checkpoint: c}
	rec, err := record.Read(path)
	if err == nil {
		s.already = rec.Fused(c.Tensors)
		s.plan, err = r.plan(c, s.already)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return s, nil
}

func (r *recognition) plan(c *checkpoint.Checkpoint, already []string) (*plan.Plan, error) {
	o := recognise.Options{Facts: c.Facts, Choices: r.choices, Prefix: r.prefix, Sets: r.answers(), Deployed: already}
	var err error
	if o.Families, err = r.families(); err != nil {
		return nil, err
	}
	if r.planFile != "" {
		text, err := readFile("--plan", r.planFile)
		if err != nil {
			return nil, err
		}
		if o.File, err = planfile.Read(r.planFile, text); err != nil {
			return nil, err
		}
	}
	return recognise.Plan(c.Tensors, o)
}

// answers is all settings in one form: --eps and --identity are short for --set.
func (r *recognition) answers() []string {
	all := append([]string{}, r.sets...)
	short := func(name string, list []string) {
		for _, s := range list {
			if at := strings.LastIndexByte(s, '='); at >= 0 {
				s = s[:at+1] + name + "=" + s[at+1:]
			} else {
				s = name + "=" + s
			}
			all = append(all, s)
		}
	}
	short("eps", r.eps)
	short("identity", r.identity)
	return all
}

// families is the built-in families and those of the user's files.
func (r *recognition) families() (*family.Set, error) {
	set, err := family.Builtin()
	if err != nil {
		return nil, err
	}
	for _, file := range r.files {
		text, err := readFile("--families", file)
		if err != nil {
			return nil, err
		}
		list, err := family.Load(file, text)
		if err != nil {
			return nil, err
		}
		if err := set.Add(list...); err != nil {
			return nil, err
		}
	}
	return set, nil
}

// gives reports whether the result has tensors of a type, where to is what --dtype asks
// for.
func (s *source) gives(t, to tensor.Type) bool {
	return slices.ContainsFunc(s.plan.Items(to), func(i plan.Item) bool { return i.Type == t })
}

// nothing is the error for a checkpoint in which no block was found and that does
// not look fused either.
func (s *source) nothing() error {
	if len(s.plan.Blocks) > 0 || len(s.plan.Deployed) > 0 {
		return nil
	}
	return withHint(fmt.Errorf("%s: no block recognised among its %d tensors", s.Path, len(s.Tensors)),
		"repfuse families lists what is known; --family NAME asks for one, --plan FILE names blocks by hand")
}

// parseDType reads --dtype; "" is Invalid, which leaves every type as it is.
func parseDType(name string) (tensor.Type, error) {
	if name == "" {
		return tensor.Invalid, nil
	}
	t, err := tensor.ParseType(map[string]string{"f16": "float16", "half": "float16", "bf16": "bfloat16", "f32": "float32", "f64": "float64"}[name])
	if err != nil {
		t, err = tensor.ParseType(name)
	}
	if err != nil || !t.IsFloat() {
		return tensor.Invalid, fmt.Errorf("--dtype %s, want float16, bfloat16, float32 or float64", name)
	}
	return t, nil
}

// readFile reads the file that a flag names.
func readFile(flag, path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", flag, path, err)
	}
	return b, nil
}

// jobs is a number of goroutines as a flag; 0 is the default.
type jobs int

func (j *jobs) String() string { return strconv.Itoa(int(*j)) }
func (j *jobs) Type() string   { return "int" }

func (j *jobs) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return errors.New("want a number of at least 1")
	}
	*j = jobs(n)
	return nil
}
