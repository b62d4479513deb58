package family

import "strings"

// IsDeploy reports whether a module is the family's deploy form: it has one of the keys
// that only that form has, every key below it is one that the family writes or keeps, and
// none is a batch norm's that it does not keep.
func (f *Family) IsDeploy(keys Keys, module string) bool {
	var written []Glob
	for _, o := range f.Make {
		if t, err := o.target(); err == nil {
			written = append(written, globOf(t.weight), globOf(t.bias))
		}
	}
	own := false
	for _, name := range f.Deployed {
		if _, ok := keys.Lookup(module, name); ok {
			own = true
		}
		written = append(written, globOf(name), globOf(strings.TrimSuffix(name, "weight")+"bias"))
	}
	keep := CompileGlobs(f.Keep)
	for _, key := range keys.Below(module) {
		if !own || !MatchAny(written, key) && !MatchAny(keep, key) {
			return false
		}
	}
	return own
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
