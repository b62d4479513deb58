//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package checkpoint

// lock does nothing: here the process's number alone tells who is at work.
func lock(string) (unlock func()) { return func() {} }

func tryLock(string) (unlock func(), before lockState) { return func() {}, unknown }

func removable(string) error { return nil }
