//go:build !purego

package neon

import "dynvit/backends/internal/host"

// blockWords words of each output lie together in the panels of mulMatrix, mulMatrixBF16
// and mulLong, with zeros behind the last.
const blockWords = 4

// padded is host.Checked of a product whose panels are whole blocks.
func padded(p host.Product, header int, mul func(*call)) host.Product {
	size := func(words int) int { return (header + (words+blockWords-1)/blockWords*blockWords) * p.Cols }
	p = host.Checked(p, header, func(c *call) {
		_ = c.Panel[size(c.Words)-1]
		mul(c)
	})
	words := p.Words
	p.PanelWords = func(in int) int { return size(words(in)) }
	return p
}

// matrixAt is where mulMatrix finds word i of output j: blocks hold the first two words of
// outputs 0 and 1, of 2 and 3 and so on, then the other two alike.
func matrixAt(i, j int) int {
	return i/blockWords*blockWords*tileCols + i%blockWords/2*2*tileCols + 2*j + i%2
}

// packMatrix is the Pack of a product by blocks of two by two.
func packMatrix(panel, rows []uint32, stride, n, words int) {
	for j := range n {
		for i := 0; i < words; i += blockWords {
			w := block(rows[j*stride:][:words], i)
			at := matrixAt(i, j)
			first, other := panel[at:at+2], panel[at+2*tileCols:][:2]
			first[0], first[1], other[0], other[1] = w[0], w[1], w[2], w[3]
		}
	}
}

// packLong is the Pack of mulLong's: blocks of one output after the other.
func packLong(panel, rows []uint32, stride, n, words int) {
	for j := range n {
		for i := 0; i < words; i += blockWords {
			w := block(rows[j*stride:][:words], i)
			copy(panel[i*longCols+j*blockWords:], w[:])
		}
	}
}

// block is a row's words from i on, zeros behind its end.
func block(row []uint32, i int) (w [blockWords]uint32) {
	if len(row)-i >= blockWords {
		return [blockWords]uint32(row[i:])
	}
	copy(w[:], row[i:])
	return w
}

// packMatrixRows is the PackRows of bfloat16.
func packMatrixRows(panel []uint32, src []float32, stride, rows, cols int) {
	for r := 0; r < rows; r += 2 {
		var even, odd [tileCols / 2]uint32
		pairsOf(even[:(cols+1)/2], src[r*stride:][:cols])
		if r+1 < rows {
			pairsOf(odd[:(cols+1)/2], src[(r+1)*stride:][:cols])
		}
		out := panel[matrixAt(r/2, 0):]
		for j := range cols {
			shift := j % 2 * 16
			out[2*j] = even[j/2]>>shift&0xffff | odd[j/2]>>shift<<16
		}
	}
	for i := (rows + 1) / 2; i%blockWords != 0; i++ {
		for j := range cols {
			panel[matrixAt(i, j)] = 0
		}
	}
}
