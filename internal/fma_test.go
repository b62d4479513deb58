package internal_test

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// makeBytes is the packages whose numbers are written down, and so must be the same on
// every processor.
const makeBytes = "tensor fuse family stream health micro"

// mayFuse is the file whose sums of products have a bound on their error instead.
const mayFuse = "/micro/taps.go"

// TestNoHiddenFMA: where bytes must agree, no product is rounded together with the
// addition after it unless the code says so by math.FMA. Go leaves that to the
// compiler; that for arm64 does it wherever no conversion, float64(x*y), forbids it.
func TestNoHiddenFMA(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the packages for arm64")
	}
	for _, name := range strings.Fields(makeBytes) {
		c := exec.Command("go", "build", "-gcflags=-S", "./"+name)
		c.Env = append(os.Environ(), "GOARCH=arm64", "CGO_ENABLED=0")
		listing, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, listing)
		}
		lines := map[string][]string{}
		for _, m := range fusedAt.FindAllStringSubmatch(string(listing), -1) {
			if strings.HasSuffix(m[1], mayFuse) {
				continue
			}
			if lines[m[1]] == nil {
				b, err := os.ReadFile(m[1])
				if err != nil {
					t.Fatal(err)
				}
				lines[m[1]] = strings.Split(string(b), "\n")
			}
			n, _ := strconv.Atoi(m[2])
			if line := lines[m[1]][n-1]; !strings.Contains(line, "math.FMA") {
				t.Errorf("%s:%d: %s: a product is not rounded by itself", m[1], n, strings.TrimSpace(line))
			}
		}
	}
}

// fusedAt finds the instructions, and the file and line that they are for.
var fusedAt = regexp.MustCompile(`\(([^():]+\.go):(\d+)\)\s+FN?M(?:ADD|SUB)[SD]\b`)
