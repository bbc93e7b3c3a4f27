package ref

import (
	"math"

	"dynvit/backends"
)

func (r *ref) LayerNorm(dst, x, gamma, beta backends.Tensor, eps float32) {
	need("LayerNorm", dst.Rows == x.Rows && dst.Cols == x.Cols, "shapes differ")
	need("LayerNorm", gamma.Rows == 1 && beta.Rows == 1 && gamma.Cols == x.Cols && beta.Cols == x.Cols, "gamma or beta is not [1, c]")
	for i := range x.Rows {
		mean, variance := moments(row(x, i))
		inverse := 1 / math.Sqrt(variance+float64(eps))
		y := row(dst, i)
		for j, v := range row(x, i) {
			normal := float64((float64(v) - mean) * inverse)
			y[j] = float32(float64(normal*float64(gamma.Host[j])) + float64(beta.Host[j]))
		}
	}
}

// moments are the mean and the biased variance of x.
func moments(x []float32) (mean, variance float64) {
	for _, v := range x {
		mean += float64(v)
	}
	mean /= float64(len(x))
	for _, v := range x {
		d := float64(v) - mean
		variance += float64(d * d)
	}
	return mean, variance / float64(len(x))
}

func (r *ref) MeanHalf(x backends.Tensor) {
	need("MeanHalf", x.Cols%2 == 0, "odd number of columns")
	for j := x.Cols / 2; j < x.Cols; j++ {
		sum := 0.0
		for i := range x.Rows {
			sum += float64(row(x, i)[j])
		}
		for i := range x.Rows {
			row(x, i)[j] = float32(sum / float64(x.Rows))
		}
	}
}

func (r *ref) MaxRows(dst, x backends.Tensor) {
	need("MaxRows", dst.Rows == 1 && dst.Cols == x.Cols && x.Rows >= 1, "shapes differ")
	copy(dst.Host, row(x, 0))
	for i := range x.Rows {
		for j, v := range row(x, i) {
			dst.Host[j] = max(dst.Host[j], v) // Go's max is NaN where either is
		}
	}
}
