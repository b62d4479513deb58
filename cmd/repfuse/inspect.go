package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"repfuse/internal/checkpoint"
	"repfuse/internal/health"
	"repfuse/internal/parallel"
	"repfuse/internal/tensor"
)

// inspectFlags is what repfuse inspect is told besides its path.
type inspectFlags struct {
	state                   string
	bfloat16, json, verbose bool
	jobs                    int
}

func newInspect() *cobra.Command {
	var f inspectFlags
	c := &cobra.Command{
		Use:   "inspect PATH",
		Short: "Say what is in a checkpoint, and how fit it is for low precision",
		Long: `Inspect reads every tensor of a checkpoint, fused or not, and says what is in it:
what is no finite number, by key and index; and of the kernels how much of them is
left in float16, bfloat16 and int8, the worst first, with what to do about it.

  peak      the largest magnitude over the median
  spread    the largest magnitude of the widest channel over that of the middle one
  int8      signal over noise in dB, with one scale for the kernel
  channels  the same with a scale for each channel
  zero      the share of the elements that int8 with one scale makes zero

Exit status: 0, or 1 where an element is no finite number or a variance is negative.`,
		Example: `  repfuse inspect out/
  repfuse inspect --json model.safetensors`,
		Args: arguments(1, 1, "PATH"),
		RunE: func(c *cobra.Command, args []string) error {
			ck, err := checkpoint.Open(args[0], checkpoint.Options{BFloat16: f.bfloat16, State: f.state})
			if err != nil {
				return err
			}
			defer ck.Close()
			r, err := inspect(c.Context(), ck, f.jobs)
			if err != nil {
				return err
			}
			if f.json {
				err = printJSON(c.OutOrStdout(), r)
			} else {
				printInspection(c.OutOrStdout(), c.ErrOrStderr(), r, f.verbose)
			}
			if err == nil && len(r.Faults) > 0 {
				err = errNo
			}
			return err
		},
	}
	c.Flags().StringVar(&f.state, "state", "", "`NAME` of the dict to read of a file that holds several")
	c.Flags().BoolVar(&f.bfloat16, "bfloat16", false, "take two-byte .npy elements without a type for bfloat16")
	c.Flags().BoolVar(&f.json, "json", false, "print everything as JSON")
	c.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "print every kernel and every tensor")
	c.Flags().VarP((*jobs)(&f.jobs), "jobs", "j", "`N` goroutines (default one a processor)")
	return c
}

// inspection is the whole answer of repfuse inspect, and its JSON (docs/json.md).
type inspection struct {
	// The path that was given, and the format of what is there.
	Source string `json:"source"`
	Format string `json:"format"`
	// State is the dict that was read of a file that holds several, States the others.
	State  string   `json:"state,omitempty"`
	States []string `json:"states,omitempty"`
	// What a .safetensors file says beside its tensors.
	Metadata map[string]string `json:"metadata,omitempty"`
	Bytes    int64             `json:"bytes"`
	// Faults is what is wrong with the numbers.
	Faults  []fault     `json:"faults"`
	Tensors []inspected `json:"tensors"`
	// Kernels is those of several elements a row, by fitness for int8, the worst first.
	Kernels []*health.Kernel `json:"kernels"`
	Notes   []string         `json:"notes"`
}

// inspected is one tensor. Values is there for floating types.
type inspected struct {
	Key    string         `json:"key"`
	Type   string         `json:"type"`
	Shape  []int          `json:"shape"`
	Values *health.Values `json:"values,omitempty"`
}

// fault is a number that no network can work with.
type fault struct {
	Key   string `json:"key"`
	Index []int  `json:"index"`
	Text  string `json:"text"`
}

// inspect reads every tensor once and every kernel twice more.
func inspect(ctx context.Context, c *checkpoint.Checkpoint, jobs int) (*inspection, error) {
	r := &inspection{Source: c.Path, Format: c.Format, State: c.State, States: c.States, Metadata: c.Metadata,
		Faults: []fault{}, Kernels: []*health.Kernel{}, Notes: append([]string{}, c.Notes...), Tensors: make([]inspected, len(c.Tensors))}
	err := parallel.Each(ctx, jobs, len(c.Tensors), func() func(int) error {
		return func(k int) (err error) {
			r.Tensors[k], err = look(c.Tensors[k])
			return err
		}
	})
	if err != nil {
		return nil, err
	}
	var kernels []tensor.Named
	for k, t := range r.Tensors {
		r.Bytes += c.Tensors[k].Bytes()
		f, bad := t.fault()
		switch {
		case bad:
			r.Faults = append(r.Faults, f)
		case !isKernel(c.Tensors[k].Tensor):
		case t.Values.Largest() > 1e150:
			r.Notes = append(r.Notes, fmt.Sprintf("%s: elements up to %g, whose squares are too large to be measured", t.Key, t.Values.Largest()))
		default:
			kernels = append(kernels, c.Tensors[k])
		}
	}
	r.Kernels, err = health.Measure(ctx, kernels, jobs)
	slices.SortStableFunc(r.Kernels, health.Compare)
	return r, err
}
