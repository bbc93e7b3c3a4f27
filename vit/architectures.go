package vit

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"dynvit/modelfile"
)

// Named returns the Config of a published architecture: deit_tiny, deit_256,
// deit_small, deit_base, lvvit_small, lvvit_medium, each also with _384 for
// 384×384 input, predictors included.
func Named(name string) (Config, error) {
	base, big := strings.CutSuffix(name, "_384")
	c := Config{
		Architecture: name, ImageSize: 224, PatchSize: 16, Depth: 12, Classes: 1000, Eps: 1e-6,
		SkipLam: 1, QKVBias: true, Predictors: true, Resize: 256, Interpolation: "bicubic",
		Mean: [3]float32{0.485, 0.456, 0.406}, Std: [3]float32{0.229, 0.224, 0.225},
	}
	switch base {
	case "deit_tiny":
		c.Width = 192
	case "deit_256":
		c.Width = 256
	case "deit_small":
		c.Width = 384
	case "deit_base":
		c.Width = 768
	case "lvvit_small":
		c.Width, c.Depth = 384, 16
	case "lvvit_medium":
		c.Width, c.Depth = 512, 20
	default:
		return Config{}, fmt.Errorf("architecture %q: want deit_tiny, deit_256, deit_small, deit_base, lvvit_small or lvvit_medium, each also with _384", name)
	}
	c.Heads, c.Hidden = headsOf[c.Width], 4*c.Width
	if strings.HasPrefix(base, "lvvit") {
		c.Hidden, c.Eps, c.SkipLam, c.QKVBias, c.ConvStem, c.AuxHead = 3*c.Width, 1e-5, 2, false, 64, true
	}
	c.PruneAt = []int{c.Depth / 4, c.Depth / 2, 3 * c.Depth / 4}
	if big {
		c.ImageSize, c.Resize = 384, 0
	}
	return c, nil
}

// Random are seeded weights for a Config; only a model's times mean anything
// with them.
type Random struct {
	Config Config
	Seed   uint64
}

// Has reports whether the Config has such a tensor.
func (r Random) Has(name string) bool { return r.elements(name) > 0 }

// Float32In draws a tensor: norms and variances around 1, all else small. Each
// tensor depends on the seed and its own name alone.
func (r Random) Float32In(memory []float32, name string) ([]float32, []int, error) {
	n := r.elements(name)
	if n == 0 {
		return nil, nil, fmt.Errorf("tensor %s: missing", name)
	}
	hash := r.Seed
	for _, b := range []byte(name) {
		hash = hash*1099511628211 + uint64(b)
	}
	rng := rand.New(rand.NewPCG(hash, r.Seed))
	if len(memory) < n {
		memory = make([]float32, n)
	}
	out := memory[:n]
	for i := range out {
		out[i] = float32(rng.NormFloat64()) * 0.02
	}
	if strings.HasSuffix(name, "running_var") || (strings.Contains(name, "norm") && strings.HasSuffix(name, ".weight")) {
		for i := range out {
			out[i]++
		}
	}
	return out, r.Config.shape(name), nil
}

// Tensors draws all of them, in the shapes of a model file.
func (r Random) Tensors() ([]modelfile.Tensor, error) {
	var list []modelfile.Tensor
	for _, name := range r.Config.names() {
		data, shape, err := r.Float32In(nil, name)
		if err != nil {
			return nil, err
		}
		t, err := modelfile.FromFloat32(name, data, shape, modelfile.F32)
		if err != nil {
			return nil, err
		}
		list = append(list, t...)
	}
	return list, nil
}

// elements is the size of a tensor by its name, 0 for one that is not there.
func (r Random) elements(name string) int {
	if !r.Config.uses(name) {
		return 0
	}
	n := 1
	for _, d := range r.Config.shape(name) {
		n *= d
	}
	return n
}

// uses reports whether Load reads a tensor of that name.
func (c Config) uses(name string) bool {
	for _, n := range c.names() {
		if n == name {
			return true
		}
	}
	return false
}
