package host

import (
	"math"

	"dynvit/backends"
)

// Kernels is the table of everything that depends on the processor. [Portable]
// returns it in plain Go; a package of faster kernels starts with [Assembly]'s.
// No entry allocates or keeps its arguments, and any number of goroutines call them
// at once.
type Kernels struct {
	// Precisions is what the table carries, the fastest on this machine first.
	Precisions []backends.Precision
	// Products carry them, by the precision's number.
	Products [4]Product
	// PartRows is about how many rows make a part of a Linear that threads share, 0 for
	// many. Where cores differ, few rows leave little to wait for when a slow one takes the last part.
	PartRows int

	// Softmax replaces each s of a row by exp(scale·s − max) where max is the row's
	// largest scale·s, and writes the sums of the rows to total. Rows with a NaN
	// or +Inf have a sum of NaN. Rows of n elements lie stride apart.
	Softmax func(s []float32, stride, rows, n int, scale float32, total []float32)
	// GELU replaces each x by x/2·(1+erf(x/√2)) in a block of rows by cols
	// elements whose rows lie stride apart.
	GELU func(x []float32, stride, rows, cols int)
	// Norm is backends.Backend's LayerNorm of rows as long as gamma, one behind the
	// other; dst may be x.
	Norm func(dst, x, gamma, beta []float32, rows int, eps float32)
	// Divide writes rows of cols elements, each times 1/total of its row.
	Divide func(dst []float32, dstStride int, src []float32, srcStride, rows, cols int, total []float32)
	// Add adds numbers to sums as long.
	Add func(sums []float64, x []float32)
	// AddHeads writes the sum of the heads that lie in x side by side, each as wide as dst,
	// and returns the sum of its squares. Both sums are float64's.
	AddHeads func(dst, x []float32) (squares float64)
	// Receive adds each weight's float32 product with share, cut off to an integer below
	// 2⁵¹, to what was received, as long.
	Receive func(received []int64, weights []float32, share float32)
	// Peak does n rounds of the multiply-adds that carry p, with operands in
	// registers alone. It returns how many operations (2 a multiply-add) that
	// was, and a number that depends on all of them.
	Peak func(p backends.Precision, n int) (operations, checksum float64)
}

// Product multiplies matrices in one precision. Operands lie in 32-bit words,
// Group to a word: one float32, two bfloat16 or int16, four codes. The right
// matrix is cut into panels of Cols outputs, interleaved by word.
type Product struct {
	// Heights are the rows of a tile (MR) that Mul has code for, rising from 1: the
	// upper ones without a gap, which tiles are made of, and at most four below.
	Heights []int

	Cols  int // of a panel (NR)
	Group int // operands in a word
	Lead  int // words of the kernel's own before a row's operands
	// First makes that word of a row's operands, where there is one.
	First func(operands []uint32) uint32

	// Codes: operands are int8's. Weights are signed bytes, or int16 where a word
	// holds two; inputs are bytes and have a zero point, or are int16 less their
	// zero point already.
	Codes bool
	// Convert writes rows of cols elements, stride apart, as operands, Words(cols)
	// words a row, one behind the other, the last word filled up. For int8 it writes
	// what the codes are to be multiplied with to scale (NaN for a row that gives
	// NaN) and what is to be taken away before to zero, in its own unit: Mul gets
	// both, and together they make backends.QuantizeInput, to the bit. nil:
	// operands are float32 as they are.
	Convert func(dst []uint32, src []float32, stride, rows, cols int, scale []float32, zero []int32)
	// PanelWords is the length of a panel of in inputs.
	PanelWords func(in int) int
	// Pack makes rows of operands, n <= Cols of them and stride apart, the
	// outputs of a panel that holds zeros or an earlier Pack's outputs. words
	// is the length of a row. Outputs from n on become anything.
	Pack func(panel, rows []uint32, stride, n, words int)
	// Widen makes a panel as Pack left it what Mul reads, WideWords words for in inputs. nil:
	// Mul reads it as it is.
	Widen     func(wide, panel []uint32)
	WideWords func(in int) int
	// Kept is the same product of weights that are kept in less memory, and widened. nil:
	// they are kept as an attention's operands are.
	Kept *Product
	// PackRows makes a matrix of float32 [rows, cols], rows stride apart, the
	// inputs of a panel from its beginning on: what Pack makes of the transposed
	// matrix. cols <= Cols. Float32 or bfloat16 operands only; an odd last row
	// of those is paired with zeros.
	PackRows func(panel []uint32, src []float32, stride, rows, cols int)
	// PackPairs is PackRows of rows that are bfloat16 already, two columns a word,
	// stride words apart: of whole panels' columns. nil where operands are no such pairs.
	PackPairs func(panel, rows []uint32, stride, n int)
	// Mul multiplies, and may fetch what lies behind the panel, a weight's next
	// one, or Next into a near cache. The sums of a row do not depend on which rows
	// stand beside it.
	Mul func(c *Call)
	// Pairs: Mul can write bfloat16.
	Pairs bool
	// HalfSums: f16's sums are backends.DotHalves.
	HalfSums bool
	// Beside: the kernel in assembly takes all panels of a call itself.
	Beside bool
}

// EachRow makes a Product's Convert of the function for one row, which returns the
// row's scale and zero point.
func EachRow(group, lead int, row func(dst []uint32, src []float32) (scale float32, zero int32)) func([]uint32, []float32, int, int, int, []float32, []int32) {
	return func(dst []uint32, src []float32, stride, rows, cols int, scale []float32, zero []int32) {
		words := lead + panels(cols, group)
		for r := range rows {
			scale[r], zero[r] = row(dst[r*words:][:words], src[r*stride:][:cols])
		}
	}
}

