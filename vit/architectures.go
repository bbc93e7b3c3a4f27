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

// Float32 draws a tensor: norms and variances around 1, all else small. Each
// tensor depends on the seed and its own name alone.
func (r Random) Float32(name string) ([]float32, []int, error) {
	n := r.elements(name)
	if n == 0 {
		return nil, nil, fmt.Errorf("tensor %s: missing", name)
	}
	hash := r.Seed
	for _, b := range []byte(name) {
		hash = hash*1099511628211 + uint64(b)
	}
	rng := rand.New(rand.NewPCG(hash, r.Seed))
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(rng.NormFloat64()) * 0.02
	}
	if strings.HasSuffix(name, "running_var") || (strings.Contains(name, "norm") && strings.HasSuffix(name, ".weight")) {
		for i := range out {
			out[i]++
		}
	}
	return out, []int{n}, nil
}

// Tensors draws all of them, in the shapes of a model file.
func (r Random) Tensors() ([]modelfile.Tensor, error) {
	var list []modelfile.Tensor
	for _, name := range r.Config.names() {
		data, _, err := r.Float32(name)
		if err != nil {
			return nil, err
		}
		t, err := modelfile.FromFloat32(name, data, r.shape(name), modelfile.F32)
		if err != nil {
			return nil, err
		}
		list = append(list, t...)
	}
	return list, nil
}

// shape is a tensor's shape: vectors for biases and norms, matrices, and four
// dimensions for convolutions.
func (r Random) shape(name string) []int {
	c, n := r.Config, r.elements(name)
	vector := strings.HasSuffix(name, ".bias") || strings.Contains(name, "norm") || strings.Contains(name, ".bn") || strings.Contains(name, "in_conv.0")
	switch {
	case name == "cls_token":
		return []int{1, 1, n}
	case name == "pos_embed":
		return []int{1, n / c.Width, c.Width}
	case vector:
		return []int{n}
	case name == "patch_embed.proj.weight" && c.ConvStem == 0:
		return []int{c.Width, 3, c.PatchSize, c.PatchSize}
	case name == "patch_embed.proj.weight":
		return []int{c.Width, c.ConvStem, c.PatchSize / 2, c.PatchSize / 2}
	case name == "patch_embed.conv1.weight":
		return []int{c.ConvStem, 3, 7, 7}
	case strings.HasPrefix(name, "patch_embed.conv"):
		return []int{c.ConvStem, c.ConvStem, 3, 3}
	}
	out := r.elements(strings.TrimSuffix(name, "weight") + "bias")
	if out == 0 { // qkv without bias
		out = 3 * c.Width
	}
	return []int{out, n / out}
}

// elements is the size of a tensor by its name, 0 for one that is not there.
func (r Random) elements(name string) int {
	c := r.Config
	d, h := c.Width, c.Hidden
	if !c.uses(name) {
		return 0
	}
	layer, kind := name, ""
	if dot := strings.LastIndexByte(name, '.'); dot >= 0 {
		layer, kind = name[:dot], name[dot+1:]
	}
	out, in := d, 1
	switch {
	case name == "pos_embed":
		out, in = d, c.Patches()+1
	case layer == "patch_embed.proj":
		in = c.embedInputs()
	case layer == "patch_embed.conv1":
		out, in = c.ConvStem, 3*7*7
	case strings.HasPrefix(layer, "patch_embed.conv"):
		out, in = c.ConvStem, c.ConvStem*3*3
	case strings.HasPrefix(layer, "patch_embed.bn"):
		out = c.ConvStem
	case strings.HasSuffix(layer, "qkv"):
		out, in = 3*d, d
	case strings.HasSuffix(layer, "attn.proj"), strings.HasSuffix(layer, "in_conv.1"):
		in = d
	case strings.HasSuffix(layer, "fc1"):
		out, in = h, d
	case strings.HasSuffix(layer, "fc2"):
		in = h
	case strings.HasSuffix(layer, "head"):
		out, in = c.Classes, d
	case strings.HasSuffix(layer, "out_conv.0"):
		out, in = d/2, d
	case strings.HasSuffix(layer, "out_conv.2"):
		out, in = d/4, d/2
	case strings.HasSuffix(layer, "out_conv.4"):
		out, in = 2, d/4
	}
	if kind == "bias" {
		return out
	}
	return out * in
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
