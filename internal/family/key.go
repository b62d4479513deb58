package family

import (
	"strconv"
	"strings"
)

// Whole is a key relative to a module as the checkpoint has it; "" is the module itself.
func Whole(module, key string) string {
	switch {
	case key == "":
		return module
	case module == "":
		return key
	}
	return module + "." + key
}

// Relative is a key as a module sees it, "" where it is the module itself. ok reports
// whether Whole makes the key of it again.
func Relative(module, key string) (rest string, ok bool) {
	switch module {
	case key:
		return "", true
	case "":
		return key, true
	}
	rest, ok = strings.CutPrefix(key, module+".")
	return rest, ok && rest != ""
}

// Child joins a module and a name; "." is the module itself, and a module that ends
// in a dot or an underscore is taken as it is (bn3x3_ for bn3x3_running_mean).
func Child(module, name string) string {
	switch {
	case module == "." || module == "":
		return name
	case strings.HasSuffix(module, ".") || strings.HasSuffix(module, "_"):
		return module + name
	}
	return module + "." + name
}

// Stem is the module to which Child joins a name so that the key begins with prefix,
// which ends in a dot or an underscore.
func Stem(prefix string) string {
	if prefix == "" {
		return "."
	}
	if strings.HasSuffix(prefix, "_.") {
		return prefix
	}
	return strings.TrimSuffix(prefix, ".")
}

const wordChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"

// Quote is a module as the notation has it, in quotes where it is no word; "." is the
// block itself.
func Quote(module string) string {
	if module == "." {
		return module
	}
	return QuoteKey(module)
}

// QuoteKey is a key relative to a module as the notation has it; "" is the module itself.
func QuoteKey(key string) string {
	switch {
	case key == "":
		return "."
	case strings.Trim(key, wordChars) != "" || strings.Contains(key, "..") || key[0] == '.':
		return strconv.Quote(key)
	}
	return key
}

// QuoteGlob is a key as a glob that fits it alone.
func QuoteGlob(key string) string {
	if key == "." || strings.ContainsAny(key, "*<\"") || !printable(key) {
		return strconv.Quote(key)
	}
	return key
}

// ModuleGlob is the path of a module, "" being the root, as a glob that fits it alone.
func ModuleGlob(path string) string {
	if path == "" {
		return "."
	}
	return QuoteGlob(path)
}

// Text is a key as a field of a declaration or of a plan file has it, "." for the module
// itself.
func Text(key string) string {
	switch {
	case key == "":
		return "."
	case key == "." || key[0] == '"' || !printable(key):
		return strconv.Quote(key)
	}
	return key
}

// Untext is the key of which Text is made.
func Untext(text string) string {
	if text == "." {
		return ""
	}
	if key, err := strconv.Unquote(text); err == nil && text[0] == '"' {
		return key
	}
	return text
}

// printable reports whether text comes out of a file as it went in, whatever the format.
func printable(text string) bool { return strconv.Quote(text) == `"`+escapeQuotes.Replace(text)+`"` }

var escapeQuotes = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// Within nodes keys are templates: <n> stands for a number, "." is the module itself, and
// of a key in quotes, in which neither means anything, < is written <<> and nothing <>.
var unescape = strings.NewReplacer("<<>", "<", "<>", "")

// literal is the template of a key in quotes.
func literal(key string) string {
	t := strings.ReplaceAll(key, "<", "<<>")
	if t == "" || t == "." {
		t = "<>" + t
	}
	return t
}

// plain is the key that a template without <n> stands for.
func plain(template string) string {
	switch {
	case template == ".":
		return ""
	case !strings.Contains(template, "<"):
		return template
	}
	return unescape.Replace(template)
}
