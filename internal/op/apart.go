package op

import "fmt"

// window is the input channels, from to to-1, that a part of a concat has apart, and the groups that
// it falls into; the zero window is none.
type window struct{ from, to, groups int }

// windowBefore is the window of g applied to what f gives: f's own, or g's behind what acts on single channels.
func (f Form) windowBefore(g Form) window {
	switch w := f.apart; {
	case w.groups > 0:
		w.groups = GCD(w.groups, g.Groups)
		return w
	case f.Groups == f.In && f.Out == f.In:
		return g.apart
	}
	return window{}
}

// beside is the window of two branches that have one together.
func (w window) beside(v window) window {
	if w.from != v.from || w.to != v.to {
		return window{}
	}
	return window{w.from, w.to, GCD(w.groups, v.groups)}
}

// stacked is the form of parts, laid over each other in all, one behind the other. Where they have channels apart,
// the kernel is zero outside of the blocks on its diagonal, and has as many groups as there are blocks of one size.
func stacked(all Form, parts []Form) (Form, error) {
	all.Out, all.Groups, all.apart = 0, 1, window{}
	at, width, some := 0, 1, false
	for _, f := range parts {
		all.Out, some = all.Out+f.Out, some || f.apart.groups > 0
	}
	if !some {
		return all, nil
	}
	for _, f := range parts {
		w := f.apart
		if w.groups == 0 || w.from != at {
			return all, notApart(all, parts)
		}
		at = w.to
		size := (w.to - w.from) / w.groups
		width *= size / GCD(width, size)
	}
	for _, f := range parts {
		if w := f.apart.to - f.apart.from; at != all.In || w%width != 0 || f.Out*at != all.Out*w {
			return all, notApart(all, parts)
		}
	}
	all.Groups = at / width
	return all, nil
}

func notApart(all Form, parts []Form) error {
	s := ""
	for _, f := range parts {
		if w := f.apart; w.groups > 0 {
			s += fmt.Sprintf("%d:%d in groups of %d to %d, ", w.from, w.to, (w.to-w.from)/w.groups, f.Out/w.groups)
		} else {
			s += "all, "
		}
	}
	return fmt.Errorf("a concat of channels apart whose parts read %swant parts that read each of %d once, in order, in groups of one size", s, all.In)
}
