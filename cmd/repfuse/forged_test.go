package main

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"repfuse/internal/golden"
	"repfuse/internal/tensor"
)

// A forgery is a result whose weights and record are made together, by another plan than its source's own.
// What it proves is held to the source: the twelve of 2026's attack, six with facts and six without.
func TestForgedResults(t *testing.T) {
	for name, forge := range map[string]func(plan string) string{
		"a zero network": func(s string) string { return strings.ReplaceAll(s, "eps 1e-05)", "eps 1e-05) > scale(0)") },
		"a branch that is dropped": func(s string) string {
			s = strings.ReplaceAll(s, "\n        + bn(rbr_identity, eps 1e-05)", "")
			return strings.Replace(s, "drop:", "drop:\n  '**.rbr_identity.**': forged", 1)
		},
		"ε 0.5":          func(s string) string { return strings.ReplaceAll(s, "eps 1e-05", "eps 0.5") },
		"ε of one block": func(s string) string { return strings.Replace(s, "eps 1e-05", "eps 2e-05", 1) },
		"a branch's sign": func(s string) string {
			return strings.Replace(s, "bn(rbr_1x1.bn, eps 1e-05)", "bn(rbr_1x1.bn, eps 1e-05) > scale(-1)", 1)
		},
		"a branch that counts twice": func(s string) string {
			return strings.Replace(s, "bn(rbr_dense.bn, eps 1e-05)", "bn(rbr_dense.bn, eps 1e-05) > scale(2)", 1)
		},
	} {
		for _, eps := range []string{"", "1e-05"} {
			f := newForgery(t, eps)
			plan, _, _ := typed("plan --yaml " + f.src)
			forged := forge(plan)
			if forged == plan {
				t.Fatalf("%s: nothing is forged", name)
			}
			f.write(t, "plan.yaml", forged)
			f.runs(t, exitYes, "fuse -q --plan "+f.at("plan.yaml")+" "+f.src+" "+f.dst, "")
			f.runs(t, exitNo, "verify "+f.src+" "+f.dst, "no: different: stage")
			f.record(t, f.dst, func(r map[string]any) { // as if nobody had named a plan
				delete(r, "said")
				delete(r, "conditions")
				for _, b := range r["plan"].(map[string]any)["blocks"].([]any) {
					b.(map[string]any)["family"] = "repvgg"
				}
			})
			f.runs(t, exitNo, "verify "+f.src+" "+f.dst, "no: different: stage")
		}
	}
}

// forgery is a small RepVGG, with facts where eps is not "", and what becomes of it.
type forgery struct{ dir, src, dst string }

func newForgery(t *testing.T, eps string) forgery {
	t.Helper()
	dir := t.TempDir()
	f := forgery{dir, filepath.Join(dir, "src"), filepath.Join(dir, "dst")}
	train := golden.Load(t, "repvgg-model-tiny").Train
	golden.Write(t, f.src, train)
	if eps == "" {
		return f
	}
	var modules []string
	for _, x := range train {
		if module, ok := strings.CutSuffix(x.Key, ".running_mean"); ok {
			modules = append(modules, `"`+module+`": {"class": "BatchNorm2d", "eps": `+eps+`}`)
		}
	}
	f.write(t, "src/modules.json", `{"version": 1, "modules": {`+strings.Join(modules, ", ")+`}}`)
	return f
}

func (f forgery) at(name string) string { return filepath.Join(f.dir, name) }

