package main

import (
	"bytes"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"repfuse/internal/golden"
)

// Whatever words follow the program's name, it ends soon, with one of its exit statuses, and
// an error says something and is no fault of its own.
func TestArguments(t *testing.T) {
	tensors := golden.Load(t, "repvgg-block-s1").Train
	t.Chdir(t.TempDir())
	golden.Write(t, "weights", tensors)
	words := strings.Fields(`plan verify inspect families exporter weights weights out -v -q --json --yaml --help --eps --eps=1e-3 **=1e-3 --identity
		yes no --family repvgg rbr*=none --set identity=yes --size --size=3x4 99999 -1 0 NaN 1e308 9223372036854775808 --trials=2 --trials
		--range=1e3 --range --seed --atol=1e-3 --rtol --require=exact --require --prefix= --prefix --fold-bn --cost=any --cost --dtype=float16 --jobs=2 -j --state x
		--expect weights --plan --families --bfloat16 [ ** < "" .`)
	words = append(words, "", "\x1b[2J", "a\nb", "\xff", strings.Repeat("x", 5000))
	r := rand.New(rand.NewPCG(3, 1))
	for range 1500 {
		args := []string{words[r.IntN(5)]}
		for range r.IntN(6) {
			args = append(args, words[r.IntN(len(words))])
		}
		var errs bytes.Buffer
		begun := time.Now()
		code := run(args, strings.NewReader(""), io.Discard, &errs)
		if code < exitYes || code > exitError || code == exitError && errs.Len() == 0 || strings.Contains(errs.String(), "a fault of repfuse") {
			t.Errorf("%q: exit status %d, %q", args, code, &errs)
		}
		harmless(t, strings.Join(args, " "), errs.Bytes())
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("%q took %v", args, took)
		}
	}
}
