package head

import (
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"dynvit/modelfile"
)

// doors is a head of two classes on three features: open where the first is larger than
// the second, and none of them far from both.
func doors() *Head {
	return &Head{
		Name: "door", Backbone: strings.Repeat("0a", 32), Base: "deit-tiny",
		Labels: []string{"open", "closed"}, Width: 3,
		Weight: []float32{1, -1, 0, -1, 1, 0}, Bias: []float32{0.5, -0.5}, Temperature: 2,
		None: &None{Centres: []float32{1, 0, 0, 0, 1, 0}, Threshold: 0.3},
		Note: map[string]string{"pictures": "60", "accuracy": "0.98"},
	}
}

// TestClassify: scores are the softmax of the tempered logits, and what points elsewhere
// than the centres is none of the classes, whatever its length.
func TestClassify(t *testing.T) {
	h, scores := doors(), make([]float32, 2)
	for _, c := range []struct {
		features []float32
		open     float64 // difference of the logits: 2(x-y)+1, halved by the temperature
		distance float64
		known    bool
	}{
		{[]float32{1, 0, 0}, 1.5, 0, true},
		{[]float32{0, 8, 0}, -7.5, 0, true},
		{[]float32{4, 3, 0}, 1.5, 0.2, true},
		{[]float32{3, 4, 0}, -0.5, 0.2, true},
		{[]float32{3, 0, 4}, 3.5, 0.4, false},
		{[]float32{-4, -3, 0}, -0.5, 1.6, false},
		{[]float32{0, 0, 1}, 0.5, 1, false},
	} {
		want := 1 / (1 + math.Exp(-c.open))
		known := h.Classify(c.features, scores)
		if math.Abs(float64(scores[0])-want) > 1e-6 || math.Abs(float64(scores[0]+scores[1])-1) > 1e-6 {
			t.Errorf("%v: %v, want %v", c.features, scores, want)
		}
		if d := h.None.Distance(c.features); known != c.known || math.Abs(float64(d)-c.distance) > 1e-6 {
			t.Errorf("%v: known %v at a distance of %v, want %v", c.features, known, d, c.distance)
		}
	}
	if h.Known(make([]float32, 3)) {
		t.Error("features without a direction are known")
	}
	h.None = nil
	if !h.Classify([]float32{0, 0, 1}, scores) {
		t.Error("without a rule something is none of the classes")
	}
}

// TestDot is the sum of products whatever the length.
func TestDot(t *testing.T) {
	for n := range 11 {
		a, b, want := make([]float32, n), make([]float32, n), float32(0)
		for i := range a {
			a[i], b[i] = float32(i+1), float32(2*i-3)
			want += a[i] * b[i]
		}
		if got := dot(a, b); got != want {
			t.Errorf("%d: %v, want %v", n, got, want)
		}
	}
}

