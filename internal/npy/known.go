package npy

import "sync"

// known is the dicts that were read before, and found good: a model has few, and each
// many times.
var known dicts

// dicts is what texts come to, by version and text. Their shapes are not to be written to.
type dicts struct {
	mu     sync.RWMutex
	byText [4]map[string]dict
}

func (k *dicts) get(version byte, text []byte) (dict, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	d, ok := k.byText[version][string(text)]
	return d, ok
}

// add keeps a dict, unless its text is so long that it is hardly numpy's.
func (k *dicts) add(version byte, text []byte, d dict) {
	if len(text) > firstRead {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.byText[version] == nil {
		k.byText[version] = map[string]dict{}
	}
	k.byText[version][string(text)] = d
}
