package preprocess

// Crop is the part of a picture of w×h pixels that the model sees of it: all that
// the centre crop leaves.
func (s Spec) Crop(w, h int) Region {
	toW, toH := s.target(w, h)
	x0, x1 := s.kept(toW)
	y0, y1 := s.kept(toH)
	return Region{x0, y0, x1, y1}
}

// kept is the share of an axis that a crop leaves.
func (s Spec) kept(resized int) (from, to float64) {
	if resized <= s.Size {
		return 0, 1 // padded
	}
	skip := s.before(resized - s.Size)
	return float64(skip) / float64(resized), float64(skip+s.Size) / float64(resized)
}
