package host

import (
	"fmt"
	"slices"
	"testing"
)

// TestTiling: the parts hold every row once, in order within a band, in tiles of heights
// that the kernel has.
func TestTiling(t *testing.T) {
	for _, heights := range [][]int{{1}, {1, 2}, {1, 2, 3, 4, 5, 6}, {1, 4, 5, 6}, {1, 14}, {1, 4, 10, 11, 12, 13, 14}, {1, 2, 4, 7, 14}} {
		for rows := 1; rows < 220; rows++ {
			for _, bands := range []int{1, 2, 3, 16} {
				checkTiling(t, rows, heights, bands)
			}
		}
	}
}

func checkTiling(t *testing.T, rows int, heights []int, bands int) {
	t.Helper()
	tiles, next := tile(rows, heights, 48, bands), 0
	for i := range tiles.parts() {
		first, last := tiles.part(i/tiles.blocks, i%tiles.blocks)
		for tile := first; tile < last; tile++ {
			from, to := tiles.rows(tile)
			if from != next || !slices.Contains(heights, to-from) {
				t.Fatalf("%d rows by %v in %d bands: tile %d is rows %d to %d after %d", rows, heights, bands, tile, from, to, next)
			}
			if row, alike, height := tiles.alike(tile, last); row != from || height != to-from || alike%height != 0 || alike < height {
				t.Fatalf("%d rows by %v in %d bands: tile %d is alike %d rows of %d from %d on", rows, heights, bands, tile, alike, height, row)
			}
			if got := tiles.holding(from + 1); got != tile+1 {
				t.Fatalf("%d rows by %v: row %d is held by %d tiles, want %d", rows, heights, from, got, tile+1)
			}
			next = to
		}
	}
	if next != rows {
		t.Fatalf("%d rows by %v in %d bands: only %d covered", rows, heights, bands, next)
	}
}

// TestCut: as equal as can be where the upper heights allow it, else with lower tiles at
// the end.
func TestCut(t *testing.T) {
	wide, all := []int{1, 4, 13, 14}, []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}
	for _, c := range []struct {
		rows    int
		heights []int
		want    string
	}{
		{197, wide, "[14 14 13 13 13 13 13 13 13 13 13 13 13 13 13]"},
		{155, wide, "[14 14 14 14 14 14 14 14 13 13 13 4]"},
		{43, wide, "[13 13 13 4]"},
		{29, wide, "[14 14 1]"},
		{28, wide, "[14 14]"},
		{25, wide, "[13 4 4 4]"},
		{19, wide, "[14 4 1]"},
		{17, wide, "[13 4]"},
		{15, wide, "[14 1]"},
		{9, wide, "[4 4 1]"},
		{3, wide, "[1 1 1]"},
		{9, all, "[9]"},
		{15, all, "[8 7]"},
		{197, []int{1, 14}, "[14 14 14 14 14 14 14 14 14 14 14 14 14 14 1]"},
		{50, []int{1, 4}, "[4 4 4 4 4 4 4 4 4 4 4 4 1 1]"},
		{29, []int{1, 5, 6}, "[6 6 6 6 5]"},
		{19, []int{1, 5, 6}, "[6 6 6 1]"},
	} {
		tiles := tile(c.rows, c.heights, 48, 1)
		var got []int
		for i := range tiles.tiles {
			from, to := tiles.rows(i)
			got = append(got, to-from)
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%d rows by %v: %v, want %s", c.rows, c.heights, got, c.want)
		}
	}
}

// TestPartRows: no part has more rows than a table asks for, so that a slow core which
// takes the last has so many to do.
func TestPartRows(t *testing.T) {
	heights := []int{1, 4, 5, 6}
	for rows := 1; rows < 600; rows++ {
		for _, bands := range []int{1, 2, 4, 8} {
			tiles := tile(rows, heights, 24, bands)
			for i := range tiles.parts() {
				first, last := tiles.part(i/tiles.blocks, i%tiles.blocks)
				if first == last {
					continue
				}
				from, _ := tiles.rows(first)
				if _, to := tiles.rows(last - 1); to-from > 24 {
					t.Fatalf("%d rows in %d bands: part %d has %d", rows, bands, i, to-from)
				}
			}
		}
	}
}
