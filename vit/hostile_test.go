package vit

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dynvit/backends"
	"dynvit/modelfile"
)

// TestCheckMemory: what a frame takes is bounded, whichever sizes multiply, also where
// an int has 32 bits (run with GOARCH=386).
func TestCheckMemory(t *testing.T) {
	for _, name := range []string{"deit_tiny", "deit_base_384", "lvvit_medium_384"} {
		c, err := Named(name)
		if err == nil {
			err = c.Check()
		}
		if err != nil || c.activations() > 256<<20 {
			t.Errorf("%s: %v, %d MiB", name, err, c.activations()>>20)
		}
	}
	for name, grow := range map[string]func(c *Config){
		"tokens × hidden":    func(c *Config) { c.ImageSize, c.PatchSize, c.Hidden = 1024, 1, 32768 },
		"tokens × width":     func(c *Config) { c.ImageSize, c.PatchSize, c.Width = 1024, 4, 4096 },
		"tokens × classes":   func(c *Config) { c.ImageSize, c.PatchSize, c.Classes, c.AuxHead = 1024, 8, 1<<17, true },
		"tokens × heads":     func(c *Config) { c.ImageSize, c.PatchSize, c.Width, c.Heads = 1024, 4, 256, 256 },
		"stem":               func(c *Config) { c.ImageSize, c.PatchSize, c.ConvStem = 1024, 16, 4096 },
		"stem of few pixels": func(c *Config) { c.ImageSize, c.PatchSize, c.ConvStem = 1024, 1024, 4096 },
		"2^32 bytes":         func(c *Config) { c.ImageSize, c.PatchSize, c.Hidden = 1024, 1, 1024 },
		"all": func(c *Config) {
			c.ImageSize, c.PatchSize, c.Width, c.Hidden, c.Classes, c.AuxHead = 1024, 1, 4096, 32768, 1<<17, true
		},
	} {
		c := small["deit"]
		grow(&c)
		if err := c.Check(); err == nil || !strings.Contains(err.Error(), "more than 2048") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := Load(openBackend(t, backends.Portable), c, nothing{}, backends.F32); err == nil {
			t.Errorf("%s: loaded", name)
		}
	}
	c := small["lvvit"]
	for _, channels := range []int{-1, maxWidth + 1, 1 << 30} {
		if c.ConvStem = channels; c.Check() == nil {
			t.Errorf("%d channels", channels)
		}
	}
}

// TestHeadsLast: their number is asked for where nothing else is wrong with a file.
func TestHeadsLast(t *testing.T) {
	tensors, err := Random{Config: small["deit"], Seed: 1}.Tensors()
	if err != nil {
		t.Fatal(err)
	}
	m := modelfile.Manifest{ImageSize: 64, PruneAt: []int{1, 2, 4}}
	if _, err := Infer(modelfile.New(nil, tensors), m); err == nil || !strings.Contains(err.Error(), "--heads") {
		t.Errorf("nothing says how many: %v", err)
	}
	tensors[0].Name = "neck"
	if _, err := Infer(modelfile.New(nil, tensors), m); err == nil || !strings.Contains(err.Error(), "neck") {
		t.Errorf("a tensor that is not known besides: %v", err)
	}
}

// TestHeadOfLayers: what stands in place of a head is named, where something does.
func TestHeadOfLayers(t *testing.T) {
	tensors, err := Random{Config: small["deit"], Seed: 1}.Tensors()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ weight, bias, says string }{
		{"head.1.weight", "head.1.bias", "head.1.bias: part of a head"},
		{"classifier.2.weight", "classifier.2.bias", "classifier.2.bias: part of a head"},
		{"blocks.0.weight", "blocks.0.bias", "--no-head"},
	} {
		renamed := slices.Clone(tensors)
		for i, tensor := range renamed {
			switch tensor.Name {
			case "head.weight":
				renamed[i].Name = c.weight
			case "head.bias":
				renamed[i].Name = c.bias
			}
		}
		if _, err := Infer(modelfile.New(nil, renamed), modelfile.Manifest{Heads: 2}); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.weight, err, c.says)
		}
	}
}

