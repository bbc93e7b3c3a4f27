package vit

import "math/bits"

// placeBits is how many bits tell the columns of a grid apart, or its rows.
func placeBits(grid int) int { return max(1, bits.Len(uint(grid-1))) }

// turns is how many partitions of a grid's places there are: one begins at each bit of a place.
func turns(grid int) int { return 2 * placeBits(grid) }

// place is where the patch of a row and column is in the order of a turn: a number whose bits are, by
// turns, those of row XOR column and of the column, the lowest first, from the turn's on and around.
// So the first merge's sources and targets are the squares of a chessboard, the second's every
// other column, the third's a chessboard of squares twice as large, and so on.
func place(row, column, grid, turn int) int {
	at, n := 0, placeBits(grid)
	for bit := range 2 * n {
		from := (turn + bit) % (2 * n)
		of := row ^ column
		if from%2 == 1 {
			of = column
		}
		at = at<<1 | of>>(from/2)&1
	}
	return at
}

// orders are the places of all patches by the first so many turns, a row a patch, behind one of
// the token ahead of them.
func orders(grid, turns int) []float32 {
	all := make([]float32, (1+grid*grid)*turns)
	for id := range grid * grid {
		for turn := range turns {
			all[(1+id)*turns+turn] = float32(place(id/grid, id%grid, grid, turn))
		}
	}
	return all
}
