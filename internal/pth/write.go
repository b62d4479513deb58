package pth

import (
	"fmt"
	"strings"

	"repfuse/internal/disk"
	"repfuse/internal/tensor"
	"repfuse/internal/zipfile"
)

// Create makes, by create, a file at path that holds a state dict of
// the tensors of specs in their order, as torch.save writes it. root is the name of the
// folder in the archive; torch.save takes the file's name without its extension. Where wrap is
// not "", the dict lies under that key of another, as in {"state_dict": …}. The
// bytes of the file follow from root, wrap, specs and the tensors alone.
func Create(path, root, wrap string, specs []tensor.Spec, create disk.Maker) (tensor.Writer, error) {
	pkl, err := stateDict(wrap, specs)
	if err == nil && (root == "" || strings.ContainsAny(root, "/\\\x00") || len(root) > 255) {
		err = fmt.Errorf("archive name %q, want a plain name", root)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	members := []zipfile.Member{{Name: root + "/data.pkl", Head: pkl, Tensor: -1}, {Name: root + "/byteorder", Head: []byte("little"), Tensor: -1}}
	for i := range specs {
		members = append(members, zipfile.Member{Name: fmt.Sprintf("%s/data/%d", root, i), Tensor: i})
	}
	members = append(members, zipfile.Member{Name: root + "/version", Head: []byte("3\n"), Tensor: -1})
	return zipfile.Torch.Create(path, members, specs, create)
}
