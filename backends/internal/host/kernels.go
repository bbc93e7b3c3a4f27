package host

import (
	"math"

	"dynvit/backends"
)

// Kernels is the table of everything that depends on the processor. [Portable]
// returns it in plain Go; a package of faster kernels starts from that table and
// replaces the entries it has. No entry allocates or keeps its arguments, and any
// number of goroutines call them at once.
type Kernels struct {
	// Precisions is what the table carries, the fastest on this machine first.
	Precisions []backends.Precision
	// Products carry them, by the precision's number.
	Products [4]Product

	// Softmax replaces each s by exp(scale·s − max) where max is the largest
	// scale·s, and returns the sum of the results. Rows with a NaN or +Inf have
	// a sum of NaN.
	Softmax func(s []float32, scale float32) (total float32)
	// GELU replaces each x by x/2·(1+erf(x/√2)) in a block of rows by cols
	// elements whose rows lie stride apart.
	GELU func(x []float32, stride, rows, cols int)
	// Norm is one row of backends.Backend's LayerNorm; dst may be x.
	Norm func(dst, x, gamma, beta []float32, eps float32)
	// Scale writes src·factor to dst, of the same length.
	Scale func(dst, src []float32, factor float32)
	// Peak does n rounds of the multiply-adds that carry p, with operands in
	// registers alone. It returns how many operations (2 a multiply-add) that
	// was, and a number that depends on all of them.
	Peak func(p backends.Precision, n int) (operations, checksum float64)
}

// Product multiplies matrices in one precision. Operands lie in 32-bit words,
// Group to a word: one float32, two bfloat16 or int16, four codes. The right
// matrix is cut into panels of Cols outputs, interleaved by word.
type Product struct {
	Rows  int // of one call at most (the tile's MR)
	Cols  int // of a panel (NR)
	Group int // operands in a word
	Lead  int // words of the kernel's own before a row's operands

	// Convert writes a row as operands, Words(len(src)) words, the last filled
	// up with zeros, and returns what they are to be multiplied with: 1, or the
	// scale of int8's codes, bit by bit as backends.QuantizeRow has them (NaN
	// for a row that holds a NaN or Inf). nil: operands are float32 as they are.
	Convert func(dst []uint32, src []float32) (scale float32)
	// PanelWords is the length of a panel of in inputs.
	PanelWords func(in int) int
	// Pack makes rows of operands, n <= Cols of them and stride apart, the
	// outputs of a panel that holds zeros or an earlier Pack's outputs. words
	// is the length of a row. Outputs from n on become anything.
	Pack func(panel, rows []uint32, stride, n, words int)
	// PackRows makes a matrix of float32 [rows, cols], rows stride apart, the
	// inputs of a panel from its beginning on: what Pack makes of the transposed
	// matrix. cols <= Cols. Float32 or bfloat16 operands only; an odd last row
	// of those is paired with zeros.
	PackRows func(panel []uint32, src []float32, stride, rows, cols int)
	// Mul multiplies, and may fetch what lies behind the panel, a weight's next
	// one, into a near cache. The sums of a row do not depend on which rows
	// stand beside it.
	Mul func(c *Call)
}

// Words is the length of a row of n operands.
func (p *Product) Words(n int) int { return p.Lead + panels(n, p.Group) }

// Call is one multiplication of some rows, in tiles of equal height, with a panel:
//
//	Dst[r·DstStride+j] = Σ_i A[r, i]·W[j, i]·(Scale[r]·Unit[j]) + Bias[j] + Res[r·DstStride+j]
//
// for r < Rows and j < Cols; Scale and Unit for int8 alone, where scale and bias take
// one rounding together (backends.FMA32). Assembly reads it by offset: a test
// holds the order of the fields.
type Call struct {
	Dst   []float32
	A     []uint32  // operands, rows AStride words apart
	Panel []uint32  // of Words words an output
	Bias  []float32 // [Cols]
	Res   []float32 // as Dst, or nil
	Scale []float32 // [Rows]
	Unit  []float32 // [Cols]

	Rows, Tile                int // Tile rows at a time; Rows is a multiple
	Words, DstStride, AStride int
}

// panels is how many panels of cols columns n outputs fill.
func panels(n, cols int) int { return (n + cols - 1) / cols }

// roundUp is the least multiple of cols that holds n.
func roundUp(n, cols int) int { return panels(n, cols) * cols }

// Check panics where a call, of up to rows rows a tile by cols outputs, does not fit its
// memory: what stands between a kernel in assembly and a mistake. Panels begin with
// header more words an output.
func (c *Call) Check(rows, cols, header int, codes bool) {
	panel := (header + c.Words) * cols
	fits := c.Tile >= 1 && c.Tile <= rows && c.Rows >= 1 && c.Rows%c.Tile == 0 && c.Words >= 1
	if codes {
		fits = fits && len(c.Scale) >= c.Rows && len(c.Unit) >= cols
	}
	outputs := (c.Rows-1)*c.DstStride + cols
	fits = fits && len(c.Dst) >= outputs && (c.Res == nil || len(c.Res) >= outputs) && len(c.Bias) >= cols
	if !fits || len(c.Panel) < panel || len(c.A) < (c.Rows-1)*c.AStride+c.Words || c.AStride < 0 || c.DstStride < 0 {
		panic("host: a kernel's arguments do not fit")
	}
}

// Interleave makes n rows of words the first columns of a panel of cols: row by row,
// word by word.
func Interleave(panel, rows []uint32, stride, n, words, cols int) {
	for j := range n {
		for i, v := range rows[j*stride:][:words] {
			panel[i*cols+j] = v
		}
	}
}

// CodeScale returns the scale of a row's int8 codes, and what to multiply the row with to
// get them, of the row's largest |x|. inverse is 0 where all codes are: then
// scale is 0, or NaN where most is not finite.
func CodeScale(most float32) (scale, inverse float32) {
	switch {
	case most-most != 0:
		return float32(math.NaN()), 0
	case most < 1e-30:
		return 0, 0
	}
	return most / 127, 127 / most
}
