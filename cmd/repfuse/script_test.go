package main

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"repfuse/internal/golden"
	"repfuse/internal/npy"
	"repfuse/internal/tensor"
)

// programs are the commands that tests start as processes of their own: this very binary, as repfuse and more.
var programs = map[string]func(){
	"repfuse": func() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
}

func TestMain(m *testing.M) { testscript.Main(m, programs) }

// TestScripts runs every script in testdata/script: one behaviour each, named after
// it.
//
//	golden CASE DIR              the train form of a reference case, as .npy files
//	npy FILE TYPE SHAPE VALUES   a .npy file; VALUES are numbers, the last of which
//	                             fills the rest, or random:SEED
//	header FILE DICT             a .npy file with this header and 64 bytes of zeros
//	poke FILE OFFSET BYTE…       overwrite bytes; a negative OFFSET counts from the end
//	truncate FILE SIZE           cut a file; a negative SIZE counts from the end
//	exits CODE COMMAND…          run a command that must exit with this code
//	bytes FILE TEXT              a file of the bytes of a Go string
//	zip FILE NAME=FILE[@SIZE]…   an archive; SIZE is what it says of a member's
//	pth FILE NAME=DIR…           a .pth of several state dicts, each from a checkpoint
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "../../testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"golden":   writeGolden(t),
			"npy":      writeNpy,
			"header":   writeHeader,
			"poke":     poke,
			"truncate": truncate,
			"exits":    exits,
			"bytes":    writeBytes,
			"zip":      writeZip,
			"pth":      writePth,
		},
	})
}

func writeGolden(t *testing.T) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, _ bool, args []string) {
		c := golden.Load(t, args[0])
		golden.Write(t, ts.MkAbs(args[1]), c.Train)
	}
}

func writeNpy(ts *testscript.TestScript, _ bool, args []string) {
	typ, err := tensor.ParseType(args[1])
	ts.Check(err)
	shape := []int{}
	for _, d := range strings.FieldsFunc(args[2], func(r rune) bool { return r == 'x' }) {
		if d == "-" { // no axis at all
			break
		}
		n, err := strconv.Atoi(d)
		ts.Check(err)
		shape = append(shape, n)
	}
	values, err := parseValues(args[3:], tensor.Elems(shape))
	ts.Check(err)
	b, err := npy.AppendHeader(nil, typ, shape)
	ts.Check(err)
	data := make([]byte, len(values)*typ.Size())
	if typ.IsFloat() {
		tensor.Encode(data, values, typ)
	} else {
		for k, v := range values {
			binary.LittleEndian.PutUint64(data[k*typ.Size():], uint64(int64(v)))
		}
	}
	file := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(filepath.Dir(file), 0o777))
	ts.Check(os.WriteFile(file, append(b, data...), 0o666))
}

func writeHeader(ts *testscript.TestScript, _ bool, args []string) {
	text := args[1] + "\n"
	b := append([]byte("\x93NUMPY\x01\x00"), byte(len(text)), byte(len(text)>>8))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), append(append(b, text...), make([]byte, 64)...), 0o666))
}

// parseValues makes n numbers of a list, or of random:SEED.
func parseValues(words []string, n int) ([]float64, error) {
	values := make([]float64, n)
	if seed, ok := strings.CutPrefix(words[0], "random:"); ok {
		s, err := strconv.Atoi(seed)
		rng := rand.New(rand.NewPCG(uint64(s), 0))
		for k := range values {
			values[k] = rng.NormFloat64()
		}
		return values, err
	}
	for k := range values {
		v, err := strconv.ParseFloat(words[min(k, len(words)-1)], 64)
		if err != nil {
			return nil, err
		}
		values[k] = v
	}
	return values, nil
}

func poke(ts *testscript.TestScript, _ bool, args []string) {
	b, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	at, err := strconv.Atoi(args[1])
	ts.Check(err)
	if at < 0 {
		at += len(b)
	}
	for k, word := range args[2:] {
		v, err := strconv.ParseUint(word, 0, 8)
		ts.Check(err)
		b[at+k] = byte(v)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o666))
}

func truncate(ts *testscript.TestScript, _ bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	n, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	if n < 0 {
		n += info.Size()
	}
	ts.Check(os.Truncate(ts.MkAbs(args[0]), n))
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if err != nil {
		if _, scanErr := fmt.Sscanf(err.Error(), "exit status %d", &got); scanErr != nil {
			ts.Fatalf("%v", err)
		}
	}
	if (got == want) == neg {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}
