package host

import (
	"runtime"
	"unsafe"

	"dynvit/backends"
)

// OpenPortable opens the backend that runs anywhere: the driver with its kernels in
// plain Go.
func OpenPortable(o backends.Options) (backends.Backend, error) {
	return Open(backends.Portable, Portable(), "plain Go", o)
}

// Portable is the table in plain Go: the backend "portable", and for every faster
// kernel its twin in tests.
func Portable() Kernels {
	heights := make([]int, 32) // its loops take any
	for i := range heights {
		heights[i] = i + 1
	}
	float := Product{Heights: heights, Cols: 3, Group: 1, PanelWords: floatWords, Pack: packFloat, PackRows: packFloatRows, Mul: eachPanel(3, mulFloat)}
	bf16, f16 := float, float
	bf16.Convert, bf16.PackRows = eachRound(convertBF16), packBF16Rows
	f16.Convert, f16.PackRows = eachRound(convertF16), packF16Rows
	k := Kernels{
		Precisions: portablePrecisions(),
		Softmax:    softmax,
		GELU:       gelu,
		Norm:       norm,
		Divide:     divide,
		Add:        add,
		AddHeads:   addHeads,
		Receive:    receive,
		Peak:       peak,
	}
	k.Products[backends.F32], k.Products[backends.BF16], k.Products[backends.F16] = float, bf16, f16
	k.Products[backends.Int8] = Product{Heights: heights, Cols: fieldCols, Group: 4, Codes: true, Convert: EachRow(4, 0, convertInt8), PanelWords: fieldWords, Pack: packFields, Mul: eachPanel(fieldCols, mulFields)}
	return k
}

// eachPanel makes a Product's Mul of the function for one panel.
func eachPanel(cols int, mul func(*Call)) func(*Call) { return func(c *Call) { c.each(cols, mul) } }

// portablePrecisions: DeiT-T dense on one thread of a Zen 3 took 280 ms in int8 and 299
// in f32 at best (a busy machine; medians 318-347 and 467); bf16 and f16 are
// f32 after rounding. Arm's cores do one 64-bit multiplication in three
// cycles where they do six fused float32 ones, so int8 comes last there.
func portablePrecisions() []backends.Precision {
	if runtime.GOARCH == "amd64" {
		return []backends.Precision{backends.Int8, backends.F32, backends.BF16, backends.F16}
	}
	return []backends.Precision{backends.F32, backends.BF16, backends.F16, backends.Int8}
}

// mulFloat's tile is the fastest of those tried (1×4 to 4×4, 1 to 8 inputs at a
// time, by the least of 60 runs at 192 inputs on Zen 3, GFLOP/s): 2×3 by four 9.9, by
// eight 10.3, 2×4 9.0, 3×3 7.9, 1×4 8.3, 4×4 below 6. Go's compiler for amd64
// has 16 registers and no fused multiply-add to spend.
func mulFloat(c *Call) {
	a, panel := Floats(c.A), Floats(c.Panel)
	bias := (*[3]float32)(c.Bias)
	for r := 0; r < c.Rows; r += 2 {
		other := min(r+1, c.Rows-1) // a last row alone is computed twice
		c00, c01, c02, c10, c11, c12 := dot2x3(a[r*c.AStride:][:c.Words], a[other*c.AStride:][:c.Words], panel)
		store3(c, r, c00+bias[0], c01+bias[1], c02+bias[2])
		if other > r {
			store3(c, other, c10+bias[0], c11+bias[1], c12+bias[2])
		}
	}
}

// store3 writes three outputs of row r, plus the residual.
func store3(c *Call, r int, y0, y1, y2 float32) {
	y := (*[3]float32)(c.Dst[r*c.DstStride:])
	if c.Res != nil {
		res := (*[3]float32)(c.Res[r*c.DstStride:])
		y0, y1, y2 = y0+res[0], y1+res[1], y2+res[2]
	}
	y[0], y[1], y[2] = y0, y1, y2
}

func floatWords(in int) int { return 3 * in }

// packFloat interleaves three rows; those from n on are left as they are.
func packFloat(panel, rows []uint32, stride, n, words int) {
	for j := range n {
		for i, v := range rows[j*stride:][:words] {
			panel[3*i+j] = v
		}
	}
}

func packFloatRows(panel []uint32, src []float32, stride, rows, cols int) {
	for r := range rows {
		copy(panel[3*r:3*r+3], Words(src[r*stride:][:cols]))
	}
}

func packBF16Rows(panel []uint32, src []float32, stride, rows, cols int) {
	for r := range rows {
		convertBF16(panel[3*r:3*r+cols], src[r*stride:][:cols])
	}
}

func packF16Rows(panel []uint32, src []float32, stride, rows, cols int) {
	for r := range rows {
		convertF16(panel[3*r:3*r+cols], src[r*stride:][:cols])
	}
}

