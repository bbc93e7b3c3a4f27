package host

import "math"

// erf is the error function to 4e-7 (rational minimax approximation on
// ±4, beyond which float32 erf is ±1; the form of Eigen's generic_fast_erf).
func erf(x float32) float32 {
	x = max(-4, min(4, x))
	z := x * x
	p := float32(-2.72614225801306e-10)
	p = p*z + 2.77068142495902e-08
	p = p*z - 2.10102402082508e-06
	p = p*z - 5.69250639462346e-05
	p = p*z - 7.34990630326855e-04
	p = p*z - 2.95459980854025e-03
	p = p*z - 1.60960333262415e-02
	q := float32(-1.45660718464996e-05)
	q = q*z - 2.13374055278905e-04
	q = q*z - 1.68282697438203e-03
	q = q*z - 7.37332916720468e-03
	q = q*z - 1.42647390514189e-02
	return x * p / q
}

func gelu(x float32) float32 {
	return 0.5 * x * (1 + erf(x*(1/math.Sqrt2)))
}

// exp is e^x for x <= 0 to 2 ulp of float32; below -87 it is 0. NaN stays NaN.
func exp(x float32) float32 {
	if x < -87 {
		return 0
	}
	n := float32(int32(x*math.Log2E - 0.5)) // toward zero: rounds for x <= 0
	// ln 2 in two parts, the first exact in few bits, so that n·hi is exact.
	r := x - n*0.693359375
	r += n * 2.12194440e-4
	p := float32(1.9875691500e-4)
	p = p*r + 1.3981999507e-3
	p = p*r + 8.3334519073e-3
	p = p*r + 4.1665795894e-2
	p = p*r + 1.6666665459e-1
	p = p*r + 5.0000001201e-1
	p = p*r*r + r + 1
	return p * math.Float32frombits(uint32(int32(n)+127)<<23)
}
