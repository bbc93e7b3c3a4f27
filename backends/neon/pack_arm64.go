//go:build !purego

package neon

import "dynvit/backends/internal/host"

// blockWords words of each output lie together in the panels of mulMatrix, mulMatrixBF16
// and mulLong, with zeros behind the last.
const blockWords = 4

// blocks is how many hold the words.
func blocks(words int) int { return (words + blockWords - 1) / blockWords }

// padded is host.Checked of a product whose panels are whole blocks.
func padded(p host.Product, header int, mul func(*call)) host.Product {
	size := func(words int) int { return (header + blocks(words)*blockWords) * p.Cols }
	p = host.Checked(p, header, func(c *call) {
		_ = c.Panel[c.Panels*size(c.Words)-1]
		mul(c)
	})
	words := p.Words
	p.PanelWords = func(in int) int { return size(words(in)) }
	return p
}

// Panels of mulMatrix have blocks of the first two words of outputs 0 and 1, of 2 and 3
// and so on, then of the other two alike.
const (
	matrixBlock = blockWords * tileCols
	matrixHalf  = matrixBlock / 2
)

// packMatrix is the Pack of a product by blocks of two by two.
func packMatrix(panel, rows []uint32, stride, n, words int) {
	whole := words / blockWords
	paired := n / 2 * 2
	for j := 0; j < paired && whole > 0; j += 2 {
		src, dst := rows[j*stride:], panel[2*j:]
		_, _ = src[stride+whole*blockWords-1], dst[(whole-1)*matrixBlock+matrixHalf+blockWords-1]
		packBlocks(&dst[0], &src[0], 4*stride, whole)
	}
	for j := range n {
		first := whole
		if j == paired {
			first = 0
		}
		for i := first; i < blocks(words); i++ {
			w := block(rows[j*stride:][:words], i)
			at := panel[i*matrixBlock+2*j:]
			at[0], at[1], at[matrixHalf], at[matrixHalf+1] = w[0], w[1], w[2], w[3]
		}
	}
}

// packLong is the Pack of mulLong's: blocks of four outputs one after the other, then
// those of the next four.
func packLong(panel, rows []uint32, stride, n, words int) {
	for j := range n {
		four := panel[j/longCols*longCols*blocks(words)*blockWords:]
		for i := range blocks(words) {
			w := block(rows[j*stride:][:words], i)
			copy(four[(i*longCols+j%longCols)*blockWords:], w[:])
		}
	}
}

// block is block i of a row's words, zeros behind its end.
func block(row []uint32, i int) (w [blockWords]uint32) {
	copy(w[:], row[i*blockWords:])
	return w
}

// packMatrixRows is the PackRows of bfloat16.
func packMatrixRows(panel []uint32, src []float32, stride, rows, cols int) {
	whole := 0
	if cols == tileCols {
		whole = rows / 4
	}
	if whole > 0 {
		_, _ = panel[whole*matrixHalf-1], src[(4*whole-1)*stride+cols-1]
		packRowsBF16(&panel[0], &src[0], 4*stride, whole)
	}
	for i := whole; i < fours(rows); i++ {
		var last [4][tileCols]float32
		for r := range min(4, rows-4*i) {
			copy(last[r][:cols], src[(4*i+r)*stride:])
		}
		packRowsBF16(&panel[i*matrixHalf : (i+1)*matrixHalf][0], &last[0][0], 4*tileCols, 1)
	}
	clearOdd(panel, rows)
}

// packMatrixPairs is packMatrixRows of rows that are bfloat16 already.
func packMatrixPairs(panel, rows []uint32, stride, n int) {
	const words = tileCols / 2
	whole := n / 4
	if whole > 0 {
		_, _ = panel[whole*matrixHalf-1], rows[(4*whole-1)*stride+words-1]
		packPairs(&panel[0], &rows[0], 4*stride, whole)
	}
	if n%4 != 0 {
		var last [4][words]uint32
		for r := range n % 4 {
			copy(last[r][:], rows[(4*whole+r)*stride:][:words])
		}
		packPairs(&panel[whole*matrixHalf : (whole+1)*matrixHalf][0], &last[0][0], 4*words, 1)
	}
	clearOdd(panel, n)
}

// fours is how many halves of blocks rows fill.
func fours(rows int) int { return (rows + 3) / 4 }

// clearOdd zeroes the second half of the last block where rows fill its first alone.
func clearOdd(panel []uint32, rows int) {
	if n := fours(rows); n%2 != 0 {
		clear(panel[n*matrixHalf:][:matrixHalf])
	}
}

// Panels of mulWidening and mulHalfSums have the halves of an input's 16 outputs beside each
// other, and the next input's behind.
const inputWords = tileCols / 2

// packHalves is the Pack of a product by halves.
func packHalves(panel, rows []uint32, stride, n, words int) {
	common.Packing.Pack(panel, rows, stride, n, words)
	_ = panel[2*words*inputWords-1]
	splitPairs(&panel[0], words)
}

// packHalfRows is its PackRows.
func packHalfRows(panel []uint32, src []float32, stride, rows, cols int) {
	if cols == tileCols {
		_, _ = panel[rows*inputWords-1], src[(rows-1)*stride+cols-1]
		packRowsF16(&panel[0], &src[0], 4*stride, rows)
	} else {
		for r := range rows {
			var row [tileCols]float32
			copy(row[:cols], src[r*stride:])
			packRowsF16(&panel[r*inputWords : (r+1)*inputWords][0], &row[0], 0, 1)
		}
	}
	if rows%2 != 0 {
		clear(panel[rows*inputWords:][:inputWords])
	}
}
