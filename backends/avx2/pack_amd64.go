//go:build !purego

package avx2

import "dynvit/backends/internal/host"

//go:noescape
func transpose(dst, src *uint32, dstStep, srcStep int)

//go:noescape
func packRows(panel *uint32, src *float32, step, rows int)

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

// packRowsBF16 and packRowsF16 round rows that stay float32.
func packRowsBF16(panel []uint32, src []float32, stride, rows, cols int) {
	for r := range rows {
		convertBF16(panel[r*tileCols:][:cols], src[r*stride:][:cols])
	}
}

func packRowsF16(panel []uint32, src []float32, stride, rows, cols int) {
	for r := range rows {
		convertF16(panel[r*tileCols:][:cols], src[r*stride:][:cols])
	}
}
