package host

import (
	"math"

	"dynvit/backends"
)

// The kernels of one row in plain Go. In scalar code float64 costs no more than
// float32, so sums and the error function are kept in it.

// convertBF16 and convertF16 round a row to operands that stay float32.
func convertBF16(dst []uint32, src []float32) (scale float32) {
	dst = dst[:len(src)]
	for i, v := range src {
		dst[i] = math.Float32bits(backends.RoundBF16(v))
	}
	return 1
}

func convertF16(dst []uint32, src []float32) (scale float32) {
	dst = dst[:len(src)]
	const least, most = 0x38800000, 0x477fe000 // 2^-14 and 65504: the normal halves
	for i, v := range src {
		bits := math.Float32bits(v)
		if bits&^(1<<31)-least < most-least {
			dst[i] = (bits + 0xfff + bits>>13&1) &^ 0x1fff
			continue
		}
		dst[i] = math.Float32bits(backends.RoundF16(v))
	}
	return 1
}

// convertInt8 writes the codes of a row, and zeros up to a whole word.
func convertInt8(dst []uint32, src []float32) (scale float32) {
	codes := Bytes(dst)
	clear(codes[len(src):])
	return quantize(codes[:len(src)], src)
}

// quantize is backends.QuantizeRow without branches: sizes are compared as
// integers, and adding 1.5·2²³ leaves no bits for a fraction, so that the addition
// itself rounds to even. No product exceeds 127 by more than its rounding
// error, so nothing is left to clamp.
func quantize(codes []int8, row []float32) (scale float32) {
	codes = codes[:len(row)]
	var most uint32
	for _, v := range row {
		most = max(most, math.Float32bits(v)&^(1<<31))
	}
	m := math.Float32frombits(most)
	switch {
	case most >= 0x7f800000: // NaN or Inf
		clear(codes)
		return float32(math.NaN())
	case m < 1e-30:
		clear(codes)
		return 0
	}
	const shift = 3 << 22
	inverse := 127 / m
	for i, v := range row {
		codes[i] = int8(math.Float32bits(float32(v*inverse) + shift)) // the low byte
	}
	return m / 127
}

// softmax inlines the exponential, e^x = 2^n·e^r with r within ±ln 2/2: to 8e-8 for
// x from 0 to -87, where the normal numbers end; 0 below.
func softmax(s []float32, scale float32) (total float32) {
	most := maximum(s) * scale
	for j, v := range s {
		x := float64(v*scale - most)
		if x < -87 {
			s[j] = 0
			continue
		}
		n := int(x*math.Log2E - 0.5) // toward zero: to the nearest for x <= 0
		r := x - float64(n)*math.Ln2
		p := 1.9875691500e-4 // Cephes, expf
		p = p*r + 1.3981999507e-3
		p = p*r + 8.3334519073e-3
		p = p*r + 4.1665795894e-2
		p = p*r + 1.6666665459e-1
		p = p*r + 5.0000001201e-1
		p = p*r*r + r + 1
		e := float32(p) * math.Float32frombits(uint32(n+127)<<23)
		s[j] = e
		total += e
	}
	return total
}

// maximum ignores NaN.
func maximum(s []float32) float32 {
	most := float32(math.Inf(-1))
	for _, v := range s {
		if v > most {
			most = v
		}
	}
	return most
}

// geluRow inlines the error function, to 7e-8: the rational minimax approximation on
// ±4 of Eigen's generic_fast_erf, evaluated in float64. A call would cost as
// much again.
func gelu(x []float32, stride, rows, cols int) {
	for r := range rows {
		geluRow(x[r*stride:][:cols])
	}
}

func geluRow(x []float32) {
	for i, v := range x {
		y := float64(v) * (1 / math.Sqrt2)
		if y > 4 {
			y = 4
		}
		if y < -4 {
			y = -4
		}
		z := y * y
		p := -2.72614225801306e-10
		p = p*z + 2.77068142495902e-08
		p = p*z - 2.10102402082508e-06
		p = p*z - 5.69250639462346e-05
		p = p*z - 7.34990630326855e-04
		p = p*z - 2.95459980854025e-03
		p = p*z - 1.60960333262415e-02
		q := -1.45660718464996e-05
		q = q*z - 2.13374055278905e-04
		q = q*z - 1.68282697438203e-03
		q = q*z - 7.37332916720468e-03
		q = q*z - 1.42647390514189e-02
		x[i] = float32(float64(v) * (0.5 + 0.5*(y*p/q)))
	}
}

// norm subtracts the mean before it squares: rows of tiny variance around a large
// mean lose nothing.
func norm(dst, x, gamma, beta []float32, eps float32) {
	n := float64(len(x))
	mean := sum(x) / n
	inverse := 1 / math.Sqrt(squares(x, mean)/n+float64(eps))
	dst, gamma, beta = dst[:len(x)], gamma[:len(x)], beta[:len(x)]
	for i, v := range x {
		dst[i] = float32((float64(v)-mean)*inverse)*gamma[i] + beta[i]
	}
}

func scale(dst, src []float32, factor float32) {
	dst = dst[:len(src)]
	for i, v := range src {
		dst[i] = v * factor
	}
}

// sum adds up x in four sums, which do not wait for each other.
func sum(x []float32) float64 {
	var s0, s1, s2, s3 float64
	for ; len(x) >= 4; x = x[4:] {
		s0 += float64(x[0])
		s1 += float64(x[1])
		s2 += float64(x[2])
		s3 += float64(x[3])
	}
	for _, v := range x {
		s0 += float64(v)
	}
	return s0 + s1 + (s2 + s3)
}

// squares is Σ(x-mean)², likewise.
func squares(x []float32, mean float64) float64 {
	var s0, s1, s2, s3 float64
	for ; len(x) >= 4; x = x[4:] {
		a, b, c, d := float64(x[0])-mean, float64(x[1])-mean, float64(x[2])-mean, float64(x[3])-mean
		s0 += a * a
		s1 += b * b
		s2 += c * c
		s3 += d * d
	}
	for _, v := range x {
		d := float64(v) - mean
		s0 += d * d
	}
	return s0 + s1 + (s2 + s3)
}
