package checkpoint

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"repfuse/internal/disk"
	"repfuse/internal/hint"
	"repfuse/internal/pt2"
	"repfuse/internal/tensor"
)

// headSize is how many bytes of a file tell its format; a zip's first name is among them.
const headSize = 512

// zipMagic is how a zip archive begins.
const zipMagic = "PK\x03\x04"

// byContent finds the format of a file by how it begins, whatever its name. A file that is told
// and that repfuse cannot read is an error with the command that makes of it one that it can.
func byContent(path string) (f format, ok bool, err error) {
	head, size, err := beginning(path)
	if err != nil {
		return format{}, false, fmt.Errorf("%s: %w", path, err)
	}
	if err := strange(path, head); err != nil {
		return format{}, false, err
	}
	name := formatOf(head, size)
	if _, known := bySuffix(path); name == "" && !known && bytes.HasPrefix(head, []byte(zipMagic)) {
		name = "pth" // packed anew, in another order
	}
	for _, f := range formats {
		if f.name == name && !f.dir() {
			return f, true, nil
		}
	}
	return format{}, false, nil
}

// beginning is how a file begins, and how many bytes it has.
func beginning(path string) (head []byte, size int64, err error) {
	file, size, err := disk.OpenRegular(path)
	if err != nil {
		return nil, 0, disk.Cause(err)
	}
	defer file.Close()
	head = make([]byte, min(size, headSize))
	if err := tensor.ReadFull(file, head, 0); err != nil {
		return nil, 0, disk.Cause(err)
	}
	return head, size, nil
}

// formatOf is the name of the format that a file of so many bytes begins like, "" of none.
func formatOf(head []byte, size int64) string {
	has := func(magic string) bool { return bytes.HasPrefix(head, []byte(magic)) }
	switch {
	case has(zipMagic) && len(head) >= 30: // the name of the first entry is behind 30 bytes
		name := string(head[30:min(len(head), 30+int(binary.LittleEndian.Uint16(head[26:])))])
		switch {
		case strings.HasSuffix(name, ".npy"):
			return "npz"
		case strings.HasSuffix(name, "/data.pkl"):
			return pthName
		case name == pt2.First || slices.ContainsFunc(pt2.Folders, func(folder string) bool { return strings.Contains(name, "/"+folder) }):
			return pt2Name
		}
	case len(head) > 8 && head[8] == '{' && binary.LittleEndian.Uint64(head) <= uint64(size)-8: // a length that may begin as a pickle does
		return safetensorsName
	case len(head) > 1 && head[0] == 0x80 && head[1] >= 2 && head[1] <= 5: // PROTO and its version
		return "pth"
	case len(head) > 2 && head[0] == 0x08 && head[1] < 0x80 && strings.IndexByte(afterVersion, head[2]) >= 0:
		return onnxName
	}
	return ""
}

// afterVersion is the tags of the fields of an ONNX ModelProto that may follow its ir_version:
// producer_name, producer_version, domain, model_version, doc_string, graph, opset_import,
// metadata_props.
const afterVersion = "\x12\x1a\x22\x28\x32\x3a\x42\x72"

// strange is the error for what repfuse knows and does not read.
func strange(path string, head []byte) error {
	text := strings.ToLower(string(bytes.TrimSpace(head)))
	switch {
	case strings.HasSuffix(path, distributed):
		return sharded(filepath.Dir(path))
	case strings.HasPrefix(text, "version https://git-lfs.github.com/spec/"):
		return hint.Add(fmt.Errorf("%s is a pointer of Git LFS, and the file that it stands for is not here", path), "git lfs pull --include %q, in its repository", filepath.Base(path))
	case strings.HasPrefix(text, "<!doctype html"), strings.HasPrefix(text, "<html"):
		return hint.Add(fmt.Errorf("%s is a web page, and no checkpoint", path), "download the file that the page links to: curl -L -o %s URL", path)
	case bytes.HasPrefix(head, []byte("\x93NUMPY")) && bytes.Contains(head, []byte("'|O'")):
		name := filepath.ToSlash(path)
		return hint.Add(fmt.Errorf("%s holds pickled Python objects and no array", path),
			`python -c "import numpy as np; np.savez('model.npz', **np.load('%s', allow_pickle=True).item())" makes a .npz of a dict`, name)
	}
	return nil
}

// distributed is how the shards of torch.distributed.checkpoint end.
const distributed = ".distcp"

// sharded is the error for a directory of them.
func sharded(dir string) error {
	return hint.Add(fmt.Errorf("%s holds shards of torch.distributed.checkpoint, want one file", dir),
		"python -m torch.distributed.checkpoint.format_utils dcp_to_torch %s model.pth", dir)
}
