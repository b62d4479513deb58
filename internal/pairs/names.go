package pairs

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// extents is the end of a name that says how large a kernel is: conv_3x3, conv2_kxk.
var extents = regexp.MustCompile(`_?(\d+x\d+|kxk)$`)

// number is the number at the end of a module's name, −1 where there is none.
func number(name string) int {
	name = extents.ReplaceAllString(name, "")
	digits := name[len(strings.TrimRight(name, "0123456789")):]
	n, err := strconv.Atoi(digits)
	if err != nil {
		return -1
	}
	return n
}

func isIndex(name string) bool {
	_, err := strconv.Atoi(name)
	return err == nil
}

// agree reports whether a norm's name allows it to be the one behind a layer. linear
// marks a Linear layer, within a layer that is the last in a module of the name.
func agree(layer, norm string, linear, within bool) bool {
	if isIndex(layer) || isIndex(norm) {
		return isIndex(layer) && isIndex(norm) && number(norm) == number(layer)+1
	}
	a, b := number(layer), number(norm)
	switch {
	case within:
		return a >= 0 && a == b
	case a >= 0: // a norm without a number belongs to several, or to their sum
		return b == a || b == a+1
	case linear: // "norm" beside a projection may be of what comes before it
		return !strings.HasPrefix(norm, "norm")
	}
	return true
}

// word is a number, an extent such as 3x3, or a word, whose first letter may be large.
var word = regexp.MustCompile(`\d+(x\d+)+|\d+|[A-Z]?[a-z]+|[A-Z]+`)

// roles is the words that say what a tensor is of a branch, and not of which branch.
var roles = strings.Fields("weight weights kernel kernels w k filter bias biases b conv bn norm batchnorm")

// Words is what a name says of which branch a tensor is, where 3x3 and 3 are the same.
func Words(name string) string {
	var all []string
	for _, w := range word.FindAllString(name, -1) {
		w = strings.ToLower(w)
		first, rest, _ := strings.Cut(w, "x")
		if _, err := strconv.Atoi(first); err == nil && strings.Trim(strings.ReplaceAll(rest, first, ""), "x") == "" {
			w = first
		}
		if !slices.Contains(roles, w) {
			all = append(all, w)
		}
	}
	return strings.Join(all, " ")
}
