package family

import (
	"slices"
	"strings"
)

// IsDeploy reports whether a module is the family's deploy form: it has one of the keys
// that only that form has, every key below it is one that the family writes or keeps, and
// none is a batch norm's that it does not keep.
func (f *Family) IsDeploy(keys Keys, module string) bool {
	if !slices.ContainsFunc(f.Deployed, func(name string) bool { _, ok := keys.Lookup(module, name); return ok }) {
		return false
	}
	var written []Glob
	for _, o := range f.Make {
		if t, err := o.target(); err == nil {
			written = append(written, globOf(t.weight), globOf(t.bias))
		}
	}
	for _, name := range f.Deployed {
		written = append(written, globOf(name), globOf(strings.TrimSuffix(name, "weight")+"bias"))
	}
	keep := CompileGlobs(f.Keep)
	for _, key := range keys.Below(module) {
		if !MatchAny(written, key) && !MatchAny(keep, key) {
			return false
		}
	}
	return true
}

// globOf is a template of a key, in which <n> stands for anything, as a glob.
func globOf(template string) Glob {
	for {
		from := strings.IndexByte(template, '<')
		to := strings.IndexByte(template, '>')
		if from < 0 || to < from {
			return CompileGlob(template)
		}
		template = template[:from] + "*" + template[to+1:]
	}
}
