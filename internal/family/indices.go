package family

import (
	"slices"
	"strconv"
	"strings"
)

// binding is the value of a <name> in keys.
type binding struct{ name, value string }

// fill is the key that a template stands for, with captured values and answers in the
// place of <name>.
func (b *builder) fill(template string) string { return plain(b.substitute(template)) }

func (b *builder) substitute(key string) string {
	if !strings.Contains(key, "<") {
		return key
	}
	for _, v := range b.env {
		key = strings.ReplaceAll(key, "<"+v.name+">", v.value)
	}
	for _, name := range varsOf(key) {
		if q, ok := b.family.Question(name); ok {
			b.keyed[name] = true
			key = strings.ReplaceAll(key, "<"+name+">", b.answer(q, "1").Value)
		}
	}
	return key
}

// varsOf lists the names that stand in <> in a key.
func varsOf(key string) []string {
	var names []string
	for at := strings.IndexByte(key, '<'); at >= 0; at = strings.IndexByte(key, '<') {
		key = key[at:]
		rest, ok := placeholder(key)
		if !ok {
			key = key[1:]
			continue
		}
		names = append(names, key[1:len(key)-len(rest)-1])
		key = rest
	}
	return names
}

// each calls do once for every set of values of vars that keys in n show; once
// where there are no vars.
func (b *builder) each(vars []string, n Node, do func()) {
	if len(vars) == 0 {
		do()
		return
	}
	outer := b.env
	for _, values := range b.captures(vars, n) {
		b.env = slices.Clone(outer)
		for k, name := range vars {
			b.env = append(b.env, binding{name, values[k]})
		}
		do()
	}
	b.env = outer
}

// captures finds the values that the vars take in the keys below the module.
func (b *builder) captures(vars []string, n Node) [][]string {
	seen := map[string][]string{}
	below := b.site.Keys.Below(b.site.Module)
	for _, template := range keysOf(n) {
		around, order, ok := b.template(template, vars)
		if !ok {
			continue
		}
		for _, key := range below {
			if found := numbers(around, key); found != nil {
				values := make([]string, len(vars))
				for k, at := range order {
					values[k] = found[at]
				}
				seen[strings.Join(values, ",")] = values
			}
		}
	}
	all := make([][]string, 0, len(seen))
	for _, v := range seen {
		all = append(all, v)
	}
	slices.SortFunc(all, compareNumbers)
	return all
}

func compareNumbers(a, c []string) int {
	for k := range a {
		x, _ := strconv.Atoi(a[k])
		y, _ := strconv.Atoi(c[k])
		if x != y {
			return x - y
		}
	}
	return 0
}

// template is a key with numbers in the place of <name>: what stands around them, and
// which of them is which of vars. ok reports whether it holds all of vars.
func (b *builder) template(key string, vars []string) (around []string, order []int, ok bool) {
	key = b.substitute(key)
	names := varsOf(key)
	order = make([]int, len(vars))
	for k, v := range vars {
		order[k] = slices.Index(names, v)
		if order[k] < 0 {
			return nil, nil, false
		}
	}
	for _, name := range names {
		before, after, _ := strings.Cut(key, "<"+name+">")
		around, key = append(around, unescape.Replace(before)), after
	}
	return append(around, unescape.Replace(key)), order, true
}

// numbers takes the numbers out of a key that is around with one in every gap; nil if
// it is no such key.
func numbers(around []string, key string) []string {
	rest, ok := strings.CutPrefix(key, around[0])
	if !ok {
		return nil
	}
	if len(around) == 1 {
		if rest != "" {
			return nil
		}
		return []string{}
	}
	for n := digits(rest); n > 0; n-- {
		if more := numbers(around[1:], rest[n:]); more != nil {
			return append([]string{rest[:n]}, more...)
		}
	}
	return nil
}

// keysOf lists the keys that a node reads by which its indices can be told.
func keysOf(n Node) []string {
	switch n := n.(type) {
	case *convNode:
		return n.weight.keys()
	case *bnNode:
		if n.keys != nil {
			return n.keys
		}
		return []string{Child(n.module, "running_mean"), Child(n.module, "_mean")}
	case *vectorNode:
		return n.by.keys()
	}
	var all []string
	for _, part := range parts(n) {
		all = append(all, keysOf(part)...)
	}
	return all
}

func (s source) keys() []string {
	if s.call != nil {
		return s.call.args
	}
	if s.key == "" {
		return nil
	}
	return []string{s.key}
}
