package family

import (
	"slices"
	"strings"

	"repfuse/internal/tensor"
)

// FirstNames lists the child names that a module must have one of for an anchor to
// hold; "" stands for an anchor that begins with a wildcard.
func (f *Family) FirstNames() []string {
	var names []string
	for _, set := range f.Anchor {
		key, exact := CompileGlob(set[0].Key).Key()
		first, _, _ := strings.Cut(key, ".")
		if !exact && strings.ContainsAny(first, "*<") {
			first = ""
		}
		if !slices.Contains(names, first) {
			names = append(names, first)
		}
	}
	return names
}

// Reads lists the keys that the family's expressions read, with <n> in the place of a number; of a layer
// the kernel without its bias, of a batch norm under its usual names the mean alone.
func (f *Family) Reads() []string {
	var all []string
	for _, out := range f.Make {
		all = append(all, keysOf(out.Expr)...)
	}
	return all
}

// Anchored reports whether a module has all keys of one of the family's anchors.
func (f *Family) Anchored(keys Keys, module string) bool {
	for _, set := range f.Anchor {
		if !slices.ContainsFunc(set, func(p Pattern) bool { return p.holds(keys, module) == p.Absent }) {
			return true
		}
	}
	return false
}

// AnchorText is the keys of the anchors, one set behind the other.
func (f *Family) AnchorText() string {
	var sets []string
	for _, set := range f.Anchor {
		var keys []string
		for _, p := range set {
			keys = append(keys, p.Key)
		}
		sets = append(sets, strings.Join(keys, " "))
	}
	return strings.Join(sets, ", or ")
}

func (p Pattern) holds(keys Keys, module string) bool {
	glob := CompileGlob(p.Key)
	if key, exact := glob.Key(); exact {
		t, ok := keys.Lookup(module, key)
		return ok && p.fits(t)
	}
	return slices.ContainsFunc(keys.Below(module), func(key string) bool {
		if !glob.Match(key) {
			return false
		}
		t, _ := keys.Lookup(module, key)
		return p.fits(t)
	})
}

// fits reports whether a tensor has the extents that the pattern asks for.
func (p Pattern) fits(t *tensor.Named) bool {
	if p.Shape != nil && !slices.EqualFunc(p.Shape, t.Shape, func(want, n int) bool { return want == anyExtent || want == n }) {
		return false
	}
	return p.Kernel == nil || (len(t.Shape) >= 2 && slices.Equal(t.Shape[2:], p.Kernel) != p.Other)
}
