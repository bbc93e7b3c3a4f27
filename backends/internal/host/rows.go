package host

import (
	"math"

	"dynvit/backends"
)

// The kernels of one row in plain Go. In scalar code float64 costs no more than
// float32, so sums and the error function are kept in it.

// convertBF16 and convertF16 round a row to operands that stay float32.
func convertBF16(dst []uint32, src []float32) {
	dst = dst[:len(src)]
	for i, v := range src {
		dst[i] = math.Float32bits(backends.RoundBF16(v))
	}
}

func convertF16(dst []uint32, src []float32) {
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
}

// convertInt8 writes the codes of a row less 128, which makes them signed bytes, and the
// zero point less that.
func convertInt8(dst []uint32, src []float32) (scale float32, zero int32) {
	codes := Bytes(dst)
	clear(codes[len(src):])
	return quantize(codes[:len(src)], src)
}

// quantize is backends.QuantizeInput less 128 without branches: adding 1.5·2²³ leaves no
// bits for a fraction, so that the addition itself rounds to even.
func quantize(codes []int8, row []float32) (scale float32, zero int32) {
	codes = codes[:len(row)]
	var high int32
	var low uint32
	for _, v := range row {
		bits := math.Float32bits(v)
		high, low = max(high, int32(bits)), max(low, bits)
	}
	scale, inverse, zero := codeScale(rangeOf(high, low))
	zero -= 128
	if inverse == 0 {
		for i := range codes {
			codes[i] = -128
		}
		return scale, zero
	}
	const shift = 3 << 22
	for i, v := range row {
		q := int32(math.Float32bits(float32(v*inverse)+shift)) - int32(math.Float32bits(shift))
		codes[i] = int8(min(q+zero, 127))
	}
	return scale, zero
}

func softmax(s []float32, stride, rows, n int, scale float32, total []float32) {
	for r := range rows {
		total[r] = softmaxRow(s[r*stride:][:n], scale)
	}
}

// softmaxRow takes the exponential, e^x = 2^n·e^r with r within ±ln 2/2: to 8e-8 for
// x from 0 to -87, where the normal numbers end; 0 below.
func softmaxRow(s []float32, scale float32) (total float32) {
	most := maximum(s)
	for j, v := range s {
		x := float64(v-most) * float64(scale)
		if x < -87 {
			s[j] = 0
			continue
		}
		n := int(x*math.Log2E - 0.5) // toward zero: to the nearest for x <= 0
		r := x - float64(n)*math.Ln2
		e := float32(exp(r)) * math.Float32frombits(uint32(n+127)<<23)
		s[j] = e
		total += e
	}
	return total
}

// exp is e^r for r within ±ln 2/2 (Cephes, expf). The compiler inlines it: a call would
// cost as much again.
func exp(r float64) float64 {
	p := 1.9875691500e-4
	p = p*r + 1.3981999507e-3
	p = p*r + 8.3334519073e-3
	p = p*r + 4.1665795894e-2
	p = p*r + 1.6666665459e-1
	p = p*r + 5.0000001201e-1
	return p*r*r + r + 1
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

// quickGELU and tanhGELU have no kernels in assembly: few models want them.
func quickGELU(x []float32, stride, rows, cols int) { logistic(x, stride, rows, cols, 1.702, 0) }

func tanhGELU(x []float32, stride, rows, cols int) {
	const slope = 2 * 0.7978845608028654 // 2·√(2/π): (1+tanh u)/2 is 1/(1+e^-2u)
	logistic(x, stride, rows, cols, slope, slope*0.044715)
}

func logistic(x []float32, stride, rows, cols int, linear, cubic float64) {
	for r := range rows {
		logisticRow(x[r*stride:][:cols], linear, cubic)
	}
}

// logisticRow makes x to x/(1+e^-z), z = linear·x + cubic·x³, to 1e-7, with softmaxRow's
// exponential. Beyond ±87 it is that of 87: x, or nothing that a float32 sum would notice.
func logisticRow(x []float32, linear, cubic float64) {
	for i, v := range x {
		w := float64(v)
		z := -w * (linear + cubic*min(w*w, 1e9)) // 0·∞ is none
		if z > 87 {
			z = 87
		}
		if z < -87 {
			z = -87
		}
		n := int(z*math.Log2E + 127.5) // never negative: to the nearest, and 127
		r := z - float64(n-127)*math.Ln2
		x[i] = float32(w / (1 + exp(r)*float64(math.Float32frombits(uint32(n)<<23))))
	}
}

func norm(dst, x, gamma, beta []float32, rows int, eps float32) {
	n := len(gamma)
	for r := range rows {
		normRow(dst[r*n:][:n], x[r*n:][:n], gamma, beta, eps)
	}
}

// normRow subtracts the mean before it squares: rows of tiny variance around a large
// mean lose nothing.
func normRow(dst, x, gamma, beta []float32, eps float32) {
	n := float64(len(x))
	mean := sum(x) / n
	inverse := 1 / math.Sqrt(squares(x, mean)/n+float64(eps))
	dst, gamma, beta = dst[:len(x)], gamma[:len(x)], beta[:len(x)]
	for i, v := range x {
		dst[i] = float32((float64(v)-mean)*inverse)*gamma[i] + beta[i]
	}
}

func divide(dst []float32, dstStride int, src []float32, srcStride, rows, cols int, total []float32) {
	for r := range rows {
		y, factor := dst[r*dstStride:][:cols], 1/total[r]
		for i, v := range src[r*srcStride:][:cols] {
			y[i] = v * factor
		}
	}
}

func add(sums []float64, x []float32) {
	sums = sums[:len(x)]
	for j, v := range x {
		sums[j] += float64(v)
	}
}

func addHeads(dst, x []float32) (squares float64) { return addColumns(dst, x, len(dst)) }

// addColumns is addHeads of the first columns of heads of a width, as many as dst has, in four
// sums of squares that do not wait for each other.
func addColumns(dst, x []float32, width int) float64 {
	var s0, s1, s2, s3 float64
	i := 0
	for ; i <= len(dst)-4; i += 4 {
		var v0, v1, v2, v3 float64
		for at := i; at < len(x); at += width {
			v := (*[4]float32)(x[at:])
			v0 += float64(v[0])
			v1 += float64(v[1])
			v2 += float64(v[2])
			v3 += float64(v[3])
		}
		y := (*[4]float32)(dst[i:])
		y[0], y[1], y[2], y[3] = float32(v0), float32(v1), float32(v2), float32(v3)
		s0 += v0 * v0
		s1 += v1 * v1
		s2 += v2 * v2
		s3 += v3 * v3
	}
	for ; i < len(dst); i++ {
		v := 0.0
		for at := i; at < len(x); at += width {
			v += float64(x[at])
		}
		dst[i] = float32(v)
		s0 += v * v
	}
	return s0 + s1 + (s2 + s3)
}

func receive(received []int64, weights []float32, share float32) {
	received = received[:len(weights)]
	for j, w := range weights {
		received[j] += int64(w * share)
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
