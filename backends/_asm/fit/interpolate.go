package fit

import "math"

// chebyshev are the n points between low and high that polynomials through them stray
// least from.
func chebyshev(n int, low, high float64) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = (low+high)/2 + (high-low)/2*math.Cos(math.Pi*(float64(i)+0.5)/float64(n))
	}
	return x
}

// chebyshevFrom0 is the same between 0 and 1 but for the lowest, which is 0 itself.
func chebyshevFrom0(n int) []float64 {
	x := chebyshev(n, 0, 1)
	low, high := x[n-1], 1.0
	for i := range x {
		x[i] = (x[i] - low) / (high - low)
	}
	return x
}

// interpolate returns the coefficients of 1, r, r², … of the polynomial that meets f
// at the given points.
func interpolate(f func(float64) float64, points []float64) []float64 {
	var a [][]float64 // a row: powers of a point, and f there
	for _, r := range points {
		row, power := make([]float64, 0, len(points)+1), 1.0
		for range points {
			row = append(row, power)
			power *= r
		}
		a = append(a, append(row, f(r)))
	}
	return solve(a)
}

// solve is Gauss' elimination with the largest pivot.
func solve(a [][]float64) (x []float64) {
	n := len(a)
	for c := range n {
		best := c
		for r := c; r < n; r++ {
			if math.Abs(a[r][c]) > math.Abs(a[best][c]) {
				best = r
			}
		}
		a[c], a[best] = a[best], a[c]
		for r := range n {
			if f := a[r][c] / a[c][c]; r != c {
				for k := range a[r] {
					a[r][k] -= f * a[c][k]
				}
			}
		}
	}
	for i := range n {
		x = append(x, a[i][n]/a[i][i])
	}
	return x
}
