package pth

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
)

// What is looked at of a file with several states: one below each limit and one above.
func TestLooks(t *testing.T) {
	text := func(s string) string { return "X" + string([]byte{byte(len(s)), 0, 0, 0}) + s }
	in := func(name, value string) string { return "}" + text(name) + value + "s" }
	state := func(storage string, elements int) string { // of as many elements as are asked for, all the same one
		n := "J" + string(binary.LittleEndian.AppendUint32(nil, uint32(elements)))
		return in("w", "ctorch._utils\n_rebuild_tensor_v2\n(("+text("storage")+"ctorch\nFloatStorage\n"+text(storage)+text("cpu")+"K\x04tQK\x00"+n+"\x85K\x00\x85\x89NtR")
	}
	one := state("0", 1)
	deep := func(n int) string {
		v := one
		for range n {
			v = in("k", v)
		}
		return v
	}
	behind := func(n int, empty string) string {
		var b strings.Builder
		b.WriteString("}(")
		for k := range n {
			b.WriteString(text(fmt.Sprint(k)) + empty)
		}
		return b.String() + text("model") + one + "u"
	}
	two := func(n int) string {
		return "}(" + text("model") + state("0", n) + text("other") + state("1", n) + "u"
	}
	for _, test := range []struct {
		name, value string
		chosen      string // "" is none
		notes       string // contained as often as times
		times       int
	}{
		{"as deep as may be", deep(6), "k.k.k.k.k.k", "", 0},
		{"deeper", deep(7), "", "", 0},
		{"as long a name as may be", in(strings.Repeat("n", 64), one), strings.Repeat("n", 64), "", 0},
		{"a longer name", in(strings.Repeat("n", 65), one), "", "", 0},
		{"as many values as may be", behind(1<<16-2, "}"), "model", "", 0},
		{"one more", behind(1<<16-1, "}"), "", "", 0},
		{"as many others as are compared", behind(8, one), "model", "there is", 8},
		{"one more that is not", behind(9, one), "model", "there is", 8},
		{"64 MiB", two(16 << 20), "model", "with other numbers", 1},
		{"four bytes more", two(16<<20 + 1), "model", "too large to be compared", 1},
	} {
		b := archived(t, member{name: "m/data.pkl", bytes: []byte("\x80\x02" + test.value + ".")},
			member{name: "m/data/0", bytes: make([]byte, 16)}, member{name: "m/data/1", bytes: bytes.Repeat([]byte{1}, 16)},
			member{name: "m/more", bytes: make([]byte, 1<<20)}) // for the file to weigh enough
		f, err := Read(bytes.NewReader(b), int64(len(b)), Options{})
		if (err == nil) != (test.chosen != "") {
			t.Errorf("%s: %v", test.name, err)
		}
		if err != nil {
			continue
		}
		if got := strings.Count(strings.Join(f.Notes, "\n"), test.notes); f.Chosen != test.chosen || test.notes != "" && got != test.times {
			t.Errorf("%s: %.70s, %d times %q in %.300q", test.name, f.Chosen, got, test.notes, f.Notes)
		}
	}
}
