package main

import (
	"archive/zip"
	"encoding/binary"
	"hash/crc32"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"repfuse/internal/checkpoint"
	"repfuse/internal/tensor"
)

// writeBytes is the command bytes: a file of the text of a Go string literal.
func writeBytes(ts *testscript.TestScript, _ bool, args []string) {
	text, err := strconv.Unquote(`"` + args[1] + `"`)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o666))
}

// writeZip is the command zip: an archive whose members may say more of themselves
// than is so.
func writeZip(ts *testscript.TestScript, _ bool, args []string) {
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	defer f.Close()
	z := zip.NewWriter(f)
	for _, arg := range args[1:] {
		name, file, _ := strings.Cut(arg, "=")
		file, size, lies := strings.Cut(file, "@")
		b, err := os.ReadFile(ts.MkAbs(file))
		ts.Check(err)
		n := len(b)
		if lies {
			n, err = strconv.Atoi(size)
			ts.Check(err)
		}
		w, err := z.CreateRaw(&zip.FileHeader{Name: name, CRC32: crc32.ChecksumIEEE(b), CompressedSize64: uint64(n), UncompressedSize64: uint64(n)})
		ts.Check(err)
		_, err = w.Write(b)
		ts.Check(err)
	}
	ts.Check(z.Close())
}

// writePth is the command pth: a file that holds several state dicts.
func writePth(ts *testscript.TestScript, _ bool, args []string) {
	var p pickled
	p.pickle = []byte("\x80\x02}")
	for _, arg := range args[1:] {
		name, dir, _ := strings.Cut(arg, "=")
		c, err := checkpoint.Open(ts.MkAbs(dir), checkpoint.Options{})
		ts.Check(err)
		p.text(name)
		p.pickle = append(p.pickle, '}')
		for _, t := range c.Tensors {
			p.text(t.Key)
			ts.Check(p.tensor(t.Tensor))
			p.pickle = append(p.pickle, 's')
		}
		p.pickle = append(p.pickle, 's')
		ts.Check(c.Close())
	}
	ts.Check(p.write(ts.MkAbs(args[0])))
}

// writePickled writes a .pth of one state dict, in the order of its tensors.
func writePickled(t *testing.T, path string, tensors []tensor.Named) {
	t.Helper()
	p := pickled{pickle: []byte("\x80\x02}")}
	for _, x := range tensors {
		p.text(x.Key)
		if err := p.tensor(x.Tensor); err != nil {
			t.Fatal(err)
		}
		p.pickle = append(p.pickle, 's')
	}
	if err := p.write(path); err != nil {
		t.Fatal(err)
	}
}

// pickled is an archive as torch.save writes it, in the making.
type pickled struct {
	pickle   []byte
	storages [][]byte
}

func (p *pickled) text(s string) {
	p.pickle = binary.LittleEndian.AppendUint32(append(p.pickle, 'X'), uint32(len(s)))
	p.pickle = append(p.pickle, s...)
}

// tensor adds _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks).
func (p *pickled) tensor(t tensor.Tensor) error {
	b, err := t.ReadAll()
	if err != nil {
		return err
	}
	class := map[tensor.Type]string{tensor.F32: "FloatStorage", tensor.I64: "LongStorage"}[t.Type]
	p.pickle = append(p.pickle, "ctorch._utils\n_rebuild_tensor_v2\n(("...)
	p.text("storage")
	p.pickle = append(p.pickle, "ctorch\n"+class+"\n"...)
	p.text(strconv.Itoa(len(p.storages)))
	p.text("cpu")
	p.integers(t.Len())
	p.pickle = append(p.pickle, "tQK\x00("...)
	p.integers(t.Shape...)
	strides := make([]int, len(t.Shape))
	step := 1
	for k := range slices.Backward(t.Shape) {
		strides[k] = step
		step *= t.Shape[k]
	}
	p.pickle = append(p.pickle, "t("...)
	p.integers(strides...)
	p.pickle = append(p.pickle, "t\x89ccollections\nOrderedDict\n)RtR"...)
	p.storages = append(p.storages, b)
	return nil
}

func (p *pickled) integers(list ...int) {
	for _, n := range list {
		p.pickle = binary.LittleEndian.AppendUint32(append(p.pickle, 'J'), uint32(n))
	}
}

func (p *pickled) write(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	z := zip.NewWriter(f)
	put := func(name string, b []byte) {
		if err == nil {
			w, e := z.CreateHeader(&zip.FileHeader{Name: "m/" + name})
			if err = e; err == nil {
				_, err = w.Write(b)
			}
		}
	}
	put("data.pkl", append(p.pickle, '.'))
	for k, b := range p.storages {
		put("data/"+strconv.Itoa(k), b)
	}
	if err != nil {
		return err
	}
	return z.Close()
}
