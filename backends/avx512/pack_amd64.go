//go:build !purego

package avx512

import (
	"math"

	"dynvit/backends"
	"dynvit/backends/internal/host"
)

//go:noescape
func transpose(dst, src *uint32, dstStep, srcStep int)

//go:noescape
func packRows(panel *uint32, src *float32, step, rows int)

//go:noescape
func packPairs(panel, src *uint32, step, pairs int)

//go:noescape
func packRowsBF16(panel *uint32, src *float32, step, pairs int)

// pack transposes squares of words; what is left over goes word by word.
func pack(panel, rows []uint32, stride, n, words int) {
	squares, whole := n/lanes*lanes, words/lanes*lanes
	for j := 0; j < squares; j += lanes {
		for i := 0; i < whole; i += lanes {
			src, dst := rows[j*stride+i:], panel[i*tileCols+j:]
			_, _ = src[(lanes-1)*stride+lanes-1], dst[(lanes-1)*tileCols+lanes-1]
			transpose(&dst[0], &src[0], 4*tileCols, 4*stride)
		}
	}
	if whole < words && squares > 0 {
		host.Interleave(panel[whole*tileCols:], rows[whole:], stride, squares, words-whole, tileCols)
	}
	if squares < n {
		host.Interleave(panel[squares:], rows[squares*stride:], stride, n-squares, words, tileCols)
	}
}

// packInt8 makes a panel of signed bytes behind the negative sums of each output's: a
// row's sums start with them times its zero point.
func packInt8(panel, rows []uint32, stride, n, words int) {
	header, body := panel[:tileCols], panel[tileCols:]
	clear(header)
	pack(body, rows, stride, n, words)
	for i, w := range body[:words*tileCols] {
		sum := int32(int8(w)) + int32(int8(w>>8)) + int32(int8(w>>16)) + int32(int8(w>>24))
		header[i%tileCols] -= uint32(sum)
	}
}

// packInt16 makes a panel of int16, whose sums start with nothing.
func packInt16(panel, rows []uint32, stride, n, words int) {
	clear(panel[:tileCols])
	pack(panel[tileCols:], rows, stride, n, words)
}

func packRowsF32(panel []uint32, src []float32, stride, rows, cols int) {
	if cols == tileCols {
		_, _ = panel[rows*tileCols-1], src[(rows-1)*stride+cols-1]
		packRows(&panel[0], &src[0], 4*stride, rows)
		return
	}
	for r := range rows {
		copy(panel[r*tileCols:][:cols], host.Words(src[r*stride:][:cols]))
	}
}

// packRowsRounded and packRowsF16 round rows that stay float32.
func packRowsRounded(panel []uint32, src []float32, stride, rows, cols int) {
	for r := range rows {
		convertBF16(panel[r*tileCols:][:cols], src[r*stride:][:cols])
	}
}

func packRowsF16(panel []uint32, src []float32, stride, rows, cols int) {
	for r := range rows {
		convertF16(panel[r*tileCols:][:cols], src[r*stride:][:cols])
	}
}

// packRowsPairs makes words of two rows' bfloat16.
func packRowsPairs(panel []uint32, src []float32, stride, rows, cols int) {
	first := 0
	if cols == tileCols && rows > 1 {
		first = rows / 2
		_, _ = panel[first*tileCols-1], src[(2*first-1)*stride+cols-1]
		packRowsBF16(&panel[0], &src[0], 4*stride, first)
	}
	for pair := first; 2*pair < rows; pair++ {
		for j := range cols {
			w := bf16(src[2*pair*stride+j])
			if 2*pair+1 < rows {
				w |= bf16(src[(2*pair+1)*stride+j]) << 16
			}
			panel[pair*tileCols+j] = w
		}
	}
}

// packPairsOf is packRowsPairs of rows that are bfloat16 already.
func packPairsOf(panel, rows []uint32, stride, n int) {
	const words = tileCols / 2
	pairs := n / 2
	if pairs > 0 {
		_, _ = panel[pairs*tileCols-1], rows[(2*pairs-1)*stride+words-1]
		packPairs(&panel[0], &rows[0], 4*stride, pairs)
	}
	if n%2 != 0 {
		last := panel[pairs*tileCols:][:tileCols]
		for i, w := range rows[(n-1)*stride:][:words] {
			last[2*i], last[2*i+1] = w&0xffff, w>>16
		}
	}
}

// bf16 is the bits of a rounded number.
func bf16(v float32) uint32 { return math.Float32bits(backends.RoundBF16(v)) >> 16 }
