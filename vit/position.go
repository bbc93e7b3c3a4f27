package vit

import "math"

// resample resizes a grid of positions [from·from, d] to [to·to, d] by
// bicubic interpolation with antialiasing (a = -0.5, support scaled when
// shrinking), as timm's resample_abs_pos_embed does it; the same size is a copy.
func resample(dst, src []float32, to, from, d int) {
	if to == from {
		copy(dst, src)
		return
	}
	taps := cubicTaps(to, from)
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
			weight[j] = cubic((float64(first+j) - center + 0.5) / wide)
			sum += weight[j]
		}
		for j := range weight {
			weight[j] /= sum
		}
		taps[i] = tap{first, weight}
	}
	return taps
}

// cubic is Keys' kernel with a = -0.5.
func cubic(x float64) float64 {
	x = math.Abs(x)
	switch {
	case x < 1:
		return (1.5*x-2.5)*x*x + 1
	case x < 2:
		return ((-0.5*x+2.5)*x-4)*x + 2
	}
	return 0
}