// dot2x3 multiplies two rows with a panel of three outputs. Written out over four
// inputs, through array pointers, one bounds check serves 24 multiply-adds.
func dot2x3(a0, a1, w []float32) (c00, c01, c02, c10, c11, c12 float32) {
	a1 = a1[:len(a0)]
	i := 0
	for ; i <= len(a0)-4; i += 4 {
		x, y := (*[4]float32)(a0[i:i+4]), (*[4]float32)(a1[i:i+4])
		b := (*[12]float32)(w[3*i : 3*i+12])
		c00 += x[0] * b[0]
		c10 += y[0] * b[0]
		c01 += x[0] * b[1]
		c11 += y[0] * b[1]
		c02 += x[0] * b[2]
		c12 += y[0] * b[2]
		c00 += x[1] * b[3]
		c10 += y[1] * b[3]
		c01 += x[1] * b[4]
		c11 += y[1] * b[4]
		c02 += x[1] * b[5]
		c12 += y[1] * b[5]
		c00 += x[2] * b[6]
		c10 += y[2] * b[6]
		c01 += x[2] * b[7]
		c11 += y[2] * b[7]
		c02 += x[2] * b[8]
		c12 += y[2] * b[8]
		c00 += x[3] * b[9]
		c10 += y[3] * b[9]
		c01 += x[3] * b[10]
		c11 += y[3] * b[10]
		c02 += x[3] * b[11]
		c12 += y[3] * b[11]
	}
	for ; i < len(a0); i++ {
		x, y, b := a0[i], a1[i], (*[3]float32)(w[3*i:])
		c00 += x * b[0]
		c01 += x * b[1]
		c02 += x * b[2]
		c10 += y * b[0]
		c11 += y * b[1]
		c12 += y * b[2]
	}
	return
}

// A word of portable int8 weights holds three outputs, w0 + w1·2²¹ + w2·2⁴², so that
// one 64-bit multiplication by a code advances three sums. No sum of 64
// products of -128…127 and ±127 leaves its 21 bits (64·127·128 < 2²⁰); after so
// many they move to 32-bit sums. With four words a row this ran at 14.9 GOP/s where mulFloat
// reached 9.9 (2×2 words 12.5, 3×2 12.0; measured alike).
const (
	fieldCols = 12
	fieldBits = 21
	fieldSpan = 64 // inputs between two moves
)

// fieldWords is what a panel takes: behind the weights stand the sums of each output's.
func fieldWords(in int) int { return 8*roundUp(in, 4) + fieldCols }

func packFields(panel, rows []uint32, stride, n, words int) {
	clear(panel)
	fields, sums := wide(panel), panel[32*words:]
	for j := range n {
		for i, q := range Bytes(rows[j*stride:][:words]) {
			fields[4*i+j/3] += uint64(int64(q)) << (fieldBits * (j % 3))
			sums[j] += uint32(q)
		}
	}
}

// wide is the panel in its own words.
func wide(panel []uint32) []uint64 {
	return unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(panel))), len(panel)/2)
}

func mulFields(c *Call) {
	panel, ofWeights := wide(c.Panel), c.Panel[32*c.Words:][:fieldCols]
	for r := range c.Rows {
		row, w := Bytes(c.A[r*c.AStride:][:c.Words]), panel
		var sums [12]int32
		for len(row) > 0 {
			n := min(len(row), fieldSpan)
			addFields(&sums, row[:n], w)
			row, w = row[n:], w[4*n:]
		}
		for j, w := range ofWeights {
			sums[j] -= c.Zero[r] * int32(w)
		}
		storeSums(c, r, &sums)
	}
}

// storeSums writes a row's outputs: scale and bias, then the residual.
func storeSums(c *Call, r int, sums *[12]int32) {
	y, scale := (*[12]float32)(c.Dst[r*c.DstStride:]), c.Scale[r]
	unit, bias := (*[12]float32)(c.Unit), (*[12]float32)(c.Bias)
	for j, sum := range sums {
		v := backends.FMA32(float32(sum), scale*unit[j], bias[j])
		if c.Res != nil {
			v += c.Res[r*c.DstStride+j]
		}
		y[j] = v
	}
}

// addFields adds the products of up to fieldSpan codes to the sums of 12 outputs.
func addFields(sums *[12]int32, a []int8, w []uint64) {
	var s0, s1, s2, s3 uint64
	i := 0
	for ; i <= len(a)-2; i += 2 {
		x, b := uint64(a[i]), (*[8]uint64)(w[4*i:4*i+8])
		s0 += x * b[0]
		s1 += x * b[1]
		s2 += x * b[2]
		s3 += x * b[3]
		y := uint64(a[i+1])
		s0 += y * b[4]
		s1 += y * b[5]
		s2 += y * b[6]
		s3 += y * b[7]
	}
	if i < len(a) {
		x, b := uint64(a[i]), (*[4]uint64)(w[4*i:])
		s0 += x * b[0]
		s1 += x * b[1]
		s2 += x * b[2]
		s3 += x * b[3]
	}
	for j, s := range [4]uint64{s0, s1, s2, s3} {
		split((*[3]int32)(sums[3*j:]), int64(s))
	}
}

// split adds the three fields of s to sums. A negative field borrows one from
// the field above, which taking it away gives back.
func split(sums *[3]int32, s int64) {
	low := s << (64 - fieldBits) >> (64 - fieldBits)
	s = (s - low) >> fieldBits
	middle := s << (64 - fieldBits) >> (64 - fieldBits)
	sums[0] += int32(low)
	sums[1] += int32(middle)
	sums[2] += int32((s - middle) >> fieldBits)
}
