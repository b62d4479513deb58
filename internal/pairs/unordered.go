package pairs

import (
	"strconv"
	"strings"
)

// A file without an order does not say whether bn1 stands behind conv1 or before it, and
// where a layer gives as many channels as it takes, its shape does not either. Other
// pairs of the same names do, as their modules are of the same classes.

// kind is the names of a layer and a norm, and how far their numbers are apart.
type kind struct {
	layer, norm string
	apart       int
}

func kindOf(layer, norm *module) kind {
	k := kind{layer: strings.TrimRight(layer.name, "0123456789"), norm: strings.TrimRight(norm.name, "0123456789")}
	if a := number(layer.name); a >= 0 {
		k.apart = number(norm.name) - a
	} else {
		k.norm = norm.name
	}
	return k
}

// vote counts, for each kind, the layers whose inputs and outputs differ in number and
// that give as many channels as the norm has. One that gives another number decides that
// norms of the kind are not behind their layers.
func (f *finder) vote() {
	for _, siblings := range f.children {
		for _, norm := range siblings {
			if !norm.isNorm() {
				continue
			}
			for _, layer := range siblings {
				w := layer.weight()
				if w == nil || !agree(layer.name, norm.name, len(w) == 2, false) {
					continue
				}
				switch k := kindOf(layer, norm); {
				case w[0] != norm.channels():
					f.votes[k] -= len(f.modules)
				case w[0] != w[1] && w[1] > 1: // [C, 1, …] may be depthwise, which gives what it takes
					f.votes[k]++
				}
			}
		}
	}
}

// byName finds a norm's layer among its siblings by names and channels.
func (f *finder) byName(norm *module) (p Pair, why string) {
	var fitting []Pair
	for _, layer := range f.children[norm.parent] {
		w := layer.weight()
		if w == nil || !agree(layer.name, norm.name, len(w) == 2, false) || !f.isBehind(layer, norm) {
			continue
		}
		if p, why := fits(layer, norm); why == "" {
			fitting = append(fitting, p)
		}
	}
	switch {
	case len(fitting) == 0:
		return p, "no layer beside it goes with it by name, channels and the shapes of others so named"
	case len(fitting) > 1:
		return p, strconv.Itoa(len(fitting)) + " layers beside it go with it, and the file has no order"
	case f.rivals(fitting[0], norm) > 0:
		return p, "other norms go with " + fitting[0].Layer + " as well, and the file has no order"
	}
	if between := f.between(norm); between != "" {
		return p, between + " may stand between it and " + fitting[0].Layer + ", and the file has no order"
	}
	return fitting[0], ""
}

// isBehind reports whether the names go together, numbers and all, and the shapes of all
// layers so named show the norm behind.
func (f *finder) isBehind(layer, norm *module) bool {
	k := kindOf(layer, norm)
	return k.apart == 0 && f.votes[k] > 0
}

// between names a module beside the norm that takes and gives as many channels as it has,
// as squeeze-and-excitation does: it may stand before the norm or behind it.
func (f *finder) between(norm *module) string {
	for _, list := range f.lists[norm.parent] {
		inside := f.children[list]
		first, last := inside[0].weight(), inside[len(inside)-1].weight()
		if first != nil && last != nil && first[1] == norm.channels() && last[0] == norm.channels() {
			return list
		}
	}
	return ""
}

// rivals counts the norms beside a pair's that could be behind its layer too, where the
// layer has no number that would choose among them.
func (f *finder) rivals(p Pair, norm *module) int {
	n := 0
	_, layer := cut(p.Layer)
	for _, m := range f.children[norm.parent] {
		if m != norm && m.isNorm() && m.channels() == norm.channels() && number(layer) < 0 && agree(layer, m.name, false, false) {
			n++
		}
	}
	return n
}
