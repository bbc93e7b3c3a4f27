package vit

import "fmt"

// maxActivations bounds what a frame takes beside the weights, in bytes: DeiT-B at 384
// takes 30 MB.
const maxActivations = 2 << 30

// headPadding is how many numbers a token costs for each head, whose keys and values
// fill panels of a kernel's width, however narrow the head.
const headPadding = 64

// activations is about the memory of a Session in bytes: what NewSession allocates, the
// positions, and a backend's padding of heads. Sizes must be within Check's limits; int
// may be too small for the products.
func (c Config) activations() int64 {
	d, n := int64(c.Width), int64(c.lead()+c.Patches())
	token := int64(3*c.PatchSize*c.PatchSize) + 8*d + int64(c.Hidden) + headPadding*int64(c.Heads)
	if c.Predictors {
		token += d
	}
	if c.AuxHead {
		token += int64(c.Classes)
	}
	numbers := n*token + d + int64(c.Classes)
	if stem := int64(c.ConvStem); stem > 0 {
		half := int64(c.ImageSize / 2)
		patch := int64(c.PatchSize / 2)
		numbers += int64(c.InputLen()) + 2*half*half*stem + stripRows*9*stem + n*patch*patch*stem
	}
	return 4 * numbers
}

// checkMemory refuses a model that no machine of this kind could run.
func (c Config) checkMemory() error {
	if bytes := c.activations(); bytes > maxActivations {
		return fmt.Errorf("image_size %d, patch_size %d, width %d, hidden width %d, %d classes: a frame would take %d MiB, more than %d",
			c.ImageSize, c.PatchSize, c.Width, c.Hidden, c.Classes, bytes>>20, maxActivations>>20)
	}
	return nil
}