func TestClassifyAllocatesNothing(t *testing.T) {
	h, scores, features := doors(), make([]float32, 2), []float32{1, 0, 0}
	if n := testing.AllocsPerRun(10, func() { h.Classify(features, scores) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestFile: a head is read back as it was written, alone and with a backbone, which is
// then there as it was; equal heads make equal bytes.
func TestFile(t *testing.T) {
	weights, err := modelfile.FromFloat32("head.weight", []float32{1, 2}, []int{1, 2}, modelfile.BF16)
	if err != nil {
		t.Fatal(err)
	}
	backbone := modelfile.New(map[string]string{"classes": "tench", "license": "MIT"}, weights)
	for name, beside := range map[string]*modelfile.File{"alone": nil, "bundle": backbone} {
		path := filepath.Join(t.TempDir(), "door.safetensors")
		if err := doors().Write(path, beside); err != nil {
			t.Fatal(err)
		}
		h, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(h, doors()) {
			t.Errorf("%s: %+v, want %+v", name, h, doors())
		}
		f, err := modelfile.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		first := f.SHA256()
		switch got := Bundled(f); {
		case beside == nil && got != nil:
			t.Errorf("%s: %v is there", name, got.Names())
		case beside != nil:
			tensor, _ := got.Tensor("head.weight")
			if !maps.Equal(got.Meta, backbone.Meta) || !slices.Equal(got.Names(), backbone.Names()) || !reflect.DeepEqual(tensor, weights[0]) {
				t.Errorf("%s: %v %v", name, got.Meta, got.Names())
			}
		}
		f.Close()
		if err := doors().Write(path, beside); err != nil {
			t.Fatal(err)
		}
		if f, err = modelfile.Open(path); err != nil || f.SHA256() != first {
			t.Errorf("%s: other bytes the second time (%v)", name, err)
		}
		f.Close()
	}
}

// TestWholeFile: that a head reads whole pictures is kept in its file; another word is refused.
func TestWholeFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "door.safetensors")
	h := doors()
	h.Whole = true
	if err := h.Write(path, nil); err != nil {
		t.Fatal(err)
	}
	if got, err := Load(path); err != nil || !got.Whole {
		t.Fatalf("%+v %v", got, err)
	}
	f, err := modelfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.Meta["dynvit.head.picture"] = "half"
	if _, err := Parse(f); err == nil || !strings.Contains(err.Error(), `metadata dynvit.head.picture "half": want whole`) {
		t.Error(err)
	}
}

// TestFileRefused: what does not fit is refused in a line that names it, when it is
// written and when it is read.
func TestFileRefused(t *testing.T) {
	for words, change := range map[string]func(h *Head){
		"0 labels":     func(h *Head) { h.Labels = nil },
		"comes twice":  func(h *Head) { h.Labels[1] = "open" },
		"temperature":  func(h *Head) { h.Temperature = 0 },
		"biases":       func(h *Head) { h.Bias = h.Bias[:1] },
		"weights":      func(h *Head) { h.Weight = h.Weight[:5] },
		"SHA-256":      func(h *Head) { h.Backbone = "deit-tiny" },
		"centres":      func(h *Head) { h.None.Centres = h.None.Centres[:4] },
		"length":       func(h *Head) { h.None.Centres[0] = 2 },
		"threshold":    func(h *Head) { h.None.Threshold = float32(math.NaN()) },
		"element 1 is": func(h *Head) { h.Weight[1] = float32(math.Inf(1)) },
	} {
		h := doors()
		change(h)
		err := h.Write(filepath.Join(t.TempDir(), "x.safetensors"), nil)
		if err == nil || !strings.Contains(err.Error(), words) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", words, err)
		}
	}
	for words, change := range map[string]func(meta map[string]string){
		"dynvit.head \"2\"":       func(m map[string]string) { m[version] = "2" },
		"dynvit.head.labels":      func(m map[string]string) { m[keyLabels] = "open||closed" },
		"for 3 labels":            func(m map[string]string) { m[keyLabels] = "a|b|c" },
		"dynvit.head.temperature": func(m map[string]string) { m[keyTemperature] = "hot" },
		"temperature NaN":         func(m map[string]string) { m[keyTemperature] = "NaN" },
		"dynvit.head.threshold":   func(m map[string]string) { delete(m, keyThreshold) },
	} {
		meta := doors().Meta()
		change(meta)
		tensors, err := doors().Tensors()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(modelfile.New(meta, tensors)); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", words, err)
		}
	}
}

// FuzzParse: whatever a file says, it is refused or gives a head that can be used.
func FuzzParse(f *testing.F) {
	path := filepath.Join(f.TempDir(), "door.safetensors")
	for _, h := range []*Head{doors(), {Backbone: doors().Backbone, Labels: []string{"a"}, Width: 1, Weight: []float32{1}, Bias: []float32{0}, Temperature: 1}} {
		if err := h.Write(path, nil); err != nil {
			f.Fatal(err)
		}
		f.Add(read(f, path))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := modelfile.Parse(data)
		if err != nil {
			return
		}
		Bundled(file)
		h, err := Parse(file)
		if err != nil {
			return
		}
		scores := make([]float32, len(h.Labels))
		h.Classify(make([]float32, h.Width), scores)
		if again := filepath.Join(t.TempDir(), "again"); h.Write(again, nil) != nil {
			t.Errorf("%+v is read and not written", h)
		}
	})
}

func read(f *testing.F, path string) []byte {
	data, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	return data
}
