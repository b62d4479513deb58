package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"repfuse"
	"repfuse/internal/text"
)

// jsonVersion is the version of whatever a command prints as JSON. A member that goes, or means something else, makes
// it one more.
const jsonVersion = 1

// printJSON prints an object that has members, and before them the version.
func printJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "{\n  \"version\": %d,%s", jsonVersion, b.Bytes()[len("{"):])
	return err
}

// printf is fmt.Fprintf for what people read: whatever file a string, an error or what
// else is text came from, it stays on its line and does nothing to the terminal.
func printf(w io.Writer, format string, args ...any) {
	for k, a := range args {
		switch a := a.(type) {
		case string:
			args[k] = text.Shown(a)
		case error:
			args[k] = text.Shown(a.Error())
		case fmt.Stringer:
			args[k] = text.Shown(a.String())
		}
	}
	fmt.Fprintf(w, format, args...)
}

// printNotes prints what was assumed or is worth knowing.
func printNotes(w io.Writer, notes []repfuse.Note) {
	for _, n := range notes {
		printf(w, "note: %s%s\n", n, bracketed(n.Hint))
	}
}

func bracketed(s string) string {
	if s == "" {
		return ""
	}
	return " (" + s + ")"
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

// width is the columns that text keeps to.
const width = 80

// printWrapped prints text in lines that end before width, broken at spaces: the first
// behind lead, the others behind indent. Foreign text is shown as printf does.
func printWrapped(w io.Writer, lead, indent, sentence string) {
	line, used := lead, utf8.RuneCountInString(lead)
	for k, word := range strings.Split(text.Shown(sentence), " ") {
		n := utf8.RuneCountInString(word)
		switch {
		case k == 0:
		case used+1+n > width:
			fmt.Fprintln(w, line)
			line, used = indent, utf8.RuneCountInString(indent)
		default:
			line, used = line+" ", used+1
		}
		line, used = line+word, used+n
	}
	fmt.Fprintln(w, line)
}

// count is a number and a noun, in the plural where there are several.
func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// size is a number of bytes for people, in powers of ten as disks are sold.
func size(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1000*1000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 1000*1000*1000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.2f GB", float64(n)/1e9)
}

// thousands is a count for people.
func thousands(n int64) string {
	switch {
	case n < 1000:
		return strconv.FormatInt(n, 10)
	case n < 1000*1000:
		return fmt.Sprintf("%.1f k", float64(n)/1e3)
	case n < 1000*1000*1000:
		return fmt.Sprintf("%.1f M", float64(n)/1e6)
	}
	return fmt.Sprintf("%.2f G", float64(n)/1e9)
}

// familyCounts is "22 repvgg blocks, 3 conv-bn blocks" in the order found.
func familyCounts(blocks []repfuse.Block) string {
	n := map[string]int{}
	var order []string
	for _, b := range blocks {
		if n[b.Family]++; n[b.Family] == 1 {
			order = append(order, b.Family)
		}
	}
	for k, name := range order {
		order[k] = count(n[name], name+" block")
	}
	return strings.Join(order, ", ")
}
