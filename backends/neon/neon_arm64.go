//go:build !purego

package neon

import (
	"slices"

	"dynvit/backends"
	"dynvit/backends/internal/host"
)

const (
	lanes    = 4         // words of a vector
	tileCols = 4 * lanes // outputs of a panel
	longCols = lanes     // those that mulLong takes at a time
)

// Tiles' heights that kernels are written for: 6 rows by four vectors keep 24 sums in
// registers and leave eight for operands; mulLong's 5 rows by four outputs at a time are
// 20 sums, weights of four outputs, operands of two rows, and products on their way;
// mulHalfSums' 4 rows are 16 sums and 8 half sums, and operands and weights fill up the rest.
var (
	heights     = []int{1, 4, 5, 6}
	heightsLong = []int{1, 4, 5}
	heightsHalf = []int{1, 3, 4}
)

// partRows are four of the highest tiles. 48 outputs' weights, 9 to 37 KB of DeiT-T's in
// int8, stay in 64 KiB of L1 from one part to the next, so small parts cost little, and
// boxes have cores beside each other that are a third as fast (Cortex-A76 and A55).
const partRows = 24

// common is what every processor runs. Packing moves squares of two vectors.
var common = host.Assembly{
	Lanes: lanes, Heights: heights, PartRows: partRows,
	Rows: host.Rows{
		Softmax: softmaxRows, GELU: geluRows, Norm: normRows, Divide: divideRows,
		Add: addRow, AddHeads: addHeads, Receive: receiveRow, Step: lanes,
	},
	Packing: host.Packing{Lanes: 2 * lanes, Transpose: transpose, Rows: packRows},
	MulF32:  mulF32, Beside: true, PeakF32: peakF32, RoundBF16: roundBF16,
}

func open(o backends.Options) (backends.Backend, error) {
	k, why := table(detect(o))
	return host.Open(backends.NEON, k, why, o)
}

// table is what a processor of these features does best.
func table(f features) (host.Kernels, string) {
	t := common.Table()
	bf16Why := pickBF16(t, f)
	f16Why := pickF16(t, f)
	int8Why := pickInt8(t, f)
	return t.Kernels, int8Why + ", " + bf16Why + ", " + f16Why
}

// pickBF16 takes BFMMLA where it is there, and puts bf16 ahead of f32 then.
func pickBF16(t *host.Table, f features) (why string) {
	if !f.matrixBF16 {
		return "bf16 by FMLA: no BF16"
	}
	p := host.Product{
		Heights: heights, Cols: tileCols, Group: 2, Pairs: true, Beside: true,
		Convert: convertPairs, Pack: packMatrix, PackRows: packMatrixRows, PackPairs: packMatrixPairs,
	}
	t.Carry(backends.BF16, padded(p, 0, mulMatrixBF16), peakMatrixBF16, 4)
	t.Precisions = []backends.Precision{backends.Int8, backends.BF16, backends.F32}
	return "bf16 by BFMMLA"
}

// pickF16 has f16 carried where that takes fewer instructions than f32: by FMLAL, at the same
// rate, so that it stands behind f32, or in half sums, by twice as many products an instruction.
func pickF16(t *host.Table, f features) (why string) {
	p := host.Product{
		Heights: heights, Cols: tileCols, Group: 2, Beside: true,
		Convert: convertHalves, Pack: packHalves, PackRows: packHalfRows,
	}
	at := slices.Index(t.Precisions, backends.F32)
	switch {
	case f.widening:
		t.Carry(backends.F16, host.Checked(p, 0, mulWidening), peakWidening, 1)
		t.Precisions = slices.Insert(t.Precisions, at+1, backends.F16)
		return "f16 by FMLAL"
	case f.half:
		p.Heights, p.HalfSums = heightsHalf, true
		t.Carry(backends.F16, host.Checked(p, 0, mulHalfSums), peakHalfSums, 2)
		t.Precisions = slices.Insert(t.Precisions, at, backends.F16)
		return "f16 by FMLA in half sums: no FHM"
	}
	return "no f16: no ASIMDHP"
}

// pickInt8 takes the widest multiplication there is. Panels begin with a word an output
// that its sums start from.
func pickInt8(t *host.Table, f features) (why string) {
	p := host.Product{Heights: heights, Cols: tileCols, Group: 4, Codes: true, Beside: true}
	p.Convert = host.Quantising(rowsInt8).Convert
	switch {
	case f.matrix:
		p.Pack, p.Pairs = host.Headed(tileCols, packMatrix), f.matrixBF16
		t.Carry(backends.Int8, padded(p, 1, mulMatrix), peakMatrix, 8)
		return "int8 by SMMLA"
	case f.dot:
		p.Pack = host.Headed(tileCols, common.Packing.Pack)
		t.Carry(backends.Int8, host.Checked(p, 1, mulDot), peakDot, 4)
		return "int8 by SDOT: no I8MM"
	}
	p.Heights, p.Pack = heightsLong, host.Headed(tileCols, packLong)
	t.Carry(backends.Int8, padded(p, 1, mulLong), peakLong, 4)
	return "int8 by SMULL and SMLAL: no ASIMDDP"
}
