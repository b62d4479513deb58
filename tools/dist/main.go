// Command dist makes what a release consists of, in DIR, which must not be there:
//
//	go run ./tools/dist -version v1.2.3 DIR          archives, .deb, SBOM, wheels, SHA256SUMS
//	go run ./tools/dist -wheels DIR                  wheels alone
//	go run ./tools/dist -only linux/amd64 DIR        of one platform
//
// The files are the same bytes each time, for the same commit and Go: entries are
// sorted, bear the date of SOURCE_DATE_EPOCH and belong to root, and no path of the
// machine is in a binary. DIR appears whole or not at all.
package main

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// platform is a system and a processor, and the tags of a wheel for them; no tag is no wheel.
type platform struct{ os, arch, tag string }

// platforms is all that a release is for. A static binary needs no libc, so that one
// wheel is for glibc and musl.
var platforms = []platform{
	{"linux", "amd64", "manylinux_2_17_x86_64.manylinux2014_x86_64.musllinux_1_1_x86_64"},
	{"linux", "arm64", "manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64"},
	{"darwin", "amd64", "macosx_12_0_x86_64"},
	{"darwin", "arm64", "macosx_12_0_arm64"},
	{"windows", "amd64", "win_amd64"},
	{"windows", "arm64", "win_arm64"},
	{"freebsd", "amd64", ""},
}

func main() {
	version := flag.String("version", "v0.0.0", "of the release, as its tag")
	only := flag.String("only", "", "one platform, such as linux/amd64")
	wheels := flag.Bool("wheels", false, "make wheels alone")
	flag.Parse()
	if flag.NArg() != 1 || !strings.HasPrefix(*version, "v") {
		fmt.Fprintln(os.Stderr, "usage: dist [-version vX.Y.Z] [-only OS/ARCH] [-wheels] DIR")
		os.Exit(2)
	}
	r := &release{version: strings.TrimPrefix(*version, "v"), only: *only, wheels: *wheels}
	if err := r.make(flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "dist:", err)
		os.Exit(1)
	}
}

// release is what is being made.
type release struct {
	version, only string
	wheels        bool

	dir    string
	date   time.Time
	common []entry // what comes with each binary
}

func (r *release) make(dir string) error {
	if _, err := os.Lstat(dir); err == nil {
		return fmt.Errorf("%s is there already", dir)
	}
	part, err := os.MkdirTemp(filepath.Dir(filepath.Clean(dir)), ".dist-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(part) // by then nothing, where all went well
	r.dir, r.date = part, time.Unix(0, 0).UTC()
	if s := os.Getenv("SOURCE_DATE_EPOCH"); s != "" {
		seconds, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return fmt.Errorf("SOURCE_DATE_EPOCH %s, want seconds since 1970", s)
		}
		r.date = time.Unix(seconds, 0).UTC()
	}
	if !r.wheels {
		if r.common, err = r.papers(); err != nil {
			return err
		}
	}
	made := 0
	for _, p := range platforms {
		if r.only == "" || r.only == p.os+"/"+p.arch {
			made++
			if err := r.platform(p); err != nil {
				return fmt.Errorf("%s/%s: %w", p.os, p.arch, err)
			}
		}
	}
	if made == 0 {
		return fmt.Errorf("-only %s is no platform of a release", r.only)
	}
	if err := r.sums(); err != nil {
		return err
	}
	if err := os.Chmod(part, 0o755); err != nil {
		return err
	}
	return os.Rename(part, dir)
}

// binary builds the command, static, with no path of this machine in it.
func (r *release) binary(p platform, to string) error {
	return command([]string{"CGO_ENABLED=0", "GOOS=" + p.os, "GOARCH=" + p.arch},
		"go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid= -X repfuse.version=v"+r.version, "-o", to, "./cmd/repfuse")
}

// papers is the licence, the manual pages and the completions, made by the command as
// this machine runs it.
func (r *release) papers() ([]entry, error) {
	at, err := os.MkdirTemp("", "repfuse-dist-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(at)
	own := filepath.Join(at, "repfuse")
	if err := r.binary(platform{}, own); err != nil {
		return nil, err
	}
	date := "SOURCE_DATE_EPOCH=" + strconv.FormatInt(r.date.Unix(), 10)
	if err := command([]string{date}, "go", "run", "./tools/man", own, filepath.Join(at, "man")); err != nil {
		return nil, err
	}
	files := []entry{}
	for _, name := range []string{"LICENSE", "README.md", "CHANGELOG.md"} {
		files = append(files, entry{name: name, from: name})
	}
	pages, err := os.ReadDir(filepath.Join(at, "man"))
	if err != nil {
		return nil, err
	}
	for _, page := range pages {
		files = append(files, entry{name: "man/" + page.Name(), from: filepath.Join(at, "man", page.Name())})
	}
	for i := range files {
		if files[i].data, err = os.ReadFile(files[i].from); err != nil {
			return nil, err
		}
	}
	for _, shell := range []string{"bash", "fish", "powershell", "zsh"} {
		text, err := exec.Command(own, "completion", shell).Output()
		if err != nil {
			return nil, fmt.Errorf("completion %s: %w", shell, err)
		}
		files = append(files, entry{name: "completions/repfuse." + shell, data: text})
	}
	return files, nil
}

// platform makes the files of one platform.
func (r *release) platform(p platform) error {
	at, err := os.MkdirTemp("", "repfuse-dist-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(at)
	name := "repfuse"
	if p.os == "windows" {
		name += ".exe"
	}
	path := filepath.Join(at, name)
	if err := r.binary(p, path); err != nil {
		return err
	}
	program, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !r.wheels {
		if err := r.archives(p, path, program); err != nil {
			return err
		}
	}
	if p.tag == "" {
		return nil
	}
	return r.wheel(p.tag, name, program)
}

// archives makes all of one platform except its wheel.
func (r *release) archives(p platform, path string, program []byte) error {
	base := fmt.Sprintf("repfuse_%s_%s_%s", r.version, p.os, p.arch)
	files := []entry{{name: base + "/" + filepath.Base(path), data: program, mode: 0o755}}
	for _, e := range r.common {
		files = append(files, entry{name: base + "/" + e.name, data: e.data})
	}
	pack, extension := r.tarGz, ".tar.gz"
	if p.os == "windows" {
		pack, extension = r.zip, ".zip"
	}
	if err := r.write(base+extension, files, pack); err != nil {
		return err
	}
	if err := r.sbom(base, path); err != nil {
		return err
	}
	if p.os == "linux" {
		return r.deb(p.arch, program)
	}
	return nil
}

// sums writes SHA256SUMS, as sha256sum -c reads it.
func (r *release) sums() error {
	all, err := os.ReadDir(r.dir)
	if err != nil {
		return err
	}
	var lines []string
	for _, e := range all {
		data, err := os.ReadFile(filepath.Join(r.dir, e.Name()))
		if err != nil {
			return err
		}
		lines = append(lines, fmt.Sprintf("%x  %s\n", sha256.Sum256(data), e.Name()))
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[64:], b[64:]) })
	return os.WriteFile(filepath.Join(r.dir, "SHA256SUMS"), []byte(strings.Join(lines, "")), 0o644)
}

func command(env []string, name string, args ...string) error {
	c := exec.Command(name, args...)
	c.Env = append(os.Environ(), env...)
	c.Stderr = os.Stderr
	if err := c.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", name, args[0], err)
	}
	return nil
}
