package family

import (
	"slices"
	"strconv"
	"strings"
)

// Glob is a pattern of keys or of block paths: * stands for anything within a
// segment, ** for anything, <n> for a number.
type Glob struct {
	pattern string
	literal bool
}

// CompileGlob makes a Glob; "." is the root, and a key in quotes fits itself alone.
func CompileGlob(pattern string) Glob {
	if key, err := strconv.Unquote(pattern); err == nil && pattern[0] == '"' {
		return Glob{key, true}
	}
	if pattern == "." {
		pattern = ""
	}
	return Glob{pattern: pattern}
}

// CompileGlobs makes Globs of a list.
func CompileGlobs(patterns []string) []Glob {
	list := make([]Glob, len(patterns))
	for k, p := range patterns {
		list[k] = CompileGlob(p)
	}
	return list
}

// MatchAny reports whether one of several fits.
func MatchAny(list []Glob, s string) bool {
	return slices.ContainsFunc(list, func(g Glob) bool { return g.Match(s) })
}

// Key is the one key that the glob fits; ok reports whether it is one.
func (g Glob) Key() (key string, ok bool) {
	return g.pattern, g.literal || !strings.ContainsAny(g.pattern, "*<")
}

// Match reports whether the whole of s fits.
func (g Glob) Match(s string) bool {
	if g.literal {
		return s == g.pattern
	}
	return fits(g.pattern, s)
}

// fits follows a pattern without stars letter by letter; from the first star on, it keeps all
// places that the pattern read so far may end at, so that many stars take no more time
// than one for each of them.
func fits(pattern, s string) bool {
	for pattern != "" && pattern[0] != '*' {
		n := 1
		rest, number := placeholder(pattern)
		switch {
		case number:
			n = digits(s)
		case s == "" || pattern[0] != s[0]:
			return false
		default:
			rest = pattern[1:]
		}
		if n == 0 {
			return false
		}
		pattern, s = rest, s[n:]
	}
	if pattern == "" {
		return s == ""
	}
	ends := make([]bool, len(s)+1)
	for ends[0] = true; pattern != ""; {
		pattern = step(ends, pattern, s)
	}
	return ends[len(s)]
}

// step takes one thing off the pattern, and the ends that it may have in s one further.
func step(ends []bool, pattern, s string) (rest string) {
	if rest, ok := strings.CutPrefix(pattern, "**"); ok {
		for k := range len(s) {
			ends[k+1] = ends[k+1] || ends[k]
		}
		return rest
	}
	if rest, ok := strings.CutPrefix(pattern, "*"); ok {
		for k := range len(s) {
			ends[k+1] = ends[k+1] || ends[k] && s[k] != '.'
		}
		return rest
	}
	rest, number := placeholder(pattern)
	if !number {
		rest = pattern[1:]
		for k := len(s); k > 0; k-- {
			ends[k] = ends[k-1] && s[k-1] == pattern[0]
		}
		ends[0] = false
		return rest
	}
	begins := false // of a number that goes on at k, one of whose digits is at an end so far
	for k := 0; k <= len(s); k++ {
		digit := k < len(s) && digits(s[k:k+1]) == 1
		at := ends[k]
		ends[k] = begins && !digit
		begins = digit && (begins || at)
	}
	return rest
}

// placeholder takes a <name> off the front of a pattern.
func placeholder(pattern string) (rest string, ok bool) {
	if pattern[0] != '<' {
		return "", false
	}
	end := strings.IndexByte(pattern, '>')
	if end < 2 || strings.Trim(pattern[1:end], "abcdefghijklmnopqrstuvwxyz_") != "" {
		return "", false
	}
	return pattern[end+1:], true
}

// digits is how many decimal digits s begins with.
func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}
