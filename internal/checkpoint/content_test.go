package checkpoint

import (
	"os"
	"strings"
	"testing"

	"repfuse/internal/hint"
)

// A file is opened by what is in it: without an extension, and under another format's.
func TestContent(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, format := range map[string]string{"a.npz": "npz", "a.safetensors": "safetensors", "a.pth": "pth"} {
		write(t, name, CreateOptions{}, 1)
		for _, as := range []string{"G_1000", "best.bin", "net.th", "x.npz", "x.safetensors"} {
			must(t, os.Link(name, as))
			c, err := Open(as, Options{})
			if err != nil {
				t.Errorf("%s as %s: %v", name, as, err)
			} else if c.Close(); c.Format != format || len(c.Tensors) != 2 {
				t.Errorf("%s as %s: %s of %d tensors", name, as, c.Format, len(c.Tensors))
			}
			must(t, os.Remove(as))
		}
	}
}

// How a file begins, byte by byte, after the formats' own specifications.
func TestFormatOf(t *testing.T) {
	entry := func(name string) string {
		return "PK\x03\x04" + strings.Repeat("\x00", 22) + string(rune(len(name))) + "\x00\x00\x00" + name
	}
	for _, test := range []struct{ head, want string }{
		{entry("w.npy"), "npz"},
		{entry("archive/data.pkl"), "pth"},
		{entry("serialized_exported_program.json"), "pt2"},
		{entry("net/data/weights/weight_0"), "pt2"},
		{entry("net/models/model.json"), "pt2"},
		{entry("net/data/aotinductor/model/m.so"), "pt2"},
		{entry("readme"), ""},
		{"PK\x03\x04", ""},
		{"\x80\x02\x8a\x0al\xfc\x9cF", "pth"}, // the magic of PyTorch before 1.6
		{"\x80\x04\x95", "pth"},
		{"\x80\x01}", ""},
		{"\x02\x00\x00\x00\x00\x00\x00\x00{}", "safetensors"},
		{"\x80\x02\x00\x00\x00\x00\x00\x00{" + strings.Repeat(" ", 0x27f), "safetensors"}, // a length of 640, which begins as a pickle
		{"\x03\x00\x00\x00\x00\x00\x00\x00{}", ""},                                        // a header beyond the end
		{"\x08\x08\x12\x07pytorch", "onnx"},
		{"\x08\x08\x13", ""},
		{"hello", ""},
		{"", ""},
	} {
		if got := formatOf([]byte(test.head), int64(len(test.head))); got != test.want {
			t.Errorf("%q: %q, want %q", test.head, got, test.want)
		}
	}
}

// What is known and not read says what it is and what makes of it what is read.
func TestStrange(t *testing.T) {
	t.Chdir(t.TempDir())
	must(t, os.Mkdir("step", 0o777))
	for _, test := range []struct{ path, text, open, err, hint string }{
		{"m.pth", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "", "m.pth is a pointer of Git LFS, and the file that it stands for is not here", `git lfs pull --include "m.pth", in its repository`},
		{"m.safetensors", "\n<!DOCTYPE html><html>", "", "m.safetensors is a web page, and no checkpoint", "download the file that the page links to: curl -L -o m.safetensors URL"},
		{"m.npy", "\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (), }", "", "m.npy holds pickled Python objects and no array",
			`python -c "import numpy as np; np.savez('model.npz', **np.load('m.npy', allow_pickle=True).item())" makes a .npz of a dict`},
		{"step/__0_0.distcp", "PK", "", "step holds shards of torch.distributed.checkpoint, want one file", "python -m torch.distributed.checkpoint.format_utils dcp_to_torch step model.pth"},
		{"step/.metadata", "", "step", "step holds shards of torch.distributed.checkpoint, want one file", "python -m torch.distributed.checkpoint.format_utils dcp_to_torch step model.pth"},
	} {
		must(t, os.WriteFile(test.path, []byte(test.text), 0o666))
		if test.open == "" {
			test.open = test.path
		}
		if _, err := Open(test.open, Options{}); err == nil || err.Error() != test.err || hint.Of(err) != test.hint {
			t.Errorf("%s: %v (hint %q), want %s (hint %q)", test.open, err, hint.Of(err), test.err, test.hint)
		}
	}
}
