package family

import "regexp"

// Glob is a pattern of keys or of block paths: * stands for anything within a
// segment, ** for anything, <n> for a number.
type Glob struct{ re *regexp.Regexp }

var globPart = regexp.MustCompile(`\*\*|\*|<[a-z_]+>|[^*<]+|<`)

// CompileGlob makes a Glob; "." is the root.
func CompileGlob(pattern string) Glob {
	if pattern == "." {
		pattern = ""
	}
	re := "^"
	for _, part := range globPart.FindAllString(pattern, -1) {
		switch {
		case part == "**":
			re += ".*"
		case part == "*":
			re += "[^.]*"
		case part[0] == '<' && len(part) > 1:
			re += "[0-9]+"
		default:
			re += regexp.QuoteMeta(part)
		}
	}
	return Glob{regexp.MustCompile(re + "$")}
}

// Match reports whether the whole of s fits.
func (g Glob) Match(s string) bool { return g.re.MatchString(s) }
