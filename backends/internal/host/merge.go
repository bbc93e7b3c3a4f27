package host

import (
	"fmt"
	"math"
	"slices"

	"dynvit/backends"
)

// matching is one call of Match. Targets' features, made 1 long, become panels of keys, as
// in an attention, which the sources' then meet in the kernel of Linear, in float32.
type matching struct {
	mul      *Product
	addHeads func(dst, x []float32) (squares float64)
	lanes    []lane

	qkv      backends.Tensor
	score    []float32
	logs     bool
	c, width int
	rest     []int32 // the rows that are not dropped
	sources  []int32 // of those, ascending as they are
	targets  []int32
	tiles    tiling    // of sources
	panels   []uint32  // of targets
	zeros    []float32 // no bias
	target   []int32   // of a source: which of the targets
	gain     []float32 // of a source: less what it costs to have it go there
}

// Match implements backends.Merger.
func (b *driver) Match(kept, groups backends.Index, qkv backends.Tensor, heads int, score backends.Tensor, logs bool, drop int, order backends.Tensor, turn int) {
	n, stay := qkv.Rows, kept.N-1
	b.need("Match", heads > 0 && qkv.Cols%(3*heads) == 0, "qkv is not [n, 3·heads·width]")
	b.need("Match", score.Rows == n && score.Cols == 1 && groups.N == n && order.Rows == n, "shapes differ")
	b.need("Match", turn >= 0 && turn < order.Cols, "no such order")
	b.need("Match", stay >= 1 && stay <= n && drop >= 0 && drop <= n-stay, "more rows than there are")
	b.need("Match", (n-drop)/2 <= stay, "more rows are to go than there are sources")
	s := &b.scratch
	s.reserveHeads(&b.k, n, qkv.Cols/3, heads)
	m := &b.matching
	*m = matching{
		mul: &b.k.Products[backends.F32], addHeads: b.k.AddHeads, lanes: s.lanes, qkv: qkv, score: score.Host, logs: logs, c: qkv.Cols / 3, width: qkv.Cols / 3 / heads,
		rest: s.rest[:n-drop], panels: s.keys, zeros: s.zeros,
	}
	s.best(m.rest, score.Host, 0)
	moving := len(m.rest) - stay
	if moving > 0 {
		m.halve(s, order, turn)
		b.pool.run(aiming{m}, panels(len(m.targets), m.mul.Cols))
		m.tiles = tile(len(m.sources), m.mul.Heights, queryRows, 1)
		b.pool.run(comparing{m}, m.tiles.parts())
	}
	m.choose(s, moving, kept.Host, groups.Host)
}

// halve makes the half of the rest that is highest by a column of order targets.
func (m *matching) halve(s *scratch, order backends.Tensor, turn int) {
	by := s.gain[:len(m.rest)]
	for i, row := range m.rest {
		by[i] = order.Host[int(row)*order.Cols+turn]
	}
	highest := s.targets[:len(m.rest)/2]
	s.best(highest, by, 0)
	m.sources, m.targets = s.sources[:0], highest
	for i, row := range m.rest {
		if at := i - len(m.sources); at < len(highest) && int(highest[at]) == i {
			highest[at] = row
		} else {
			m.sources = append(m.sources, row)
		}
	}
	m.target, m.gain = s.target[:len(m.sources)], s.gain[:len(m.sources)]
}

// feature writes the sum of the heads' keys of a row, 0 where that is shorter than
// anything, and returns the inverse of its length.
func (m *matching) feature(dst []float32, row int32) (inverse float32) {
	dst = dst[:m.width]
	long := math.Sqrt(m.addHeads(dst, m.qkv.Host[int(row)*3*m.c+m.c:][:m.c]))
	if long < 1e-30 {
		clear(dst)
		return 0
	}
	return float32(1 / long)
}

// aiming is the first task of a matching: panels of targets.
type aiming struct{ *matching }

func (m aiming) part(lane, i int) {
	rows, cols := m.lanes[lane].query, m.mul.Cols
	first := i * cols
	n := min(cols, len(m.targets)-first)
	for j := range n {
		row := Floats(rows[j*m.width:][:m.width])
		inverse := m.feature(row, m.targets[first+j])
		for i := range row {
			row[i] *= inverse
		}
	}
	size := m.mul.PanelWords(m.width)
	m.mul.Pack(m.panels[i*size:][:size], rows, m.width, n, m.mul.Words(m.width))
}

