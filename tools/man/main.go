// Command man writes the manual pages of repfuse, one a command, from what --help prints.
//
//	go run ./tools/man ./repfuse DIR
//
// DIR must not be there; it appears whole or not at all. The pages bear the date of
// SOURCE_DATE_EPOCH, or none, so that they are the same at each run.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: man REPFUSE DIR")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "man:", err)
		os.Exit(1)
	}
}

func run(repfuse, dir string) error {
	date, err := pageDate()
	if err != nil {
		return err
	}
	commands, err := ask(repfuse)
	if err != nil {
		return err
	}
	part, err := os.MkdirTemp(filepath.Dir(dir), ".man-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(part) // by then nothing, where all went well
	for i, c := range commands {
		if err := os.WriteFile(filepath.Join(part, c.name+".1"), page(commands, i, date), 0o666); err != nil {
			return err
		}
	}
	if err := os.Chmod(part, 0o755); err != nil {
		return err
	}
	return os.Rename(part, dir)
}

// pageDate is the day of SOURCE_DATE_EPOCH, "" where that is not set.
func pageDate() (string, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		return "", nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return "", fmt.Errorf("SOURCE_DATE_EPOCH %q, want seconds since 1970", text)
	}
	return time.Unix(seconds, 0).UTC().Format(time.DateOnly), nil
}

// command is a command as its --help has it.
type command struct {
	name, short, version string
	sections             map[string]string // Usage, Examples, …; "" is the text before them
}

var (
	heading = regexp.MustCompile(`(?m)^([A-Z][A-Za-z ]*):\n`)
	listed  = regexp.MustCompile(`(?m)^  (\S+) +(.*)$`)
	flag    = regexp.MustCompile(`^ +(?:(-\w), )?(--[\w-]+)(?: (\S.*?))?  +(\S.*)$`)
)

// ask runs repfuse for its commands, itself first.
func ask(repfuse string) ([]command, error) {
	help, err := output(repfuse, "--help")
	if err != nil {
		return nil, err
	}
	version, err := output(repfuse, "--version")
	if err != nil {
		return nil, err
	}
	version = strings.TrimSpace(strings.Replace(version, " version", "", 1))
	all := []command{{"repfuse", "Fuse re-parameterized network weights on disk", version, split(help)}}
	for _, m := range listed.FindAllStringSubmatch(all[0].sections["Available Commands"], -1) {
		if m[1] == "help" {
			continue
		}
		help, err := output(repfuse, m[1], "--help")
		if err != nil {
			return nil, err
		}
		all = append(all, command{"repfuse-" + m[1], m[2], version, split(help)})
	}
	return all, nil
}

func output(name string, args ...string) (string, error) {
	b, err := exec.Command(name, args...).Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return string(b), nil
}

// split is the sections of a help text by their headings.
func split(help string) map[string]string {
	sections := map[string]string{}
	at, name := 0, ""
	for _, m := range heading.FindAllStringSubmatchIndex(help, -1) {
		sections[name] = strings.Trim(help[at:m[0]], "\n")
		at, name = m[1], help[m[2]:m[3]]
	}
	last, _, _ := strings.Cut(help[at:], "\n\nUse \"")
	sections[name] = strings.Trim(last, "\n")
	return sections
}
