package host

import "dynvit/backends"

// Assembly is what every processor of an instruction set runs: all but int8, with bf16 and
// f16, where there is RoundF16, as float32 multiply-adds on rounded operands.
type Assembly struct {
	Lanes   int   // words of a vector
	Heights []int // of MulF32's tiles
	Rows    Rows
	Packing Packing

	MulF32              func(*Call)
	Beside              bool                // see Product
	PartRows            int                 // see Kernels
	PeakF32             func(n int) float32 // see Table.Carry
	RoundBF16, RoundF16 Rounding
}

// Table is Kernels in the making.
type Table struct {
	Kernels
	peaks peaks
}

// Table starts one, to which int8 is to be added, and what the processor has better
// kernels for.
func (a *Assembly) Table() *Table {
	t := &Table{peaks: peaks{lanes: a.Lanes}}
	t.Precisions = []backends.Precision{backends.Int8, backends.F32, backends.BF16}
	t.Peak, t.PartRows = t.peaks.run, a.PartRows
	a.Rows.in(&t.Kernels)
	t.Carry(backends.F32, a.floats(Product{PackRows: a.Packing.PackRows}), a.PeakF32, 1)
	t.Carry(backends.BF16, a.rounded(a.RoundBF16), a.PeakF32, 1)
	if a.RoundF16 != nil {
		t.Precisions = append(t.Precisions, backends.F16)
		t.Carry(backends.F16, a.rounded(a.RoundF16), a.PeakF32, 1)
	}
	return t
}

// floats completes a product of operands in float32.
func (a *Assembly) floats(p Product) Product {
	p.Heights, p.Cols, p.Group, p.Pack, p.Beside = a.Heights, a.Packing.width(), 1, a.Packing.Pack, a.Beside
	return Checked(p, 0, a.MulF32)
}

func (a *Assembly) rounded(r Rounding) Product {
	return a.floats(Product{Convert: r.Convert, PackRows: r.PackRows(a.Packing.width())})
}

// Carry has k carry a precision. peak is a loop in assembly that measures the registers'
// peak: n rounds of peakSums multiply-adds of vectors, perWord of them a word.
func (t *Table) Carry(p backends.Precision, k Product, peak func(n int) float32, perWord float64) {
	t.Products[p], t.peaks.loops[p], t.peaks.perWord[p] = k, peak, perWord
}
