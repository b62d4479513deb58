package main

import (
	"cmp"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestPages makes the pages of the command as it is: one a command, with its flags, their
// values and defaults, the same at each run.
func TestPages(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the command")
	}
	dir := t.TempDir()
	repfuse := filepath.Join(dir, "repfuse")
	if b, err := exec.Command("go", "build", "-o", repfuse, "repfuse/cmd/repfuse").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	pages, again := filepath.Join(dir, "pages"), filepath.Join(dir, "again")
	t.Setenv("SOURCE_DATE_EPOCH", "86400")
	for _, to := range []string{pages, again} {
		if err := run(repfuse, to); err != nil {
			t.Fatal(err)
		}
	}
	for page, want := range map[string]string{
		"repfuse.1": `^\.SH COMMANDS
\.TP
\\fBcompletion\\fR
(.|
)*\.SH EXIT STATUS
0 yes or done, 1 no (.|
)*\.SH FILES
(.|
)*\\fBmodules\.json\\fR
(.|
)*\.SH ENVIRONMENT
(.|
)*\\fBREPFUSE_CPU\\fR
`,
		"repfuse-inspect.1": `^\.SH EXIT STATUS
0, 1 where an element `,
		"repfuse-convert.1":  `^\\fBrepfuse\\-fuse\\fR\(1\)`,
		"repfuse-families.1": `^repfuse families repvgg$`,
		"repfuse-fuse.1": `^\.TH "REPFUSE\\-FUSE" 1 "1970-01-02" "repfuse .*
\.SH NAME
repfuse\\-fuse \\- Fuse every block(.|
)*
\.TP
\\fB\\-\\-shard\\-size\\fR \\fISIZE\\fR
`,
		"repfuse-verify.1": `^images that each block is run on \(default 1\)$`,
	} {
		b, err := os.ReadFile(filepath.Join(pages, page))
		if err != nil {
			t.Error(err)
			continue
		}
		if lint, err := exec.LookPath("mandoc"); err == nil {
			if faults, _ := exec.Command(lint, "-T", "lint", "-W", "warning", filepath.Join(pages, page)).Output(); len(faults) > 0 {
				t.Errorf("%s", faults)
			}
		}
		if !regexp.MustCompile("(?m)" + want).Match(b) {
			t.Errorf("%s: no %q in\n%s", page, want, b)
		}
		if c, err := os.ReadFile(filepath.Join(again, page)); err != nil || string(b) != string(c) {
			t.Errorf("%s: another at the second run, %v", page, err)
		}
	}
	if err := run(repfuse, pages); err == nil {
		t.Error("pages that are there are written over")
	}
	t.Setenv("SOURCE_DATE_EPOCH", "yesterday")
	if err := run(repfuse, filepath.Join(dir, "other")); err == nil || !strings.Contains(err.Error(), "want seconds since 1970") {
		t.Errorf("a date that is none: %v", err)
	}
	list, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(list) != 3 {
		t.Errorf("%q, %v: want the command and twice its pages", list, err)
	}
}

// TestEnvironment: whatever variable the command asks for is on the page.
func TestEnvironment(t *testing.T) {
	asked := regexp.MustCompile(`os\.(?:Getenv|LookupEnv)\("(\w+)"\)|os\.(?:CreateTemp|MkdirTemp)\("",`)
	met := 0
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch name := d.Name(); {
		case err != nil || d.IsDir() && (name == "tools" || name == "bench" || name == "chromium"): // which the command is not made of
			return cmp.Or(err, fs.SkipDir)
		case d.IsDir() || filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		b, err := os.ReadFile(path)
		for _, m := range asked.FindAllSubmatch(b, -1) {
			met++
			name := cmp.Or(string(m[1]), "TMPDIR")
			if !slices.ContainsFunc(surroundings[1].items, func(item [2]string) bool { return item[0] == name }) {
				t.Errorf("%s asks for %s, which the page has not", path, name)
			}
		}
		return err
	})
	if err != nil || met < 3 {
		t.Errorf("%d variables, %v", met, err)
	}
}
