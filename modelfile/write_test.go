package modelfile

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// marshal is Write into memory.
func marshal(meta map[string]string, tensors []Tensor) ([]byte, error) {
	header, sorted, err := layout(meta, tensors)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = emit(&b, header, sorted)
	return b.Bytes(), err
}

// TestWriteRead: every type comes back as written, and equal content gives equal
// bytes, laid out as the format wants them.
func TestWriteRead(t *testing.T) {
	exact := []float32{0, -1.5, 3.25, 127, -64, 8}
	var tensors []Tensor
	for _, as := range []DType{F32, F16, BF16, I8} {
		ts, err := FromFloat32("t."+string(as), exact, []int{2, 3}, as)
		if err != nil {
			t.Fatal(err)
		}
		tensors = append(tensors, ts...)
	}
	meta := map[string]string{"b": "2 <ü>\n", "a": "1"}
	path := filepath.Join(t.TempDir(), "m.safetensors")
	if err := Write(path, meta, tensors); err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(tensors)
	if again, err := marshal(meta, tensors); err != nil || !bytes.Equal(written, again) {
		t.Error("the same tensors in another order give other bytes", err)
	}
	if n := binary.LittleEndian.Uint64(written); n%8 != 0 || written[8] != '{' {
		t.Errorf("the header has %d bytes, the first is %q", n, written[8])
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Meta["b"] != meta["b"] || len(f.Names()) != 5 {
		t.Errorf("metadata %q, tensors %v", f.Meta, f.Names())
	}
	for _, as := range []DType{F32, F16, BF16} {
		got, shape, err := f.Float32("t." + string(as))
		if err != nil || !slices.Equal(shape, []int{2, 3}) || !slices.Equal(got, exact) {
			t.Errorf("%s: %v %v, want %v (%v)", as, shape, got, exact, err)
		}
	}
}

// TestWriteRefuses: what the reader would refuse is not written, and nothing is
// left in the folder.
func TestWriteRefuses(t *testing.T) {
	four := make([]byte, 4)
	for name, c := range map[string]struct {
		meta    map[string]string
		tensors []Tensor
		says    string
	}{
		"shape":          {nil, []Tensor{{"w", F32, []int{2}, four}}, "tensor w: 4 bytes for shape [2]"},
		"negative shape": {nil, []Tensor{{"w", F32, []int{-1, -1}, four}}, "whole number"},
		"type":           {nil, []Tensor{{"w", "F4", []int{4}, four}}, `type "F4" is not known`},
		"same name":      {nil, []Tensor{{"w", F32, nil, four}, {"w", F32, nil, four}}, "comes twice"},
		"no name":        {nil, []Tensor{{"", F32, nil, four}}, "a name is empty"},
		"reserved name":  {nil, []Tensor{{metaKey, F32, nil, four}}, metaKey},
		"name":           {nil, []Tensor{{"\xff", F32, nil, four}}, "no UTF-8"},
		"metadata":       {map[string]string{"k": "\xff"}, nil, `metadata "k" is no UTF-8`},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "m")
		err := Write(path, c.meta, c.tensors)
		if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "write "+path) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want %q and the path", name, err, c.says)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("%s: left %v (%v)", name, left, err)
		}
	}
}

// TestWriteReplaces: the content is another, who may read it is not.
func TestWriteReplaces(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, nil, nil); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 || info.Size() != 16 {
		t.Errorf("%v, want 16 bytes that the owner alone may read (%v)", info, err)
	}
	folder := filepath.Join(dir, "folder")
	if err := os.MkdirAll(filepath.Join(folder, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{folder, filepath.Join(dir, "none", "m")} {
		if err := Write(bad, nil, nil); err == nil || !strings.Contains(err.Error(), bad) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v does not name it in one line", bad, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
		t.Errorf("left %v (%v)", left, err)
	}
}
