package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"repfuse"
	"repfuse/internal/golden"
	"repfuse/internal/tensor"
)

// A hint, typed as it stands, leads to success or to a better question: every command line that one has is
// typed, behind the command that failed or in its place, and so on with the hint of that.

// hintedCommands is the command lines that a hint has: those that begin with repfuse, and flags,
// which belong behind the command that failed.
func hintedCommands(line, hint string) []string {
	fuse, _, _ := newRoot().Find([]string{"fuse"})
	var all []string
	words := strings.Fields(hint)
	for k := 0; k < len(words); k++ {
		if words[k] == "repfuse" {
			command := []string{strings.TrimRight(words[k+1], ",;")} // the words behind it are prose, except for options
			for _, w := range words[k+2:] {
				if !strings.HasPrefix(w, "-") {
					break
				}
				command = append(command, w)
			}
			if rest := words[k+1+len(command):]; len(rest) > 0 && slices.Contains(strings.Fields(line), rest[0]) { // the path
				command = append(command, rest[0])
			}
			all = append(all, strings.Join(command, " "))
			k += len(command)
			continue
		}
		var flags []string
		for ended := false; k < len(words) && !ended && strings.HasPrefix(words[k], "--"); k++ {
			word := strings.TrimRight(words[k], ",;")
			name, _, given := strings.Cut(word[2:], "=")
			ended = word != words[k]
			flags = append(flags, word)
			if f := fuse.Flags().Lookup(name); f != nil && f.NoOptDefVal == "" && !given && k+1 < len(words) {
				k++
				value := strings.TrimRight(words[k], ",;")
				ended = value != words[k]
				flags = append(flags, value)
			}
		}
		if len(flags) > 0 {
			all = append(all, line+" "+strings.Join(flags, " "))
			k--
		}
	}
	return all
}

// needsUser is what hints have in place of something that only the user knows.
var needsUser = []string{"VALUE", "--family NAME", "--plan FILE"}

// follow types a command and what its hints say, and fails where that asks again what was asked before,
// goes on for too long, or ends in an error without a way on. It gives the commands that succeed.
func follow(t *testing.T, line string, asked []string) (done []string) {
	t.Helper()
	_, stderr, code := typed(line)
	if code != exitError {
		return []string{line}
	}
	text, hints, _ := strings.Cut(stderr, "\nhint: ")
	if slices.Contains(asked, text) || len(asked) == 5 {
		t.Errorf("%s: asked again, or for too long: %s", line, text)
		return nil
	}
	hint, _, _ := strings.Cut(hints, "\n")
	commands := slices.DeleteFunc(hintedCommands(line, hint), func(c string) bool {
		return slices.ContainsFunc(needsUser, func(w string) bool { return strings.Contains(c, w) })
	})
	if len(commands) == 0 && !strings.Contains(hint, "VALUE") {
		t.Errorf("%s: no way on: %s (after %q)", line, stderr, asked)
	}
	for _, c := range commands {
		done = append(done, follow(t, c, append(slices.Clone(asked), text))...)
	}
	return done
}

// wantWhole fails where a result has a part of a block that was left: a module that a --family
// M=none names has to be there with all its keys.
func wantWhole(t *testing.T, line, out string, train []tensor.Named) {
	t.Helper()
	words := strings.Fields(line)
	for k, w := range words {
		module, left := strings.CutSuffix(w, "=none")
		if !left || words[k-1] != "--family" {
			continue
		}
		for _, x := range train {
			if module != "." && !strings.HasPrefix(x.Key, module+".") {
				continue
			}
			if _, err := os.Stat(filepath.Join(out, x.Key+".npy")); err != nil {
				t.Errorf("%s: %s is half fused: %v", line, module, err)
			}
		}
	}
}

// Of every reference case, and of some with a key less: hints lead on, and what they lead to is whole
// and proven.
func TestHintsOfCases(t *testing.T) {
	dir := t.TempDir()
	src, out := filepath.Join(dir, "src"), filepath.Join(dir, "out")
	for k, name := range golden.Cases(t) {
		if testing.Short() && k%8 > 0 {
			continue
		}
		train := golden.Load(t, name).Train
		for _, less := range []int{-1, len(train) / 2} {
			tensors := slices.Clone(train)
			if less >= 0 && k%3 > 0 {
				continue
			} else if less >= 0 {
				tensors = slices.Delete(tensors, less, less+1)
			}
			os.RemoveAll(src)
			golden.Write(t, src, tensors)
			for _, line := range follow(t, "fuse -q -f "+src+" "+out, nil) {
				if !strings.HasPrefix(line, "fuse ") {
					continue
				}
				if _, stderr, code := typed(line); code != exitYes {
					t.Fatalf("%s: %s", line, stderr)
				}
				wantWhole(t, line, out, tensors)
				if stdout, stderr, code := typed("verify -q " + src + " " + out); code != exitYes {
					t.Errorf("%s (without %d): %s: verify: %s%s", name, less, line, stdout, stderr)
				}
			}
		}
	}
}

