package disk

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Folder is a directory whose symbolic links are followed where they stay inside it. A
// snapshot in the cache of Hugging Face's hub is links to blobs beside it: of one, they may lead
// anywhere into the folder of its model.
type Folder struct {
	root   *os.Root
	within string // the directory, in root
}

// OpenFolder opens a directory.
func OpenFolder(dir string) (*Folder, error) {
	real, err := filepath.EvalSymlinks(dir)
	if err == nil {
		real, err = filepath.Abs(real)
	}
	if err != nil {
		return nil, err
	}
	f := &Folder{within: "."}
	if snapshots := filepath.Dir(real); filepath.Base(snapshots) == "snapshots" && strings.HasPrefix(filepath.Base(filepath.Dir(snapshots)), "models--") {
		dir, f.within = filepath.Dir(snapshots), filepath.Join("snapshots", filepath.Base(real))
	}
	f.root, err = os.OpenRoot(dir)
	return f, err
}

// Close closes the directory; files that were opened stay open.
func (f *Folder) Close() error { return f.root.Close() }

// Stat is what a name stands for, after its links.
func (f *Folder) Stat(name string) (fs.FileInfo, error) {
	return f.root.Stat(filepath.Join(f.within, name))
}

// Lstat is what a name stands for, perhaps a link.
func (f *Folder) Lstat(name string) (fs.FileInfo, error) {
	return f.root.Lstat(filepath.Join(f.within, name))
}

// Open opens a file for reading.
func (f *Folder) Open(name string) (*os.File, error) {
	return f.root.Open(filepath.Join(f.within, name))
}