// TestActivations: what a frame is said to take, but for the padding of heads, covers what
// a session asks of a backend that fuses nothing, and the positions, and 5 % more at most.
func TestActivations(t *testing.T) {
	for _, name := range []string{"deit_tiny", "deit_base_384", "lvvit_small", "lvvit_medium_384"} {
		c, err := Named(name)
		if err != nil {
			t.Fatal(err)
		}
		var be scales
		if _, err := NewSession(&be, &Weights{Config: c}, Predictor); err != nil {
			t.Fatal(err)
		}
		n := int64(c.Patches()) + 1
		asked := 4 * (be.numbers + n*int64(c.Width))
		said := c.activations() - 4*n*headPadding*int64(c.Heads)
		if said < asked || said > asked*21/20 {
			t.Errorf("%s: said to take %d KiB, a session asks for %d", name, said>>10, asked>>10)
		}
	}
}

// scales count what is asked for, and hand out nothing.
type scales struct {
	backends.Backend
	numbers int64
}

func (s *scales) Alloc(rows, cols int) (backends.Tensor, error) {
	s.numbers += int64(rows) * int64(cols)
	return backends.Tensor{Rows: rows, Cols: cols}, nil
}

func (s *scales) AllocIndex(n int) (backends.Index, error) {
	s.numbers += int64(n)
	return backends.Index{N: n}, nil
}

func (*scales) UploadIndex(backends.Index, []int32) {}

func (*scales) DownloadIndex([]int32, backends.Index) error { return nil }

// nothing has no tensors: whoever asks for one comes too far.
type nothing struct{}

func (nothing) Has(string) bool { panic("asked for a tensor") }
func (nothing) Float32In([]float32, string) ([]float32, []int, error) {
	panic("asked for a tensor")
}

// reshaped is a model of which one tensor has another shape of as many elements.
type reshaped struct {
	Random
	name  string
	shape []int
}

func (r reshaped) Float32In(memory []float32, name string) ([]float32, []int, error) {
	data, shape, err := r.Random.Float32In(memory, name)
	if name == r.name {
		shape = r.shape
	}
	return data, shape, err
}

// otherShapes are shapes of as many elements.
func otherShapes(shape []int) [][]int {
	turned := slices.Clone(shape)
	slices.Reverse(turned)
	n := 1
	for _, d := range shape {
		n *= d
	}
	list := [][]int{append([]int{1}, shape...), append(slices.Clone(shape), 1), {n}, turned}
	return slices.DeleteFunc(list, func(s []int) bool { return slices.Equal(s, shape) })
}

// TestOtherShapes: each tensor of a model in another shape is refused, by who reads the
// file and by who loads the weights, and named.
func TestOtherShapes(t *testing.T) {
	be := openBackend(t, backends.Portable)
	for model, c := range small {
		weights := Random{Config: c, Seed: 1}
		tensors, err := weights.Tensors()
		if err != nil {
			t.Fatal(err)
		}
		for i, whole := range tensors {
			if strings.HasPrefix(whole.Name, "blocks.") && !strings.HasPrefix(whole.Name, "blocks.0.") {
				continue // the same again
			}
			for _, shape := range otherShapes(whole.Shape) {
				_, err := Load(be, c, reshaped{weights, whole.Name, shape}, backends.F32)
				if err == nil || !strings.Contains(err.Error(), "tensor "+whole.Name+": shape") {
					t.Errorf("%s: Load took %s as %v: %v", model, whole.Name, shape, err)
				}
				changed := slices.Clone(tensors)
				changed[i].Shape = shape
				if err := reading(t, c, changed); err == nil {
					t.Errorf("%s: Read took %s as %v", model, whole.Name, shape)
				}
			}
		}
		if err := reading(t, c, tensors); err != nil {
			t.Errorf("%s as it is: %v", model, err)
		}
	}
}

// reading writes a file and reads its Config.
func reading(t *testing.T, c Config, tensors []modelfile.Tensor) error {
	t.Helper()
	path := filepath.Join(t.TempDir(), "m.safetensors")
	if err := modelfile.Write(path, c.Manifest().Encode(), tensors); err != nil {
		t.Fatal(err)
	}
	f, err := modelfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, err = Read(f)
	return err
}