// Of real networks that are no re-parameterized ones, GoogLeNet and ShuffleNetV2 among them: the first hint folds every
// batch norm that a traced pass shows behind a layer, except for what --fold-bn leaves of any network.
func TestHintsOfNetworks(t *testing.T) {
	sets, err := golden.KeySets("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	src := filepath.Join(dir, "src.pth")
	networks := 0
	for _, s := range sets {
		if !wanted(s) {
			continue
		}
		networks++
		tensors := make([]tensor.Named, len(s.Tensors))
		for k, x := range s.Tensors {
			tensors[k] = tensor.Named{Key: x.Key, Tensor: tensor.Of(tensor.F32, x.Shape, make([]float64, tensor.Elems(x.Shape)))}
		}
		writePickled(t, src, tensors)
		first := "plan --json " + src
		done := follow(t, first, nil)
		if len(done) == 0 {
			t.Errorf("%s: no hint leads to a plan", s.Name)
			continue
		}
		if len(s.Layer) == 0 || done[0] == first { // nothing to fold, or blocks without a hint
			continue
		}
		stdout, _, _ := typed(done[0])
		var planned struct{ Tensors []repfuse.Fate }
		if err := json.Unmarshal([]byte(stdout), &planned); err != nil {
			t.Fatal(err)
		}
		folded := 0
		for _, f := range planned.Tensors {
			if norm, ok := strings.CutSuffix(f.Key, ".running_mean"); ok && s.Layer[norm] != "" && f.Fate == "fused" {
				folded++
			}
		}
		if 100*folded < 95*len(s.Layer) { // of all networks together 97 in 100 are
			t.Errorf("%s: %s folds %d of %d norms behind layers", s.Name, done[0], folded, len(s.Layer))
		}
	}
	if networks < 20 && !testing.Short() || networks == 0 {
		t.Errorf("%d networks, want many", networks)
	}
}

// wanted is the networks that are small enough, and those that issues name.
func wanted(s golden.KeySet) bool {
	if s.Name == "torchvision/googlenet" || strings.HasPrefix(s.Name, "torchvision/shufflenet") {
		return !testing.Short()
	}
	n := 0
	for _, x := range s.Tensors {
		n += tensor.Elems(x.Shape)
	}
	if testing.Short() {
		return n < 500_000
	}
	return n < 2_500_000
}

// Of verbs beside plan and fuse: what each hint has to type, flags behind the command that failed or a command of its
// own, succeeds or ends in another error with a way on.
func TestHintsOfVerbs(t *testing.T) {
	block := golden.Load(t, "repvgg-block-s1").Train
	t.Chdir(t.TempDir())
	golden.Write(t, "w", block)
	golden.Write(t, "plain", listedTensors(t, "a.conv.weight 4 3 3 3\na.bn.weight 4\na.bn.bias 4\na.bn.running_mean 4\na.bn.running_var 4"))
	golden.Write(t, "house", listedTensors(t, "a.big.weight 4 4 3 3\na.small.weight 4 4 1 1\nhead.weight 2 4"))
	golden.Write(t, "none", listedTensors(t, "head.weight 2 4"))
	for _, line := range []string{"fuse -q w out", "convert w there.npz"} {
		if _, stderr, code := typed(line); code != exitYes {
			t.Fatalf("%s: %s", line, stderr)
		}
	}
	for line, want := range map[string]string{
		"verify none out":                   "draft none",
		"verify plain out":                  "verify plain out --fold-bn",
		"verify --strict w out":             "verify --eps 1e-05 --strict w out",
		"verify a b c":                      "verify --help",
		"verify --only zz w out":            "inspect -v w",
		"inspect":                           "inspect --help",
		"inspect --nix w":                   "inspect --help",
		"inspect w/rbr_1x1.conv.weight.npy": "inspect w",
		"convert w":                         "convert --help",
		"convert w there.npz":               "convert w there.npz --force",
		"convert --only zz w x.npz":         "inspect -v w",
		"families nosuch":                   "families",
		"families --nix":                    "families --help",
		"draft":                             "draft --help",
		"draft w":                           "plan w",
		"draft plain":                       "plan --fold-bn plain",
		"draft none":                        "inspect -v none",
		"draft --only zz house":             "inspect -v house",
		"exporter --nix":                    "exporter --help",
	} {
		_, stderr, code := typed(line)
		text, h, _ := strings.Cut(stderr, "\nhint: ")
		named := strings.Fields(line + " " + h)
		all := slices.Contains(hintedCommands(line, h), want) ||
			!slices.ContainsFunc(strings.Fields(want), func(w string) bool { return !slices.Contains(named, w) })
		if code != exitError || !all {
			t.Errorf("%s: exit status %d: %swant the hint to say %s", line, code, stderr, want)
			continue
		}
		if _, again, code := typed(want); code == exitError && (strings.HasPrefix(again, text) || !strings.Contains(again, "\nhint: ")) {
			t.Errorf("%s: the hint has %s, which says %s", line, want, again)
		}
	}
}