func (f forgery) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(f.at(name), []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// record changes the record in a folder.
func (f forgery) record(t *testing.T, folder string, change func(map[string]any)) {
	t.Helper()
	path := filepath.Join(folder, "repfuse.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var r map[string]any
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	change(r)
	if text, err = json.Marshal(r); err == nil {
		err = os.WriteFile(path, text, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// runs types a command and wants an exit code and a text.
func (f forgery) runs(t *testing.T, want int, line, text string) {
	t.Helper()
	stdout, stderr, code := typed(line)
	if all := strings.Join(strings.Fields(stdout+" "+stderr), " "); code != want || !strings.Contains(all, text) {
		t.Errorf("%s: exit status %d, want %d and %q:\n%s%s", line, code, want, text, stdout, stderr)
	}
}

// TestAttacks: what else was tried on records and facts, each with the right answer.
func TestAttacks(t *testing.T) {
	crc := func(r map[string]any) map[string]any { return r["crc32"].(map[string]any) }
	for name, try := range map[string]func(t *testing.T, f forgery){
		"a record alone, with a zero network": func(t *testing.T, f forgery) {
			f.runs(t, exitYes, "fuse -q "+f.src+" "+f.dst, "")
			f.record(t, f.dst, func(r map[string]any) {
				made := r["plan"].(map[string]any)["blocks"].([]any)[0].(map[string]any)["make"].([]any)[0].(map[string]any)
				made["expression"] = "(" + made["expression"].(string) + ") > scale(0)"
			})
			f.runs(t, exitNo, "verify "+f.src+" "+f.dst, "no: different: stage0.rbr_reparam.weight: the record has (")
		},
		"112 of 113 tensors are dropped": func(t *testing.T, f forgery) {
			f.runs(t, exitYes, "fuse -q "+f.src+" "+f.dst, "")
			drop := func(said any) func(r map[string]any) {
				return func(r map[string]any) {
					r["said"] = said
					r["plan"] = map[string]any{"blocks": []any{}, "drop": []any{map[string]string{"keys": "stage**", "why": "forged"}, map[string]string{"keys": "linear.weight", "why": "forged"}}}
				}
			}
			files, _ := filepath.Glob(filepath.Join(f.dst, "*.npy"))
			for _, file := range files {
				if filepath.Base(file) != "linear.bias.npy" {
					os.Remove(file)
				}
			}
			for _, said := range []any{nil, map[string]string{"plan": "plan.yaml"}} {
				f.record(t, f.dst, drop(said))
				f.runs(t, exitNo, "verify "+f.src+" "+f.dst, "no: different: linear.weight is missing")
			}
		},
		"--eps against the facts": func(t *testing.T, _ forgery) {
			f := newForgery(t, "1e-05")
			f.runs(t, exitError, "fuse --eps 1e-3 "+f.src+" "+f.dst, "eps=1e-3, want 1e-05, which the facts say of stage0.")
		},
		"ε 0 by a flag": func(t *testing.T, f forgery) {
			f.runs(t, exitYes, "fuse -q --eps 0 "+f.src+" "+f.dst, "")
			f.runs(t, exitYes, "verify "+f.src+" "+f.dst, "yes: exact, if ε is 0 (by the record for 8 blocks; --eps says it)")
		},
		"ε 0 by the facts": func(t *testing.T, _ forgery) {
			f := newForgery(t, "0")
			f.runs(t, exitYes, "fuse -q "+f.src+" "+f.dst, "")
			f.runs(t, exitYes, "verify "+f.src+" "+f.dst, "yes: exact: ")
		},
		"ε below 0 by a flag": func(t *testing.T, f forgery) {
			f.runs(t, exitError, "fuse --eps -1 "+f.src+" "+f.dst, "eps=-1, want a number")
		},
		"ε below 0 by the facts": func(t *testing.T, _ forgery) {
			f := newForgery(t, "-1e-05")
			f.runs(t, exitError, "fuse "+f.src+" "+f.dst, "its ε is -1e-05 by its facts, want a number of at least 0")
		},
		"a constant of 1e200": func(t *testing.T, f forgery) {
			f.write(t, "plan.yaml", "blocks:\n  - module: stage0.rbr_1x1\n    make:\n      conv: conv(conv) > scale(1e200) > scale(1e-200) > bn(bn, eps 1e-5)\n")
			f.runs(t, exitYes, "fuse -q --plan "+f.at("plan.yaml")+" "+f.src+" "+f.dst, "")
			f.runs(t, exitYes, "verify --plan "+f.at("plan.yaml")+" "+f.src+" "+f.dst, "yes: ")
			plan, _, _ := typed("plan --yaml --plan " + f.at("plan.yaml") + " " + f.src)
			f.write(t, "again.yaml", plan)
			f.runs(t, exitYes, "verify --plan "+f.at("again.yaml")+" "+f.src+" "+f.dst, "yes: ")
		},
		"a training form that is called fused": func(t *testing.T, f forgery) {
			golden.Write(t, f.at("rrrb"), golden.Load(t, "arrlfn-rrrb").Train)
			f.runs(t, exitYes, "fuse "+f.at("rrrb")+" "+f.dst, "fused 1 ")
		},
		"a record beside the source that lists its keys": func(t *testing.T, f forgery) {
			f.runs(t, exitYes, "fuse -q "+f.src+" "+f.dst, "")
			text, err := os.ReadFile(filepath.Join(f.dst, "repfuse.json"))
			if err != nil {
				t.Fatal(err)
			}
			f.write(t, "src/repfuse.json", string(text))
			f.record(t, f.src, func(r map[string]any) {
				clear(crc(r))
				for _, x := range golden.Load(t, "repvgg-model-tiny").Train {
					crc(r)[x.Key] = "00000000"
				}
			})
			f.runs(t, exitYes, "plan "+f.src, "fused 111 tensors")
			f.record(t, f.src, func(r map[string]any) { // with the checksums of what is there
				for _, x := range golden.Load(t, "repvgg-model-tiny").Train {
					b, err := x.ReadAll()
					if err != nil {
						t.Fatal(err)
					}
					crc(r)[x.Key] = fmt.Sprintf("%08x", crc32.ChecksumIEEE(b))
				}
			})
			f.runs(t, exitYes, "plan "+f.src, "fused 111 tensors")
		},
		"a block without a tensor": func(t *testing.T, f forgery) {
			f.write(t, "plan.yaml", "blocks:\n  - module: .\n    make:\n      f: channels(0, 4, 4)\n")
			f.runs(t, exitError, "fuse --plan "+f.at("plan.yaml")+" "+f.src+" "+f.dst, ". (by hand): f.weight reads no tensor")
		},
		"a tensor that passed through, narrowed": func(t *testing.T, f forgery) {
			f.runs(t, exitYes, "fuse -q "+f.src+" "+f.dst, "")
			bias := golden.Find(t, golden.Load(t, "repvgg-model-tiny").Train, "linear.bias")
			v, err := bias.Floats()
			if err != nil {
				t.Fatal(err)
			}
			golden.Write(t, f.at("narrow"), []tensor.Named{{Key: "linear.bias", Tensor: tensor.Of(tensor.F16, bias.Shape, v)}})
			if err := os.Rename(f.at("narrow/linear.bias.npy"), filepath.Join(f.dst, "linear.bias.npy")); err != nil {
				t.Fatal(err)
			}
			f.runs(t, exitNo, "verify "+f.src+" "+f.dst, "no: different: linear.bias")
		},
		"a stale result": func(t *testing.T, f forgery) {
			f.runs(t, exitYes, "fuse -q "+f.src+" "+f.dst, "")
			golden.Write(t, f.at("new"), []tensor.Named{{Key: "stage0.rbr_1x1.bn.bias", Tensor: tensor.Of(tensor.F32, []int{16}, make([]float64, 16))}})
			if err := os.Rename(f.at("new/stage0.rbr_1x1.bn.bias.npy"), filepath.Join(f.src, "stage0.rbr_1x1.bn.bias.npy")); err != nil {
				t.Fatal(err)
			}
			f.runs(t, exitNo, "verify "+f.src+" "+f.dst, "no: different: stage0.rbr_reparam.")
		},
		"the record of another network": func(t *testing.T, f forgery) {
			f.runs(t, exitYes, "fuse -q "+f.src+" "+f.dst, "")
			golden.Write(t, f.at("other"), golden.Load(t, "repvgg-block-s1").Train)
			f.runs(t, exitYes, "fuse -q "+f.at("other")+" "+f.at("foreign"), "")
			if err := os.Rename(f.at("foreign/repfuse.json"), filepath.Join(f.dst, "repfuse.json")); err != nil {
				t.Fatal(err)
			}
			f.runs(t, exitNo, "verify "+f.src+" "+f.dst, "no: different: ")
		},
	} {
		t.Run(name, func(t *testing.T) { try(t, newForgery(t, "")) })
	}
}
