package host

import "dynvit/backends"

// Kernels is the table of everything that depends on the processor. [Portable]
// returns it in plain Go; a package of faster kernels starts from that table and
// replaces the entries it has. No entry allocates or keeps its arguments, and any
// number of goroutines call them at once.
type Kernels struct {
	// Precisions is what the table carries, the fastest on this machine first.
	Precisions []backends.Precision
	// Float multiplies operands that are float32: as they are, or rounded to
	// bf16 or f16.
	Float Float
	// Int8 multiplies codes.
	Int8 Int8

	// Round writes src, rounded to p (BF16 or F16), to dst of the same
	// length, which may be src.
	Round func(dst, src []float32, p backends.Precision)
	// Quantize writes the codes of a row, as many as row has, and returns their
	// scale; bit by bit what backends.QuantizeRow does, but the scale is NaN
	// where the row holds a NaN or Inf.
	Quantize func(codes []int8, row []float32) (scale float32)
	// Softmax replaces each s by exp(scale·s − max) where max is the largest
	// scale·s, and returns the sum of the results. Rows with a NaN become NaN.
	Softmax func(s []float32, scale float32) (total float32)
	// GELU replaces each x by x/2·(1+erf(x/√2)).
	GELU func(x []float32)
	// Norm is one row of backends.Backend's LayerNorm; dst may be x.
	Norm func(dst, x, gamma, beta []float32, eps float32)
	// Peak does n rounds of the multiply-adds that carry p, with operands in
	// registers alone. It returns how many operations (2 a multiply-add) that
	// was, and a number that depends on all of them.
	Peak func(p backends.Precision, n int) (operations, checksum float64)
}

// Float is a matrix product on float32. Weights lie in panels: Cols outputs
// interleaved by input, [in, Cols], where the last panel has fewer outputs the rest is anything,
// and so are its results.
type Float struct {
	Rows, Cols int // the tile whose sums stay in registers (MR, NR)
	// Mul writes c[r·ldc+j] = Σ a[r·lda+i]·panel[i·Cols+j] for r < rows, j < Cols
	// and i < in. rows and in are any number from 1 on; the sums of a row do
	// not depend on which rows stand beside it.
	Mul func(c []float32, ldc int, a []float32, lda, rows, in int, panel []float32)
}

// Int8 is a matrix product on codes of ±127 with exact sums. How the Cols outputs of a
// panel lie in its words is the kernel's own affair.
type Int8 struct {
	Rows, Cols int
	// Words is the length of a panel of in inputs.
	Words func(in int) int
	// Pack adds the codes of output j < Cols to a panel that starts as zeros.
	Pack func(panel []uint64, j int, codes []int8)
	// Mul writes c[r·ldc+j] = Σ a[r·lda+i]·w[j, i], as Float.Mul does.
	Mul func(c []int32, ldc int, a []int8, lda, rows, in int, panel []uint64)
}

// panels is how many panels of cols columns n outputs fill.
func panels(n, cols int) int { return (n + cols - 1) / cols }

// roundUp is the least multiple of cols that holds n.
func roundUp(n, cols int) int { return panels(n, cols) * cols }
