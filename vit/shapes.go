package vit

import (
	"fmt"
	"slices"
	"strings"
)

// shape is the shape of a tensor that names lists: vectors for biases and norms,
// matrices [outputs, inputs], and four dimensions for convolutions.
func (c Config) shape(name string) []int {
	layer, kind := name, ""
	if dot := strings.LastIndexByte(name, '.'); dot >= 0 {
		layer, kind = name[:dot], name[dot+1:]
	}
	switch {
	case name == "cls_token", name == "dist_token":
		return []int{1, 1, c.Width}
	case name == "reg_token":
		return []int{1, c.Registers, c.Width}
	case name == "pos_embed":
		return []int{1, c.Patches() + c.Prefix(), c.Width}
	case name == "patch_embed.proj.weight" && c.ConvStem == 0:
		return []int{c.Width, 3, c.PatchSize, c.PatchSize}
	case name == "patch_embed.proj.weight":
		return []int{c.Width, c.ConvStem, c.PatchSize / 2, c.PatchSize / 2}
	case layer == "patch_embed.conv1":
		return []int{c.ConvStem, 3, 7, 7}
	case strings.HasPrefix(layer, "patch_embed.conv"):
		return []int{c.ConvStem, c.ConvStem, 3, 3}
	case strings.HasPrefix(layer, "patch_embed.bn"):
		return []int{c.ConvStem}
	}
	out, in := c.linear(layer)
	if kind == "bias" || in == 0 {
		return []int{out}
	}
	return []int{out, in}
}

// linear is the outputs and inputs of a layer; a norm has no inputs.
func (c Config) linear(layer string) (out, in int) {
	d, h := c.Width, c.Hidden
	is := func(suffix string) bool { return strings.HasSuffix(layer, suffix) }
	switch {
	case is("qkv"):
		return 3 * d, d
	case is("attn.proj"), is("in_conv.1"):
		return d, d
	case is("fc1"):
		return h, d
	case is("fc2"):
		return d, h
	case layer == "head" && c.Pooling() == PoolBoth:
		return c.Classes, 2 * d
	case is("head"), is("head_dist"):
		return c.Classes, d
	case is("out_conv.0"):
		return d / 2, d
	case is("out_conv.2"):
		return d / 4, d / 2
	case is("out_conv.4"):
		return 2, d / 4
	}
	return d, 0
}

// checkShape refuses a tensor of another shape than the model's, also one of as many
// elements, whose numbers would mean something else. Positions may be of another grid.
func (c Config) checkShape(name string, shape []int) error {
	want := c.shape(name)
	if name == "pos_embed" && len(shape) == len(want) {
		want[1] = shape[1]
		if _, _, err := c.grid(shape[1]); err != nil {
			return err
		}
	}
	if !slices.Equal(shape, want) {
		return fmt.Errorf("tensor %s: shape %v, want %v", name, shape, want)
	}
	return nil
}
