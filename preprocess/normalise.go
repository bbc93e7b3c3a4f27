package preprocess

// normaliser maps a byte of each channel to a model's number.
type normaliser [3][256]float32

// newNormaliser computes (v/255 - mean)/std, every step rounded to float32 as
// torchvision's ToTensor and Normalize do.
func newNormaliser(mean, std [3]float32) normaliser {
	var n normaliser
	for c := range n {
		for v := range n[c] {
			unit := float32(v) / 255
			n[c][v] = float32(unit-mean[c]) / std[c]
		}
	}
	return n
}

// pixels writes rgb [S·S, 3] in the same order.
func (n *normaliser) pixels(dst []float32, rgb []byte) {
	for len(dst) >= 3 && len(rgb) >= 3 {
		dst[0], dst[1], dst[2] = n[0][rgb[0]], n[1][rgb[1]], n[2][rgb[2]]
		dst, rgb = dst[3:], rgb[3:]
	}
}

// patches writes rgb [size, size, 3] as [N, 3, side, side], patches in raster
// order.
func (n *normaliser) patches(dst []float32, rgb []byte, size, side int) {
	area := side * side
	for y := range size {
		band := dst[y/side*side*size*3:] // the patches that this row crosses
		for left := 0; left < size; left += side {
			patch := band[left*side*3+y%side*side:]
			n.line(patch[:side], patch[area:], patch[2*area:], rgb[3*(y*size+left):])
		}
	}
}

// line writes one row of a patch, channel by channel.
func (n *normaliser) line(r, g, b []float32, rgb []byte) {
	g, b, rgb = g[:len(r)], b[:len(r)], rgb[:3*len(r)]
	for x := range r {
		r[x], g[x], b[x] = n[0][rgb[0]], n[1][rgb[1]], n[2][rgb[2]]
		rgb = rgb[3:]
	}
}
