package pt2

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"repfuse/internal/disk"
	"repfuse/internal/pth"
	"repfuse/internal/tensor"
)

// payload is what the list of weights says of a tensor: the record that its storage is, and how
// it lies there.
type payload struct {
	Path   string `json:"path_name"`
	Pickle bool   `json:"use_pickle"`
	Meta   *struct {
		value
		Strides []extent
		Offset  extent `json:"storage_offset"`
		Layout  int
	} `json:"tensor_meta"`
}

// strided is the layout of a tensor that is neither sparse nor another library's.
const strided = 7

// types is the element types by their numbers in the schema.
var types = map[int]tensor.Type{
	1: tensor.U8, 2: tensor.I8, 3: tensor.I16, 4: tensor.I32, 5: tensor.I64, 6: tensor.F16, 7: tensor.F32, 8: tensor.F64,
	10: tensor.C64, 11: tensor.C128, 12: tensor.Bool, 13: tensor.BF16, 28: tensor.U16, 29: tensor.F8E4M3, 30: tensor.F8E5M2,
}

// listed is the tensors of a list of weights, in its order.
func listed(r *pth.Records, text []byte) ([]tensor.Named, error) {
	var list struct{ Config json.RawMessage }
	if err := disk.JSON(text, &list); err != nil {
		return nil, err
	}
	var all []tensor.Named
	err := eachOf(list.Config, func(key string, p payload) error {
		t, err := p.tensor(r)
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		all = append(all, tensor.Named{Key: key, Tensor: t})
		return nil
	})
	return all, err
}

// eachOf calls a function for each entry of an object, in the order in which they stand.
func eachOf(object []byte, f func(key string, p payload) error) error {
	d := json.NewDecoder(bytes.NewReader(object))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errors.New("no list of tensors under config")
	}
	for d.More() {
		key, err := d.Token() // a string: the decoder takes no other
		if err != nil {
			return err
		}
		var p payload
		if err := d.Decode(&p); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		if err := f(key.(string), p); err != nil {
			return err
		}
	}
	return nil
}

func (p payload) tensor(r *pth.Records) (tensor.Tensor, error) {
	if p.Pickle || p.Meta == nil {
		return tensor.Tensor{}, errors.New("a pickled object of a class of its own, want a plain tensor")
	}
	typ, ok := types[p.Meta.DType]
	if !ok {
		return tensor.Tensor{}, fmt.Errorf("element type %d is not known", p.Meta.DType)
	}
	if p.Meta.Layout != strided {
		return tensor.Tensor{}, fmt.Errorf("layout %d, want %d, a dense tensor", p.Meta.Layout, strided)
	}
	shape, err := numbers(p.Meta.Sizes)
	if err != nil {
		return tensor.Tensor{}, err
	}
	strides, err := numbers(p.Meta.Strides)
	if err != nil {
		return tensor.Tensor{}, err
	}
	offset, err := p.Meta.Offset.number()
	if err != nil {
		return tensor.Tensor{}, err
	}
	return r.Tensor(payloads+p.Path, tensor.Strided{Type: typ, Shape: shape, Strides: strides, Offset: int64(offset)})
}

func numbers(list []extent) ([]int, error) {
	all := make([]int, len(list))
	for k, e := range list {
		n, err := e.number()
		if err != nil {
			return nil, err
		}
		all[k] = n
	}
	return all, nil
}
