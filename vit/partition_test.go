package vit

import (
	"slices"
	"testing"
)

// TestOrders: in each turn all places differ, and the first half of them is the one colour of a
// chessboard, every other column, a chessboard of twice the squares, every other pair of columns
// and so on; after all bits it begins again.
func TestOrders(t *testing.T) {
	for _, grid := range []int{1, 2, 3, 4, 7, 14, 16, 24, 37, 63} {
		n := 2 * turns(grid)
		all := orders(grid, n)
		if len(all) != (1+grid*grid)*n {
			t.Fatalf("grid %d: %d numbers of %d turns", grid, len(all), n)
		}
		for turn := range n {
			var seen []float32
			for id := range grid * grid {
				at := all[(1+id)*n+turn]
				seen = append(seen, at)
				if again := all[(1+id)*n+(turn+turns(grid))%n]; again != at {
					t.Errorf("grid %d, patch %d: %v in turn %d, %v in a later round", grid, id, at, turn, again)
				}
				square := turn % turns(grid) / 2
				row, column := id/grid>>square, id%grid>>square
				second := column%2 == 1
				if turn%2 == 0 {
					second = (row+column)%2 == 1
				}
				if half := at >= float32(int(1)<<(turns(grid)-1)); half != second {
					t.Errorf("grid %d, turn %d: patch %d is at %v", grid, turn, id, at)
				}
			}
			if slices.Sort(seen); len(slices.Compact(seen)) != grid*grid {
				t.Errorf("grid %d, turn %d: of %d patches some share a place", grid, turn, grid*grid)
			}
		}
	}
}
