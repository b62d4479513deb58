package repfuse_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"repfuse"
	"repfuse/internal/golden"
)

// Of each reference case: what fuse makes of the training form, unfused like the training form, fuses to the same
// bytes. Cases that fuse asks about are left out.
func TestUnfuseGolden(t *testing.T) {
	var left []string
	back := 0
	for _, name := range golden.Cases(t) {
		c := golden.Load(t, name)
		dir := t.TempDir()
		at := func(name string) string { return filepath.Join(dir, name) }
		golden.Write(t, at("train"), c.Train)
		text, err := json.Marshal(c.Facts())
		if err == nil {
			err = os.WriteFile(at("train/modules.json"), text, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
		f, err := repfuse.Fuse(ctx, at("train"), at("deploy.safetensors"), repfuse.FuseOptions{})
		if err != nil || len(f.Plan.Blocks) == 0 {
			continue
		}
		golden.Write(t, at("train"), golden.Halved(t, c.Train)) // the training form of another network
		u, err := repfuse.Unfuse(ctx, at("deploy.safetensors"), at("back"), repfuse.UnfuseOptions{Like: at("train")})
		if err != nil {
			if left = append(left, name); golden.NotUnfused[name] == "" {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if u.Tensors != len(c.Train) {
			t.Errorf("%s: %d tensors, want %d", name, u.Tensors, len(c.Train))
		}
		if _, err := repfuse.Fuse(ctx, at("back"), at("again.safetensors"), repfuse.FuseOptions{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		stale := map[string]bool{} // the references leave them, and nothing reads them
		for _, x := range f.Plan.Tensors {
			stale[x.Key] = x.Fate == "kept" && x.Module != ""
		}
		sameTensors(t, name, at("again.safetensors"), at("deploy.safetensors"), stale)
		back++
	}
	if back < 241 { // fuse asks about 17
		t.Errorf("%d cases come back, want 241", back)
	}
	for name := range golden.NotUnfused {
		if !slices.Contains(left, name) {
			t.Errorf("%s comes back, want it refused or off the list", name)
		}
	}
}

// sameTensors fails where two checkpoints have not the same keys and bytes, except the bytes of some.
func sameTensors(t *testing.T, name, got, want string, except map[string]bool) {
	t.Helper()
	a, err := repfuse.Open(ctx, got, repfuse.Reading{})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := repfuse.Open(ctx, want, repfuse.Reading{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if len(a.Tensors) != len(b.Tensors) {
		t.Errorf("%s: %d tensors, want %d", name, len(a.Tensors), len(b.Tensors))
		return
	}
	for k, s := range b.Tensors {
		x, err := a.Tensors[k].Bytes()
		y, err2 := s.Bytes()
		if err != nil || err2 != nil || a.Tensors[k].Key != s.Key || !bytes.Equal(x, y) && !except[s.Key] {
			t.Errorf("%s: %s is not what it was (%v, %v)", name, s.Key, err, err2)
		}
	}
}
