package pth

import (
	"runtime"
	"strings"
	"testing"
)

// module is the pickle of a module with the given _modules, or entries of its state.
func module(parts string) string {
	return "cm\nNet\n)\x81}(\x8c\x0b_parameters}\x8c\x08_buffers}\x8c\x08_modules" + parts + "ub"
}

// Files made to cost much more than their size. What is allocated is bounded by what
// the walks may take, whatever the file says.
func TestBombs(t *testing.T) {
	name := "X\x00\x0f\x00\x00" + strings.Repeat("n", 0xf00)
	twice := "}q\x00"
	deep := module("}")
	for range 40 {
		deep = module("}(\x8c\x01a" + deep + "q\x01\x8c\x01bh\x01u")
	}
	long := module("}")
	for range 60 {
		long = module("}(" + name + long + "q\x01\x8c\x01bh\x01u")
	}
	for _, test := range []struct{ name, in, want string }{
		{"a module in itself", "\x80\x02" + module("}q\x00") + "q\x01h\x00\x8c\x01ah\x01s0.", "modules nest more than 64 deep"},
		{"modules doubled", "\x80\x02" + deep + ".", "modules and their entries take more than 1048576 steps"},
		{"long names doubled", "\x80\x02" + long + ".", "modules and their entries take more than 1048576 steps"},
		{"a dict in itself", "\x80\x02" + twice + "\x8c\x01ah\x00s.", "holds a dict without a state dict, only a"},
		{"many names", "\x80\x02}" + name + "}(" + strings.Repeat("\x8c\x04abcdN", 20000) + "us.", "holds a dict without a state dict, only " + strings.Repeat("n", 0xf00)},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Read(strings.NewReader(test.in), int64(len(test.in)), Options{})
		runtime.ReadMemStats(&after)
		if err == nil || err.Error() != test.want {
			t.Errorf("%s: %.200v, want %.200s", test.name, err, test.want)
		}
		got := after.TotalAlloc - before.TotalAlloc
		t.Logf("%s: %d bytes for %d", test.name, got, len(test.in))
		if got > 64<<20 { // 64 bytes for each of the steps
			t.Errorf("%s: %d bytes allocated for %d", test.name, got, len(test.in))
		}
	}
}
