// Package fit computes the coefficients that kernels approximate functions with, the same
// for every instruction set. What they are worth is tested against package math.
package fit

import "math"

// Exp2 are the coefficients of 1, r, r², … of a polynomial that is 2^r for r from 0 to 1
// to 1.7e-7 of its value in float32, and exactly 1 at 0.
func Exp2() []float64 { return exp2(6) }

func exp2(terms int) []float64 { return interpolate(math.Exp2, chebyshevFrom0(terms)) }

// Of Φ(t) - ½, the normal distribution's, there are Pieces polynomials of degree Degree,
// centred on multiples of Step; the last, from 5.1 on, is ½. They are within 1.8e-7, some
// of float32's last bits.
const (
	Pieces = 32
	Step   = 0.168
	Degree = 3
)

// Normal are the coefficients of every piece, of r = t/Step - piece: the constants of all
// pieces, then what r is multiplied with, then r², and so on.
func Normal() []float32 {
	values := make([]float32, (Degree+1)*Pieces)
	for piece := range Pieces {
		for i, c := range normal(piece, Degree) {
			values[i*Pieces+piece] = float32(c)
		}
	}
	return values
}

func normal(piece, degree int) []float64 {
	if piece == Pieces-1 {
		return []float64{0.5}
	}
	return interpolate(func(r float64) float64 {
		return 0.5 * math.Erf((float64(piece)+r)*Step/math.Sqrt2)
	}, chebyshev(degree+1, -0.5, 0.5))
}

// The error function of y, from -ErfLimit to ErfLimit, is y·p(y²)/q(y²): the rational
// minimax approximation of Eigen's generic_fast_erf, to 3.8e-7 in float32. ErfP and ErfQ are the coefficients
// of p and q, the highest power's first.
const ErfLimit = 4

var (
	ErfP = []float64{-2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05,
		-7.34990630326855e-04, -2.95459980854025e-03, -1.60960333262415e-02}
	ErfQ = []float64{-1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03, -7.37332916720468e-03, -1.42647390514189e-02}
)
