package modelfile

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestQuantise holds codes and scales to the definition of int8 of weights (docs/method.md):
// s = m/127, q = round-to-even(x · 127/m), and nothing for rows of dust.
func TestQuantise(t *testing.T) {
	tensors, err := FromFloat32("w", []float32{
		127, -63.5, 62.5, 0.49,
		0, 0, 0, 0,
		1e-31, -1e-31, 0, 0,
		-254, 3, 5, 1, // halves of the step 2: 1.5, 2.5 and 0.5 go to even
		1e-30, -1e-30, 5e-31, 0,
	}, []int{5, 2, 2}, I8)
	if err != nil || len(tensors) != 2 {
		t.Fatal(tensors, err)
	}
	codes, scales := tensors[0], tensors[1]
	if codes.Name != "w" || codes.DType != I8 || !slices.Equal(codes.Shape, []int{5, 2, 2}) {
		t.Errorf("codes are %s %s %v", codes.Name, codes.DType, codes.Shape)
	}
	if scales.Name != "w.scale" || scales.DType != F32 || !slices.Equal(scales.Shape, []int{5}) {
		t.Errorf("scales are %s %s %v", scales.Name, scales.DType, scales.Shape)
	}
	got, err := codes.Float32()
	want := []float32{127, -64, 62, 0, 0, 0, 0, 0, 0, 0, 0, 0, -127, 2, 2, 0, 127, -127, 64, 0}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("codes %v, want %v (%v)", got, want, err)
	}
	s, err := scales.Float32()
	if err != nil || !slices.Equal(s, []float32{1, 0, 0, 2, float32(1e-30) / 127}) {
		t.Errorf("scales %v (%v)", s, err)
	}
}

// TestDequantise: what comes back differs by half a step of its row at most.
func TestDequantise(t *testing.T) {
	const rows, cols = 7, 33
	random := rand.New(rand.NewPCG(1, 2))
	data := make([]float32, rows*cols)
	for i := range data {
		data[i] = float32(random.NormFloat64()) * float32(i/cols+1)
	}
	f := fileOf(t, data, []int{rows, cols}, I8)
	got, shape, err := f.Float32("w")
	if err != nil || !slices.Equal(shape, []int{rows, cols}) {
		t.Fatal(shape, err)
	}
	for r := range rows {
		m := 0.0
		for _, v := range data[r*cols : (r+1)*cols] {
			m = max(m, math.Abs(float64(v)))
		}
		for i := r * cols; i < (r+1)*cols; i++ {
			if d := math.Abs(float64(got[i] - data[i])); d > m/254*(1+1e-6) {
				t.Errorf("row %d: %v is off by %v, half a step is %v", r, data[i], d, m/254)
			}
		}
	}
}

// fileOf is a file that holds data as tensor w.
func fileOf(t *testing.T, data []float32, shape []int, as DType) *File {
	t.Helper()
	tensors, err := FromFloat32("w", data, shape, as)
	if err != nil {
		t.Fatal(err)
	}
	return reparse(t, tensors)
}

// reparse writes tensors into memory and reads them.
func reparse(t *testing.T, tensors []Tensor) *File {
	t.Helper()
	b, err := marshal(nil, tensors)
	if err != nil {
		t.Fatal(err)
	}
	f, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestInt8WithoutItsScales(t *testing.T) {
	codes := Tensor{"w", I8, []int{2, 2}, make([]byte, 4)}
	for name, c := range map[string]struct {
		others []Tensor
		says   string
	}{
		"none":      {nil, "int8 without w.scale"},
		"too few":   {[]Tensor{{"w.scale", F32, []int{1}, floats(1)}}, "does not fit"},
		"two axes":  {[]Tensor{{"w.scale", F32, []int{2, 1}, floats(1, 1)}}, "does not fit"},
		"half":      {[]Tensor{{"w.scale", F16, []int{2}, make([]byte, 4)}}, "does not fit"},
		"not a one": {[]Tensor{{"w.scale", F32, []int{2}, floats(1, float32(math.Inf(1)))}}, "element 2 is NaN"},
	} {
		f := reparse(t, append(c.others, codes))
		if _, _, err := f.Float32("w"); err == nil || !strings.Contains(err.Error(), "tensor w: ") || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v, want %q", name, err, c.says)
		}
		if err := f.Verify(); err == nil {
			t.Errorf("%s: verified", name)
		}
	}
}

func TestFromFloat32Errors(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	for name, c := range map[string]struct {
		data  []float32
		shape []int
		as    DType
	}{
		"NaN":             {[]float32{nan}, []int{1}, F32},
		"Inf":             {[]float32{inf}, []int{1}, BF16},
		"NaN in int8":     {[]float32{1, nan}, []int{1, 2}, I8},
		"beyond half":     {[]float32{65520}, []int{1}, F16},
		"beyond bfloat16": {[]float32{-math.MaxFloat32}, []int{1}, BF16},
		"shape":           {[]float32{1, 2}, []int{3}, F32},
		"negative shape":  {[]float32{1, 2}, []int{-1, -2}, F32},
		"int8 row":        {[]float32{1, 2}, []int{2}, I8},
		"int8 of nothing": {nil, []int{0, 2}, I8},
		"type":            {[]float32{1}, []int{1}, I32},
	} {
		if tensors, err := FromFloat32("w", c.data, c.shape, c.as); err == nil || !strings.Contains(err.Error(), "tensor w: ") {
			t.Errorf("%s: %v, error %v", name, tensors, err)
		}
	}
	if _, err := FromFloat32("w", []float32{65519}, []int{1}, F16); err != nil {
		t.Error("the largest float that rounds to a half is refused:", err)
	}
}
