package preprocess

import "math"

// Filter is an interpolation kernel. Where a picture shrinks it is stretched by
// the scale, so that every pixel counts ("antialias").
type Filter uint8

const (
	Bicubic  Filter = iota // Keys' kernel, a = -0.5
	Bilinear               // triangle
)

// support is the distance from which on the kernel is 0.
func (f Filter) support() float64 {
	if f == Bilinear {
		return 1
	}
	return 2
}

// at evaluates the kernel with the operations of Pillow's Resample.c in their
// order, each rounded: the conversions keep compilers from fusing them.
func (f Filter) at(x float64) float64 {
	x = math.Abs(x)
	if f == Bilinear {
		return max(1-x, 0)
	}
	const a = -0.5
	switch {
	case x < 1:
		return float64(float64(float64(float64((a+2)*x)-(a+3))*x)*x) + 1
	case x < 2:
		return float64(float64(float64(float64(float64(x-5)*x)+8)*x)-4) * a
	}
	return 0
}

// fraction is the number of fractional bits of a weight, and Pillow's: 32 bits
// less 8 of the pixel and 2 of head room for a kernel that overshoots.
const fraction = 32 - 8 - 2

// rounding is what a sum of weighted bytes begins with.
const rounding = 1 << (fraction - 1)

// level rounds a sum of weighted bytes to a byte.
func level(sum int32) byte { return clamp(sum >> fraction) }

// weigh writes the weights of consecutive pixels, number first and on, for an
// output pixel centred at center; shrink undoes the kernel's stretching. They sum
// up to 1 before they are rounded (Pillow, precompute_coeffs and
// normalize_coeffs_8bpc). exact is scratch of the weights' length.
func (f Filter) weigh(weights []int32, exact []float64, first int, center, shrink float64) {
	sum := 0.0
	for i := range exact {
		exact[i] = f.at(float64(float64(first+i)-center+0.5) * shrink)
		sum += exact[i]
	}
	for i, w := range exact {
		if sum != 0 {
			w /= sum
		}
		weights[i] = fixed(w)
	}
}

// fixed rounds by adding a half in doubles, as Pillow does: math.Round would
// take some numbers right below a half another way.
func fixed(w float64) int32 {
	w = float64(w * (1 << fraction))
	if w < 0 {
		return int32(w - 0.5)
	}
	return int32(w + 0.5)
}
