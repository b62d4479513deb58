//go:build familygen

package family

// What gen is about to write, which must not need what it wrote before.
const builtinSum = 0

var builtinFamilies []Family
