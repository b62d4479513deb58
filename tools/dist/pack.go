package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// entry is a file in an archive; mode 0 is 0644, and a name that ends in / a directory.
type entry struct {
	name, from string
	data       []byte
	mode       int64
}

func (e entry) permissions() int64 {
	switch {
	case e.mode != 0:
		return e.mode
	case strings.HasSuffix(e.name, "/"):
		return 0o755
	}
	return 0o644
}

// write makes a file of the release from what pack writes.
func (r *release) write(name string, files []entry, pack func(io.Writer, []entry) error) error {
	f, err := os.OpenFile(filepath.Join(r.dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if err := pack(f, files); err != nil {
		f.Close()
		return fmt.Errorf("%s: %w", name, err)
	}
	return f.Close()
}

func (r *release) tarGz(to io.Writer, files []entry) error {
	z, err := gzip.NewWriterLevel(to, gzip.BestCompression)
	if err != nil {
		return err
	}
	w := tar.NewWriter(z)
	for _, e := range files {
		h := &tar.Header{Name: e.name, Size: int64(len(e.data)), Mode: e.permissions(), ModTime: r.date, Uname: "root", Gname: "root", Typeflag: tar.TypeReg}
		if strings.HasSuffix(e.name, "/") {
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		if _, err := w.Write(e.data); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return z.Close()
}

func (r *release) zip(to io.Writer, files []entry) error {
	w := zip.NewWriter(to)
	for _, e := range files {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		h.SetMode(os.FileMode(e.permissions()))
		h.Modified = r.date
		if r.date.Year() < 1980 { // the first that a zip archive can say
			h.Modified = r.date.AddDate(1980-r.date.Year(), 0, 0)
		}
		f, err := w.CreateHeader(h)
		if err != nil {
			return err
		}
		if _, err := f.Write(e.data); err != nil {
			return err
		}
	}
	return w.Close()
}

// deb makes a package of Debian, deb(5): an ar archive of a version, what the package
// is, and its files. It depends on nothing, the binary being static.
func (r *release) deb(arch string, program []byte) error {
	files := []entry{
		{name: "./usr/bin/repfuse", data: program, mode: 0o755},
	}
	where := map[string]string{
		"LICENSE": "./usr/share/doc/repfuse/copyright", "CHANGELOG.md": "./usr/share/doc/repfuse/CHANGELOG.md",
		"completions/repfuse.bash": "./usr/share/bash-completion/completions/repfuse",
		"completions/repfuse.zsh":  "./usr/share/zsh/vendor-completions/_repfuse",
		"completions/repfuse.fish": "./usr/share/fish/vendor_completions.d/repfuse.fish",
	}
	for _, e := range r.common {
		name := where[e.name]
		if strings.HasPrefix(e.name, "man/") {
			name = "./usr/share/man/man1/" + strings.TrimPrefix(e.name, "man/")
		}
		if name != "" {
			files = append(files, entry{name: name, data: e.data})
		}
	}
	size := 0
	for _, e := range files {
		size += len(e.data)
	}
	control := fmt.Sprintf(`Package: repfuse
Version: %s
Architecture: %s
Maintainer: The repfuse authors <repfuse@localhost>
Installed-Size: %d
Section: science
Priority: optional
Description: fuse the weights of re-parameterized networks
 Merges the parallel branches of networks such as RepVGG or MobileOne into
 single convolutions, in their checkpoints on disk, and proves that nothing
 changed.
`, strings.ReplaceAll(r.version, "-", "~"), arch, (size+1023)/1024)
	return r.write(fmt.Sprintf("repfuse_%s_%s.deb", r.version, arch), nil, func(to io.Writer, _ []entry) error {
		var about, content bytes.Buffer
		if err := r.tarGz(&about, []entry{{name: "./control", data: []byte(control)}}); err != nil {
			return err
		}
		if err := r.tarGz(&content, parents(files)); err != nil {
			return err
		}
		return r.ar(to, []entry{
			{name: "debian-binary", data: []byte("2.0\n")}, {name: "control.tar.gz", data: about.Bytes()}, {name: "data.tar.gz", data: content.Bytes()},
		})
	})
}

// parents puts each directory before the first file in it, as dpkg wants them.
func parents(files []entry) []entry {
	var all []entry
	known := map[string]bool{".": true}
	for _, e := range files {
		for i, c := range e.name {
			if c == '/' && !known[e.name[:i]] {
				known[e.name[:i]] = true
				all = append(all, entry{name: e.name[:i+1]})
			}
		}
		all = append(all, e)
	}
	return all
}

// ar writes an archive in the common form of ar(5).
func (r *release) ar(to io.Writer, files []entry) error {
	var b bytes.Buffer
	b.WriteString("!<arch>\n")
	for _, e := range files {
		fmt.Fprintf(&b, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", e.name, r.date.Unix(), 0, 0, "100644", len(e.data))
		b.Write(e.data)
		if len(e.data)%2 == 1 {
			b.WriteByte('\n')
		}
	}
	_, err := to.Write(b.Bytes())
	return err
}
