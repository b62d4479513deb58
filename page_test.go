package repfuse_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"repfuse"
)

// A page names the command that was typed and both files by their SHA-256, as sha256sum prints it, and
// is not written over what is there.
func TestPage(t *testing.T) {
	dir := t.TempDir()
	src, dst, file := filepath.Join(dir, "m.safetensors"), filepath.Join(dir, "f.pth"), filepath.Join(dir, "page.html")
	if _, err := repfuse.Convert(ctx, weights, src, repfuse.ConvertOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := repfuse.Fuse(ctx, src, dst, repfuse.FuseOptions{}); err != nil {
		t.Fatal(err)
	}
	to := repfuse.Page{Report: file, Command: "what was typed"}
	if _, err := repfuse.Verify(ctx, src, dst, repfuse.VerifyOptions{Page: to}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	wants := []string{"what was typed"}
	for _, path := range []string{src, dst} {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		wants = append(wants, fmt.Sprintf("SHA-256 %x", sha256.Sum256(b)))
	}
	for _, want := range wants {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in the page", want)
		}
	}
	p, err := repfuse.Plan(ctx, src, repfuse.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.WriteReport(to); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("the plan's page: %v, want an error, as there is one already", err)
	}
	if _, err := repfuse.Inspect(ctx, src, repfuse.InspectOptions{Page: to}); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("the checkpoint's page: %v, want an error, as there is one already", err)
	}
}