// comparing is the second: the best target of each source.
type comparing struct{ *matching }

func (m comparing) part(lane, i int) {
	first, last := m.tiles.part(0, i)
	for t := first; t < last; t++ {
		from, to := m.tiles.rows(t)
		m.compare(&m.lanes[lane], from, to-from)
	}
}

// compare meets some sources with all targets.
func (m *matching) compare(l *lane, from, rows int) {
	for r := range rows {
		l.total[r] = m.feature(Floats(l.query[r*m.width:]), m.sources[from+r])
	}
	stride := roundUp(len(m.targets), m.mul.Cols)
	c := &l.call
	*c = Call{
		Dst: l.score, A: l.query, Panel: m.panels[:stride/m.mul.Cols*m.mul.PanelWords(m.width)], Bias: m.zeros,
		Panels: stride / m.mul.Cols, Rows: rows, Tile: rows, Words: m.mul.Words(m.width), DstStride: stride, AStride: m.width,
	}
	m.mul.Mul(c)
	for r := range rows {
		at, most := highest(l.score[r*stride:][:len(m.targets)])
		m.target[from+r], m.gain[from+r] = at, m.gainOf(most*l.total[r], float64(m.score[m.sources[from+r]]))
	}
}

// gainOf is less the cost of a source that is so like its target and scores so much.
func (m *matching) gainOf(alike float32, score float64) float32 {
	apart := 1 - alike
	if apart < leastApart {
		apart = leastApart
	}
	if m.logs {
		return -apart * float32(math.Exp(score/2))
	}
	return -apart * float32(math.Sqrt(score))
}

// leastApart is what two keys are apart that are the same but for rounding.
const leastApart = 1e-6

// highest returns the first of the largest numbers, and it; NaN ranks last.
func highest(x []float32) (at int32, most float32) {
	first := slices.IndexFunc(x, func(v float32) bool { return v == v })
	if first < 0 {
		return 0, x[0]
	}
	at, most = int32(first), x[first]
	for j, v := range x[first:] {
		if v > most {
			at, most = int32(first+j), v
		}
	}
	return at, most
}

// choose has the sources that cost least go to their targets, and numbers what stays.
func (m *matching) choose(s *scratch, moving int, kept, groups []int32) {
	for i := range groups {
		groups[i] = -1
	}
	for _, row := range m.rest {
		groups[row] = row
	}
	moves := s.moves[:moving]
	s.best(moves, m.gain, 0)
	for _, i := range moves {
		groups[m.sources[i]] = m.targets[m.target[i]]
	}
	number(kept, groups, s.rest)
}

// number turns rows in groups into their places among those that stay, which kept gets.
func number(kept, groups, places []int32) {
	kept[0] = 0
	at := int32(0)
	for i, to := range groups {
		if int(to) == i {
			places[i] = at
			at++
			kept[at] = to + 1
		}
	}
	for i, to := range groups {
		if to >= 0 {
			groups[i] = places[to]
		}
	}
}

// Merge implements backends.Merger.
func (b *driver) Merge(dst, total, x, sizes backends.Tensor, groups backends.Index) {
	b.need("Merge", dst.Cols == x.Cols && total.Rows == dst.Rows && total.Cols == 1 && groups.N == x.Rows, "shapes differ")
	b.need("Merge", sizes.IsZero() || sizes.Rows == x.Rows && sizes.Cols == 1, "sizes are not [n, 1]")
	clear(total.Host)
	for i, g := range groups.Host {
		if int(g) >= dst.Rows {
			if b.err == nil {
				b.err = fmt.Errorf("%s: Merge: row %d of %d", b.name, g, dst.Rows)
			}
			continue
		}
		if g < 0 {
			continue
		}
		size := float32(1)
		if !sizes.IsZero() {
			size = sizes.Host[i]
		}
		into(dst.Host[int(g)*x.Cols:][:x.Cols], x.Host[i*x.Cols:][:x.Cols], total.Host[g], size)
		total.Host[g] += size
	}
	for g, size := range total.Host {
		if size == 0 {
			clear(dst.Host[g*x.Cols:][:x.Cols])
		}
	}
}

// into makes mean, of total tokens, that of size more, which are row.
func into(mean, row []float32, total, size float32) {
	if total == 0 {
		copy(mean, row)
		return
	}
	share := size / (total + size)
	mean = mean[:len(row)]
	for j, v := range row {
		mean[j] += share * (v - mean[j])
	}
}
