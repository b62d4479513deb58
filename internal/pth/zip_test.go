package pth

import (
	"archive/zip"
	"bytes"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"

	"repfuse/internal/tensor"
)

// one is the pickle of {'a': a float32 tensor of 4 elements in storage "0"}.
func one(t testing.TB) []byte {
	t.Helper()
	b, err := stateDict("", []tensor.Spec{{Key: "a", Type: tensor.F32, Shape: []int{4}}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// member is one record of an archive that is not as torch.save writes it.
type member struct {
	name   string
	bytes  []byte
	method uint16
	size   int // announced, where it is not that of bytes
	noCRC  bool
}

func archived(t testing.TB, members ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, m := range members {
		var err error
		if m.method == zip.Deflate && m.size == 0 {
			w, e := z.CreateHeader(&zip.FileHeader{Name: m.name, Method: zip.Deflate})
			if err = e; err == nil {
				_, err = w.Write(m.bytes)
			}
		} else {
			h := &zip.FileHeader{Name: m.name, Method: m.method, CRC32: crc32.ChecksumIEEE(m.bytes),
				CompressedSize64: uint64(max(m.size, len(m.bytes))), UncompressedSize64: uint64(max(m.size, len(m.bytes)))}
			if m.noCRC {
				h.CRC32 = 0
			}
			w, e := z.CreateRaw(h)
			if err = e; err == nil {
				_, err = w.Write(m.bytes)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestArchives(t *testing.T) {
	pkl, data := member{name: "m/data.pkl", bytes: one(t)}, member{name: "m/data/0", bytes: []byte("0123456789abcdef")}
	packed := func(m member) member { m.method = zip.Deflate; return m }
	unsummed := func(m member) member { m.noCRC = true; return m }
	order := func(s string) member { return member{name: "m/byteorder", bytes: []byte(s)} }
	for _, test := range []struct {
		name    string
		members []member
		elems   string
		err     string
	}{
		{"plain", []member{pkl, data}, "0123456789abcdef", ""},
		{"no CRC", []member{unsummed(pkl), unsummed(data)}, "0123456789abcdef", ""},
		{"little", []member{pkl, data, order("little")}, "0123456789abcdef", ""},
		{"big", []member{pkl, data, order("big")}, "32107654ba98fedc", ""},
		{"packed pickle", []member{packed(pkl), data}, "0123456789abcdef", ""},
		{"no order", []member{pkl, data, order("middle")}, "", `byteorder "middle", want little or big`},
		{"packed storage", []member{pkl, packed(data)}, "", "a: record data/0 is compressed, want it stored as torch.save does"},
		{"no pickle", []member{data}, "", "a zip archive without a data.pkl, want one written by torch.save"},
		{"no storage", []member{pkl}, "", "a: record data/0 is missing"},
		{"twice", []member{pkl, data, data}, "", "record m/data/0 is there twice"},
		{"two pickles", []member{pkl, data, {name: "n/data.pkl", bytes: pkl.bytes}}, "", "n/data.pkl and m/data.pkl are there, want one data.pkl"},
		{"TorchScript", []member{pkl, data, {name: "m/constants.pkl"}}, "", "a TorchScript archive, which is a program, want a state dict saved by torch.save"},
		{"TorchScript's code", []member{pkl, data, {name: "m/code/__torch__.py"}}, "", "a TorchScript archive, which is a program, want a state dict saved by torch.save"},
		{"short storage", []member{pkl, {name: "m/data/0", bytes: data.bytes[:15]}}, "", "a: storage 0: 4 elements of float32, but its record has 15 bytes"},
		{"lying size", []member{pkl, {name: "m/data/0", bytes: data.bytes, size: 1 << 30}}, "", "a: record data/0: 1073741824 bytes from byte 224 on, beyond the end of the file at 0"},
		{"bomb", []member{{name: "m/data.pkl", bytes: []byte{3, 0}, method: zip.Deflate, size: 1 << 30}}, "", "data.pkl: record data.pkl: 1073741824 bytes from byte 40 on, beyond the end of the file at 0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := archived(t, test.members...)
			f, err := Read(bytes.NewReader(b), int64(len(b)), Options{})
			if test.err != "" {
				want := strings.ReplaceAll(test.err, "at 0", fmt.Sprint("at ", len(b)))
				if err == nil || err.Error() != want {
					t.Errorf("%v, want %s", err, want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := f.Tensors[0].ReadAll()
			if err != nil || string(got) != test.elems {
				t.Errorf("%q, %v; want %q", got, err, test.elems)
			}
		})
	}
}

// A pickle that inflates to more than it announces, or announces too much, is refused
// before it is held.
func TestInflated(t *testing.T) {
	for n, want := range map[int]string{
		maxInflated:     "data.pkl: pickle: byte 0: 0x00 is no opcode",
		maxInflated + 1: "data.pkl: inflates to 67108865 bytes, want at most 67108864",
	} {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		w, err := z.CreateHeader(&zip.FileHeader{Name: "m/data.pkl", Method: zip.Deflate})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(make([]byte, n)); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(bytes.NewReader(b.Bytes()), int64(b.Len()), Options{}); err == nil || err.Error() != want {
			t.Errorf("%d bytes: %v, want %s", n, err, want)
		}
	}
}

func TestOtherFiles(t *testing.T) {
	tar := make([]byte, 600)
	copy(tar[257:], "ustar")
	for _, test := range []struct{ in, want string }{
		{"", "neither a zip archive nor a pickle, want a file saved by torch.save"},
		{"not a model", "neither a zip archive nor a pickle, want a file saved by torch.save"},
		{string(tar), "a tar file as PyTorch wrote before 0.1.10, want one saved by a later version"},
		{"\x89HDF\r\n", "an HDF5 file, want one saved by torch.save"},
		{"\x80\x02K\x01.", "holds 1, want a state dict or a module"},
		{"\x80\x02}.", "holds a dict without a state dict"},
		{"\x80\x02}.x", "1 bytes after the pickle, want none"},
		{"\x80\x02}X\x03\x00\x00\x00oneK\x01s.", "holds a dict without a state dict, only one"},
	} {
		if _, err := Read(strings.NewReader(test.in), int64(len(test.in)), Options{}); err == nil || err.Error() != test.want {
			t.Errorf("%v, want %s", err, test.want)
		}
	}
}

// What a state dict holds under a key is a tensor, or is refused by the name of what
// was to be called for it.
func TestNotTensors(t *testing.T) {
	text := func(s string) string { return "X" + string([]byte{byte(len(s)), 0, 0, 0}) + s }
	storage := func(class, key, count string) string {
		return "(" + text("storage") + "ctorch\n" + class + "\n" + key + text("cpu") + count + "tQ"
	}
	rebuild := func(storage, rest string) string {
		return "ctorch._utils\n_rebuild_tensor_v2\n(" + storage + rest + "tR"
	}
	good := rebuild(storage("FloatStorage", text("0"), "K\x04"), "K\x00K\x04\x85K\x01\x85\x89N")
	for _, test := range []struct{ name, value, want string }{
		{"call", "cposix\nsystem\n" + text("ls") + "\x85R", "b: what posix.system(…) returns, want a tensor"},
		{"sparse", "ctorch._utils\n_rebuild_sparse_tensor\n)R", "b: what torch._utils._rebuild_sparse_tensor(…) returns, want a tensor"},
		{"storage by a call", rebuild("cposix\nsystem\n)R", "K\x00K\x04\x85K\x01\x85"), "b: a tensor in what posix.system(…) returns, want a storage"},
		{"nonsense", rebuild("K\x07Q", "K\x00K\x04\x85K\x01\x85"), "b: a persistent reference to 7, want a storage"},
		{"class", rebuild(storage("QInt8Storage", text("0"), "K\x04"), "K\x00K\x04\x85K\x01\x85"), "b: storage 0 is a torch.QInt8Storage, want one of PyTorch's types of elements"},
		{"path", rebuild(storage("FloatStorage", text("../data.pkl"), "K\x04"), "K\x00K\x04\x85K\x01\x85"), "b: record data/../data.pkl is missing"},
		{"count", rebuild(storage("FloatStorage", text("0"), "J\xff\xff\xff\xff"), "K\x00K\x04\x85K\x01\x85"), "b: a storage of torch.FloatStorage under a string with -1 elements, want a class, a name and a number"},
		{"more than the record", rebuild(storage("FloatStorage", text("0"), "K\x05"), "K\x00K\x05\x85K\x01\x85"), "b: storage 0: 5 elements of float32, but its record has 16 bytes"},
		{"more than the storage", rebuild(storage("FloatStorage", text("0"), "K\x04"), "K\x00K\x05\x85K\x01\x85"), "b: storage 0: shape [5] with strides [1] from 0 on reaches element 4 of a storage of 4"},
		{"negative stride", rebuild(storage("FloatStorage", text("0"), "K\x04"), "K\x03K\x02\x85J\xff\xff\xff\xff\x85"), "b: storage 0: stride -1 is negative"},
		{"offset of 2⁶³", rebuild(storage("FloatStorage", text("0"), "K\x04"), "\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x80\x00K\x04\x85K\x01\x85"), "b: offset a number beyond 64 bits, want a number"},
		{"no strides", rebuild(storage("FloatStorage", text("0"), "K\x04"), "K\x00"), "b: torch._utils._rebuild_tensor_v2 of 2 arguments, want at least 4"},
		{"negative bit", rebuild(storage("FloatStorage", text("0"), "K\x04"), "K\x00K\x04\x85K\x01\x85\x89N}("+text("neg")+"\x88u"), `b: the tensor has the metadata "neg", want none`},
		{"conjugate bit", rebuild(storage("FloatStorage", text("0"), "K\x04"), "K\x00K\x04\x85K\x01\x85\x89N}("+text("conj")+"\x88u"), `b: the tensor has the metadata "conj", want none`},
		{"metadata", rebuild(storage("FloatStorage", text("0"), "K\x04"), "K\x00K\x04\x85K\x01\x85\x89NK\x01"), "b: metadata 1, want a dict"},
		{"stride 0", rebuild(storage("FloatStorage", text("0"), "K\x04"), "K\x00J\x00\x00\x00\x10\x85K\x00\x85"), "tensors of 1.074e+09 bytes in a file of SIZE, want at most 3.358e+07"},
		{"as many wraps as may be, and then a number", strings.Repeat("ctorch._utils\n_rebuild_parameter\n(", 8) + "K\x01" + strings.Repeat("tR", 8), "b: 1, want a tensor"},
		{"one wrap more", strings.Repeat("ctorch._utils\n_rebuild_parameter\n(", 9) + good + strings.Repeat("tR", 9), "b: a tensor inside more than 8 functions"},
		{"wrapped in itself", strings.Repeat("ctorch._utils\n_rebuild_parameter\n(", 10) + good + strings.Repeat("tR", 10), "b: a tensor inside more than 8 functions"},
	} {
		pkl := "\x80\x02}(" + text("a") + good + text("b") + test.value + "u."
		b := archived(t, member{name: "m/data.pkl", bytes: []byte(pkl)}, member{name: "m/data/0", bytes: make([]byte, 16)})
		want := strings.ReplaceAll(test.want, "SIZE", fmt.Sprint(len(b)))
		if _, err := Read(bytes.NewReader(b), int64(len(b)), Options{}); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", test.name, err, want)
		}
	}
	for _, rank := range []int{64, 65} {
		ones := "(" + strings.Repeat("K\x01", rank) + "t"
		b := archived(t, member{name: "m/data.pkl", bytes: []byte("\x80\x02}" + text("a") + rebuild(storage("FloatStorage", text("0"), "K\x04"), "K\x00"+ones+ones+"\x89N") + "s.")},
			member{name: "m/data/0", bytes: make([]byte, 16)})
		if _, err := Read(bytes.NewReader(b), int64(len(b)), Options{}); (err != nil) != (rank > 64) {
			t.Errorf("%d axes: %v", rank, err)
		}
	}
	plain := "\x80\x02}" + text("a") + rebuild(storage("FloatStorage", text("0"), "K\x04"), "K\x00K\x04\x85K\x01\x85\x89N}("+text("neg")+"\x89uN") + "s."
	b := archived(t, member{name: "m/data.pkl", bytes: []byte(plain)}, member{name: "m/data/0", bytes: make([]byte, 16)})
	if _, err := Read(bytes.NewReader(b), int64(len(b)), Options{}); err != nil {
		t.Errorf("metadata that say nothing: %v", err)
	}
}

// A storage that is held to its CRC gives what it holds, whatever part of it is asked for first, whole and then in parts.
func TestStorageParts(t *testing.T) {
	long := bytes.Repeat([]byte("0123456789abcdef"), 1000)
	b := archived(t, member{name: "m/data.pkl", bytes: one(t)}, member{name: "m/data/0", bytes: long})
	at := int64(bytes.Index(b, long))
	for _, part := range [][2]int{{0, 16000}, {0, 4}, {15000, 1000}, {3, 5000}, {1, 15999}} {
		z, err := listZip(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		rec, err := z.checked("m/data/0")
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range [][2]int{part, {7, 11}, {0, 16000}} {
			got := make([]byte, part[1])
			if n, err := rec.r.ReadAt(got, at+int64(part[0])); err != nil || n != len(got) || !bytes.Equal(got, long[part[0]:][:part[1]]) {
				t.Errorf("%d bytes at %d: %d, %v, or other bytes", part[1], part[0], n, err)
			}
		}
	}
}

// A storage is held to its CRC, when its elements are read, some of them or all.
func TestStorageCRC(t *testing.T) {
	b := archived(t, member{name: "m/data.pkl", bytes: one(t)}, member{name: "m/data/0", bytes: []byte("0123456789abcdef")})
	b[bytes.Index(b, []byte("0123456789"))+15] ^= 1
	f, err := Read(bytes.NewReader(b), int64(len(b)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	const want = "record data/0: CRC-32 "
	for _, n := range []int{4, 16, 16} {
		d, err := f.Tensors[0].Open()
		if err == nil {
			_, err = d.ReadAt(make([]byte, n), 0)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%d bytes: %v, want %s…", n, err, want)
		}
	}
}
