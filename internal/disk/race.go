//go:build race

package disk

// underRace has all bytes go by package unix, which tells the race detector of them.
const underRace = true
