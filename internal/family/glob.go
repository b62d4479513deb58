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

func fits(pattern, s string) bool {
	for pattern != "" {
		if rest, ok := strings.CutPrefix(pattern, "**"); ok {
			return somewhere(rest, s, len(s))
		}
		if rest, ok := strings.CutPrefix(pattern, "*"); ok {
			return somewhere(rest, s, segment(s))
		}
		if rest, ok := placeholder(pattern); ok {
			n := digits(s)
			return n > 0 && fits(rest, s[n:])
		}
		if s == "" || pattern[0] != s[0] {
			return false
		}
		pattern, s = pattern[1:], s[1:]
	}
	return s == ""
}

// somewhere reports whether the pattern fits what is left of s behind 0 to most of
// its bytes.
func somewhere(pattern, s string, most int) bool {
	for n := 0; n <= most; n++ {
		if fits(pattern, s[n:]) {
			return true
		}
	}
	return false
}

// segment is the length of s up to its first dot.
func segment(s string) int {
	if n := strings.IndexByte(s, '.'); n >= 0 {
		return n
	}
	return len(s)
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
