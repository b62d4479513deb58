package repfuse

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"repfuse/internal/adapter"
	"repfuse/internal/disk"
	"repfuse/internal/hint"
	"repfuse/internal/plan"
	"repfuse/internal/record"
	"repfuse/internal/verify"
)

// openAdapters opens what With names and adds it to a source, which closes it.
func (s *source) openAdapters(ctx context.Context, with []string) error {
	if len(with) > 0 && s.Model != nil {
		return hint.Add(fmt.Errorf("--with %s: %s is a network, want a checkpoint", with[0], s.Path), "merge it into the .pth or .safetensors that the network was exported from")
	}
	for _, t := range s.Tensors {
		if len(with) > 0 && plan.IsAdapterKey(t.Key) {
			return fmt.Errorf("%s: %s is named as adapters' keys are, want another name", s.Path, t.Key)
		}
	}
	for k, text := range with {
		path, weight, err := adapter.Parse(text)
		if err == nil {
			err = s.openAdapter(ctx, k+1, adapter.Source{Path: path, Weight: weight})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// openAdapter opens adapter number n: a file, or a directory as PEFT writes it.
func (s *source) openAdapter(ctx context.Context, n int, from adapter.Source) error {
	weights, dir := from.Path, filepath.Dir(from.Path)
	if info, err := os.Stat(from.Path); err == nil && info.IsDir() {
		dir = from.Path
		for _, name := range []string{adapter.OldWeights, adapter.Weights} {
			if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
				weights = filepath.Join(dir, name)
			}
		}
	}
	from.Config = filepath.Join(dir, adapter.ConfigFile)
	text, err := disk.SmallBeside(from.Config)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", from.Config, err)
	}
	c, err := Reading{}.open(ctx, weights)
	if err != nil {
		return fmt.Errorf("--with %w", err)
	}
	s.opened = append(s.opened, c)
	if c.Model != nil {
		return fmt.Errorf("--with %s: is a network, want the tensors of an adapter", weights)
	}
	a, err := adapter.New(n, from, c.Tensors, text)
	s.adapters = append(s.adapters, a)
	return err
}

// Close closes the source and its adapters.
func (s *source) Close() error {
	var all []error
	for _, c := range append(s.opened, s.Checkpoint) {
		all = append(all, c.Close())
	}
	return errors.Join(all...)
}

// paths is where the source and its adapters lie.
func (s *source) paths() []string {
	paths := s.Paths()
	for _, c := range s.opened {
		paths = append(paths, c.Paths()...)
	}
	return paths
}

// recorded is the adapters as a record has them.
func (s *source) recorded(ctx context.Context) (all []record.Adapter, err error) {
	for k, a := range s.adapters {
		crc, err := record.Checksum(ctx, s.opened[k].Tensors)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", a.Path, err)
		}
		all = append(all, record.Adapter{Name: filepath.Base(filepath.Clean(a.Path)), Weight: a.Weight, CRC32: crc})
	}
	return all, nil
}

// otherAdapters holds the adapters to those of a record: that they are there is asked of the
// user, as nobody opens what a record names.
func (s *source) otherAdapters(ctx context.Context, rec *record.Record) ([]verify.Finding, error) {
	if rec == nil {
		return nil, nil
	}
	if len(s.adapters) < len(rec.Adapters) {
		a := rec.Adapters[len(s.adapters)]
		return nil, hint.Add(fmt.Errorf("%s: is merged by the record, want it as --with", a.Name), "--with %s=%g", a.Name, a.Weight)
	}
	given, err := s.recorded(ctx)
	if err != nil {
		return nil, err
	}
	var all []verify.Finding
	for k, a := range rec.Adapters {
		if a.CRC32 != given[k].CRC32 {
			all = append(all, verify.Finding{Kind: verify.Record, Key: given[k].Name, Got: "checksum " + a.CRC32 + " of " + a.Name, Want: "checksum " + given[k].CRC32})
		}
	}
	return all, nil
}
