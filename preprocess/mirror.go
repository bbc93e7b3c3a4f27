package preprocess

import "slices"

// Mirror turns a rendered input left to right, in place, as if the crop of the picture
// had been.
func (s Spec) Mirror(input []float32) {
	if s.Layout == Pixels {
		for row := range slices.Chunk(input, 3*s.Size) {
			mirror(row, 3)
		}
		return
	}
	rows := s.Size / s.Patch
	for patches := range slices.Chunk(input, rows*3*s.Patch*s.Patch) {
		mirror(patches, 3*s.Patch*s.Patch)
	}
	for row := range slices.Chunk(input, s.Patch) {
		slices.Reverse(row)
	}
}

// mirror reverses the order of groups of n numbers.
func mirror(row []float32, n int) {
	for a, b := 0, len(row)-n; a < b; a, b = a+n, b-n {
		for i := range n {
			row[a+i], row[b+i] = row[b+i], row[a+i]
		}
	}
}
