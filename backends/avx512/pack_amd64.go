//go:build !purego

package avx512

import "dynvit/backends/internal/host"

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
			w := host.BF16(src[2*pair*stride+j])
			if 2*pair+1 < rows {
				w |= host.BF16(src[(2*pair+1)*stride+j]) << 16
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
