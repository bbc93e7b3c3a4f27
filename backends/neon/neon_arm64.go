//go:build !purego

package neon

import (
	"dynvit/backends"
	"dynvit/backends/internal/host"
)

const (
	lanes    = 4         // words of a vector
	tileCols = 4 * lanes // but for mulLong's
	longCols = lanes
)

// Tiles' heights that kernels are written for: 6 rows by four vectors keep 24 sums in
// registers and leave eight for operands; mulLong's 4 rows by four outputs are 16 sums,
// as many operands as rows and outputs, and products on their way.
var (
	heights     = []int{1, 4, 5, 6}
	heightsLong = []int{1, 3, 4}
)

// Kernels that the instruction sets have in common. packing moves squares of two vectors.
var (
	rowKernels = host.Rows{Softmax: softmaxRows, GELU: geluRows, Norm: normRows, Divide: divideRows}
	packing    = host.Packing{Lanes: 2 * lanes, Transpose: transpose, Rows: packRows}
)

func open(o backends.Options) (backends.Backend, error) {
	k, why := table(detect(o))
	return host.Open(backends.NEON, k, why, o)
}

// table is what a processor of these features does best.
func table(f features) (host.Kernels, string) {
	k := host.Kernels{Precisions: []backends.Precision{backends.Int8, backends.F32, backends.BF16, backends.F16}}
	peaks := host.Peaks{Lanes: lanes}
	for p := range k.Products {
		peaks.Loops[p], peaks.PerWord[p] = peakF32, 1
	}
	k.Products[backends.F32] = floats(host.Product{PackRows: packing.PackRows})
	k.Products[backends.BF16] = rounded(roundBF16)
	k.Products[backends.F16] = rounded(roundF16)
	bf16Why := pickBF16(&k, &peaks, f)
	int8Why := pickInt8(&k, &peaks, f)
	rowKernels.In(&k)
	k.Peak = peaks.Peak
	return k, int8Why + ", " + bf16Why
}

// floats completes a product of operands in float32.
func floats(p host.Product) host.Product {
	p.Heights, p.Cols, p.Group, p.Pack = heights, tileCols, 1, packing.Pack
	return host.Checked(p, 0, mulF32)
}

func rounded(r host.Rounding) host.Product {
	return floats(host.Product{Convert: r.Convert, PackRows: r.PackRows(tileCols)})
}

// pickBF16 takes BFMMLA where it is there, and puts bf16 ahead of f32 then.
func pickBF16(k *host.Kernels, peaks *host.Peaks, f features) (why string) {
	if !f.matrixBF16 {
		return "bf16 by FMLA: no BF16"
	}
	k.Products[backends.BF16] = padded(host.Product{
		Heights: heights, Cols: tileCols, Group: 2,
		Convert: convertPairs, Pack: packMatrix, PackRows: packMatrixRows,
	}, 0, mulMatrixBF16)
	peaks.Loops[backends.BF16], peaks.PerWord[backends.BF16] = peakMatrixBF16, 4
	k.Precisions = []backends.Precision{backends.Int8, backends.BF16, backends.F32, backends.F16}
	return "bf16 by BFMMLA"
}

// pickInt8 takes the widest multiplication there is. Panels begin with a word an output
// that its sums start from.
func pickInt8(k *host.Kernels, peaks *host.Peaks, f features) (why string) {
	p := host.Product{Heights: heights, Cols: tileCols, Group: 4, Codes: true, Convert: host.EachRow(4, 0, convertInt8)}
	at := backends.Int8
	switch {
	case f.matrix:
		p.Pack = headed(tileCols, packMatrix)
		k.Products[at] = padded(p, 1, mulMatrix)
		peaks.Loops[at], peaks.PerWord[at] = peakMatrix, 8
		return "int8 by SMMLA"
	case f.dot:
		p.Pack = packing.PackInt8
		k.Products[at] = host.Checked(p, 1, mulDot)
		peaks.Loops[at], peaks.PerWord[at] = peakDot, 4
		return "int8 by SDOT: no I8MM"
	}
	p.Heights, p.Cols, p.Pack = heightsLong, longCols, headed(longCols, packLong)
	k.Products[at] = padded(p, 1, mulLong)
	peaks.Loops[at], peaks.PerWord[at] = peakLong, 4
	return "int8 by SMULL and SMLAL: no ASIMDDP"
}
