package modelfile

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestPickled reads the checkpoints that testdata/make_pth.py wrote with CPython's
// own pickler: both forms, every protocol that torch can save with.
func TestPickled(t *testing.T) {
	want := map[string]struct {
		dtype  DType
		shape  []int
		values []float32
	}{
		"whole":               {F32, []int{2, 3}, []float32{1, 2, 3, 4, 5, 6}},
		"transposed":          {F32, []int{3, 2}, []float32{1, 4, 2, 5, 3, 6}},
		"tail":                {F32, []int{2}, []float32{5, 6}},
		"expanded":            {F32, []int{2, 2}, []float32{6, 6, 6, 6}},
		"half":                {F16, []int{3}, []float32{1.5, -2, 65504}},
		"bf16":                {BF16, []int{2}, []float32{1.5, -2}},
		"num_batches_tracked": {I64, []int{}, []float32{7}},
		"mask":                {Bool, []int{2}, []float32{1, 0}},
		"none":                {F32, []int{0, 3}, []float32{}},
	}
	files, err := filepath.Glob("testdata/*.pth")
	if err != nil || len(files) != 8 {
		t.Fatalf("%d checkpoints in testdata, want 8 (%v)", len(files), err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			f, err := ReadPTH(path, "")
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if len(f.Names()) != len(want) {
				t.Errorf("tensors %v, want %d", f.Names(), len(want))
			}
			for name, w := range want {
				name = "module." + name
				got, shape, err := f.Float32(name)
				tensor, _ := f.Tensor(name)
				if err != nil || tensor.DType != w.dtype || !slices.Equal(shape, w.shape) || !slices.Equal(got, w.values) {
					t.Errorf("%s: %s %v %v, want %v (%v)", name, tensor.DType, shape, got, w, err)
				}
			}
		})
	}
}

// TestPickledCut: no checkpoint that lacks its end is taken for whole.
func TestPickledCut(t *testing.T) {
	for _, name := range []string{"zip2.pth", "legacy2.pth", "legacy4.pth"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		for n := range data {
			if _, _, err := parsePTH(data[:n], ""); err == nil {
				t.Fatalf("%s: %d of %d bytes are read without error", name, n, len(data))
			}
		}
	}
}
