package host

// tiling cuts rows into tiles of heights that a kernel has code for, so that nothing is
// padded. Tiles form bands, one for each thread where there are enough, and a band
// blocks, of which a part is made; every band has as many.
type tiling struct {
	total                int
	runs                 [maxRuns]run // one below the other
	tiles, bands, blocks int
}

// run is a number of tiles of one height.
type run struct{ tiles, height int }

// maxRuns is two of nearly equal tiles, and one for each height below theirs.
const maxRuns = 6

// tile cuts rows by the heights of a Product, for parts of about part rows.
func tile(rows int, heights []int, part, bands int) (t tiling) {
	most := heights[len(heights)-1]
	t.total = rows
	t.cut(rows, heights)
	for _, r := range t.runs {
		t.tiles += r.tiles
	}
	t.bands = min(bands, t.tiles)
	t.blocks = panels(panels(t.tiles, t.bands), max(1, part/most))
	return t
}

// cut makes the fewest tiles, as equal as they can be, of the heights up to the highest
// that have no gap between them. Where rows are too few for those (of heights 1, 4, 13 and
// 14: 1 to 12, 15 to 25, 29 to 38 and on to 155), lower tiles take some, at the end.
func (t *tiling) cut(rows int, heights []int) {
	low := len(heights) - 1
	for low > 0 && heights[low-1] == heights[low]-1 {
		low--
	}
	least, most := heights[low], heights[len(heights)-1]
	n, rest := panels(rows, most), 0
	if n*least > rows {
		n = rows / most
		rest = fewest(rows-n*most, rows-n*least, heights[:low])
	}
	if n > 0 {
		tall := rows - rest
		t.runs[0] = run{tall % n, tall/n + 1}
		t.runs[1] = run{n - tall%n, tall / n}
	}
	for i := range low {
		height := heights[low-1-i]
		t.runs[2+i] = run{rest / height, height}
		rest %= height
	}
}

// fewest is the number of rows between two that take the fewest tiles of some heights, the
// higher one where two take as many.
func fewest(from, to int, heights []int) (rows int) {
	least := to + 1
	for n := from; n <= to; n++ {
		tiles, rest := 0, n
		for i := len(heights) - 1; i >= 0; i-- {
			tiles += rest / heights[i]
			rest %= heights[i]
		}
		if tiles <= least {
			least, rows = tiles, n
		}
	}
	return rows
}

// rows of tile i are from…to-1.
func (t *tiling) rows(i int) (from, to int) {
	row, _, height := t.alike(i, i+1)
	return row, row + height
}

// alike is the rows of the tiles from i on, before end, that are as high as tile i.
func (t *tiling) alike(i, end int) (row, rows, height int) {
	r := 0
	for ; i >= t.runs[r].tiles; r++ {
		row += t.runs[r].tiles * t.runs[r].height
		i, end = i-t.runs[r].tiles, end-t.runs[r].tiles
	}
	height = t.runs[r].height
	return row + i*height, (min(end, t.runs[r].tiles) - i) * height, height
}

// holding is how many tiles hold the first n rows.
func (t *tiling) holding(n int) (tiles int) {
	for _, r := range t.runs {
		if all := r.tiles * r.height; n >= all {
			tiles, n = tiles+r.tiles, n-all
			continue
		}
		return tiles + panels(n, r.height)
	}
	return tiles
}

func (t *tiling) parts() int { return t.bands * t.blocks }

// part is the tiles from…to-1 of a block; a band with fewer tiles than others may
// leave one empty.
func (t *tiling) part(band, block int) (from, to int) {
	first, last := band*t.tiles/t.bands, (band+1)*t.tiles/t.bands
	n := last - first
	return first + block*n/t.blocks, first + (block+1)*n/t.blocks
}
