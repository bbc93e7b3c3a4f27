package preprocess

import "math"

// Crop is the part of a picture of w×h pixels that the model sees of it: all that
// the centre crop leaves.
func (s Spec) Crop(w, h int) Region {
	toW, toH := s.target(w, h)
	x0, x1 := kept(toW, s.Size)
	y0, y1 := kept(toH, s.Size)
	return Region{x0, y0, x1, y1}
}

// kept is the share of an axis that a crop leaves.
func kept(resized, crop int) (from, to float64) {
	if resized <= crop {
		return 0, 1 // padded
	}
	skip := math.RoundToEven(float64(resized-crop) / 2)
	return skip / float64(resized), (skip + float64(crop)) / float64(resized)
}