// eachRound is EachRow of a function that rounds float32 to float32.
func eachRound(round func(dst []uint32, src []float32)) func([]uint32, []float32, int, int, int, []float32, []int32) {
	return func(dst []uint32, src []float32, stride, rows, cols int, _ []float32, _ []int32) {
		for r := range rows {
			round(dst[r*cols:][:cols], src[r*stride:][:cols])
		}
	}
}

// Weights writes a row of weights as operands, and returns the scale of codes, else 1.
func (p *Product) Weights(dst []uint32, row []float32) (scale float32) {
	switch {
	case p.Codes:
		codes := make([]int8, len(row))
		scale, _ = backends.QuantizeRow(codes, row)
		p.words(dst[p.Lead:], codes)
		if p.First != nil {
			dst[0] = p.First(dst[p.Lead:])
		}
		return scale
	case p.Convert == nil:
		copy(dst, Words(row))
	default:
		p.Convert(dst, row, len(row), 1, len(row), nil, nil)
	}
	return 1
}

// words writes codes as the bytes or int16 of words.
func (p *Product) words(dst []uint32, codes []int8) {
	clear(dst)
	if p.Group == 4 {
		copy(Bytes(dst), codes)
		return
	}
	pairs := halves(dst)[:len(codes)]
	for i, c := range codes {
		pairs[i] = uint16(c)
	}
}

// Words is the length of a row of n operands.
func (p *Product) Words(n int) int { return p.Lead + panels(n, p.Group) }

// Call is one multiplication of some rows, in tiles of equal height, with panels:
//
//	Dst[r·DstStride+j] = Σ_i (A[r, i]-Zero[r])·W[j, i]·(Scale[r]·Unit[j]) + Bias[j] + Res[r·DstStride+j]
//
// for r < Rows and j < Cols; Zero, Scale and Unit for int8 alone, where scale and bias
// take one rounding together (backends.FMA32). Assembly reads it by the names of its
// fields, whose offsets the compiler writes to go_asm.h.
type Call struct {
	Dst   []float32
	A     []uint32  // operands, rows AStride words apart
	Panel []uint32  // of Words words an output
	Next  []uint32  // of a product that widens: the panel to be widened next
	Bias  []float32 // [Cols]
	Res   []float32 // as Dst, or nil
	Scale []float32 // [Rows]
	Unit  []float32 // [Cols]

	// Panels of equal length lie one behind the other in Panel, whose outputs, biases and
	// units lie beside each other: instead of Cols there are Panels times as many.
	Panels int

	Rows, Tile                int // Tile rows at a time, one of the product's heights; Rows is a multiple
	Words, DstStride, AStride int

	Zero  []int32 // [Rows], what codes of four a word have as their zero points
	Pairs bool    // Dst is to hold bfloat16, two outputs a word, and there is no Res
}

// each calls mul, which multiplies with one panel of cols outputs, for each of a call's.
func (c *Call) each(cols int, mul func(*Call)) {
	if c.Panels == 1 {
		mul(c)
		return
	}
	dst, panel, bias, res, unit := c.Dst, c.Panel, c.Bias, c.Res, c.Unit
	size, step := len(panel)/c.Panels, cols
	if c.Pairs {
		step /= 2
	}
	mul(c)
	for range c.Panels - 1 {
		c.Dst, c.Panel, c.Bias = c.Dst[step:], c.Panel[size:], c.Bias[cols:]
		if res != nil {
			c.Res = c.Res[step:]
		}
		if unit != nil {
			c.Unit = c.Unit[cols:]
		}
		mul(c)
	}
	c.Dst, c.Panel, c.Bias, c.Res, c.Unit = dst, panel, bias, res, unit
}

// panels is how many panels of cols columns n outputs fill.
func panels(n, cols int) int { return (n + cols - 1) / cols }

// roundUp is the least multiple of cols that holds n.
func roundUp(n, cols int) int { return panels(n, cols) * cols }

// interleave makes n rows of words the first columns of a panel of cols: row by row,
// word by word.
func interleave(panel, rows []uint32, stride, n, words, cols int) {
	for j := range n {
		for i, v := range rows[j*stride:][:words] {
			panel[i*cols+j] = v
		}
	}
}

// codeScale returns the scale of a row of activations in int8, what to multiply the row
// with to get codes, and their zero point, of the row's least and greatest number, or 0.
// The inverse is 0 where all codes are, which is where scale is 0, or NaN.
func codeScale(least, most float32) (scale, inverse float32, zero int32) {
	d := most - least
	switch {
	case d-d != 0:
		return float32(math.NaN()), 0, 0
	case d < 1e-30:
		return 0, 0, 0
	}
	inverse = 255 / d
	return d / 255, inverse, int32(math.RoundToEven(float64(-least * inverse)))
}

// rangeOf is the least and greatest number that codeScale wants, of the bits of the
// greatest of a row as signed integers and the greatest as unsigned ones, 0 being among
// them: of positive numbers the former is the greatest, of negative ones the latter the
// least, and NaN is beyond Inf either way.
func rangeOf(most int32, least uint32) (float32, float32) {
	return math.Float32frombits(uint32(min(int32(least), 0))), math.Float32frombits(uint32(most))
}
