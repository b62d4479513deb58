// Package disk reads and writes regular files at offsets, fast where their bytes are in
// the page cache: which is where a pipeline finds what it has just written.
package disk
