//go:build !linux

package checkpoint

import "errors"

// exchange is an error: here two paths cannot change places in one step.
func exchange(_, _ string) error { return errors.ErrUnsupported }
