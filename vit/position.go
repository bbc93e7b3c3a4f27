package vit

import "math"

// resample resizes a grid of positions [from·from, d] to [to·to, d] by
// bicubic interpolation with antialiasing (a = -0.5, support scaled when
// shrinking), as timm's resample_abs_pos_embed does it; the same size is a copy.
func resample(dst, src []float32, to, from, d int) {
	resize(dst, src, to, from, d, cubicTaps)
}

// resize is resample with taps of another kind.
func resize(dst, src []float32, to, from, d int, kind func(to, from int) []tap) {
	if to == from {
		copy(dst, src)
		return
	}
	taps := kind(to, from)
	rows := make([]float64, to*from*d) // [from, to, d]: columns resampled
	for y := range from {
		for x, t := range taps {
			for i, w := range t.weight {
				for c := range d {
					rows[(y*to+x)*d+c] += w * float64(src[(y*from+t.first+i)*d+c])
				}
			}
		}
	}
	for y, t := range taps {
		for j := range to * d {
			sum := 0.0
			for i, w := range t.weight {
				sum += w * rows[(t.first+i)*to*d+j]
			}
			dst[y*to*d+j] = float32(sum)
		}
	}
}

// tap is the weights of the inputs first… that make one output.
type tap struct {
	first  int
	weight []float64
}

func cubicTaps(to, from int) []tap {
	scale := float64(from) / float64(to)
	wide := math.Max(scale, 1)
	taps := make([]tap, to)
	for i := range taps {
		center := (float64(i) + 0.5) * scale
		first := max(0, int(center-2*wide+0.5))
		end := min(from, int(center+2*wide+0.5))
		weight, sum := make([]float64, end-first), 0.0
		for j := range weight {
			weight[j] = cubic((float64(first+j)-center+0.5)/wide, -0.5)
			sum += weight[j]
		}
		for j := range weight {
			weight[j] /= sum
		}
		taps[i] = tap{first, weight}
	}
	return taps
}

// plainTaps are those of modelfile.PlainResize; the outermost inputs stand for those
// beyond them.
func plainTaps(to, from int) []tap {
	scale := float64(from) / float64(to)
	taps := make([]tap, to)
	for i := range taps {
		at := (float64(i)+0.5)*scale - 0.5
		left := int(math.Floor(at)) - 1
		first := min(max(left, 0), from-1)
		weight := make([]float64, min(max(left+3, 0), from-1)-first+1)
		for j := left; j < left+4; j++ {
			weight[min(max(j, 0), from-1)-first] += cubic(float64(j)-at, -0.75)
		}
		taps[i] = tap{first, weight}
	}
	return taps
}

// cubic is Keys' kernel.
func cubic(x, a float64) float64 {
	x = math.Abs(x)
	switch {
	case x < 1:
		return ((a+2)*x-(a+3))*x*x + 1
	case x < 2:
		return ((a*x-5*a)*x+8*a)*x - 4*a
	}
	return 0
}
