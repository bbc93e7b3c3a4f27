package backendtest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"dynvit/backends"
)

// sizes are those that attention over n rows is tried with: none, and, where the backend
// merges, some.
func (p *pair) sizes(n int) []twin {
	if _, ok := p.got.(backends.Merger); !ok {
		return []twin{{}}
	}
	return []twin{{}, p.tensor(n, 1, p.counts(n))}
}

// counts are n numbers of tokens.
func (p *pair) counts(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(1 + p.rng.IntN(9))
	}
	return x
}

// mergers are both backends' Match and Merge.
func (p *pair) mergers() (got, want backends.Merger) {
	p.t.Helper()
	got, ok := p.got.(backends.Merger)
	if !ok {
		p.t.Skip("the backend merges no tokens")
	}
	return got, p.want.(backends.Merger)
}

func (s suite) match(t *testing.T) {
	p := s.pair(t)
	p.mergers()
	nan := float32(math.NaN())
	for j, c := range []struct{ n, heads, width, stay, drop int }{
		{1, 1, 4, 1, 0}, {2, 1, 1, 1, 0}, {2, 2, 3, 1, 1}, {7, 1, 5, 4, 0}, {16, 2, 32, 9, 7}, {33, 3, 33, 16, 0}, {33, 3, 5, 16, 5},
		{40, 2, 64, 1, 38}, {67, 3, 64, 30, 9}, {196, 3, 64, 137, 17}, {196, 6, 64, 176, 0}, {196, 3, 64, 78, 71}, {577, 1, 16, 300, 100},
	} {
		keys, scores := p.random(c.n*3*c.heads*c.width), p.random(c.n)
		for i, v := range scores {
			scores[i] = max(v, -v)
		}
		try := func(kind int, name string) {
			for i, logs := range []bool{false, true} {
				if s.tries(c.n, j, 2*kind+i, 6) {
					p.oneMatch(fmt.Sprintf("%+v, %s", c, name), c.heads, keys, scores, c.stay, c.drop, logs)
				}
			}
		}
		try(0, "random")
		// Equal keys and scores: all are ties.
		for i := range scores {
			scores[i] = float32(i / 5 % 2)
			copy(keys[i*3*c.heads*c.width:][:3*c.heads*c.width], keys)
		}
		try(1, "ties")
		// What is not finite, and what has no direction.
		scores[c.n/2] = nan
		clear(keys[:3*c.heads*c.width])
		keys[(c.n/2)*3*c.heads*c.width+c.heads*c.width] = nan
		try(2, "NaN")
	}
}

// oneMatch compares one Match.
func (p *pair) oneMatch(what string, heads int, keys, scores []float32, stay, drop int, logs bool) {
	p.t.Helper()
	got, want := p.mergers()
	n := len(scores)
	qkv, score := p.tensor(n, len(keys)/n, keys), p.tensor(n, 1, scores)
	places, turns, turn := Orders(p.rng, n)
	order := p.tensor(n, turns, places)
	gotKept, wantKept := p.index(p.got, stay+1), p.index(p.want, stay+1)
	gotGroups, wantGroups := p.index(p.got, n), p.index(p.want, n)
	got.Match(gotKept, gotGroups, qkv.got, heads, score.got, logs, drop, order.got, turn)
	want.Match(wantKept, wantGroups, qkv.want, heads, score.want, logs, drop, order.want, turn)
	what = fmt.Sprintf("%s, logs %v, turn %d of %d", what, logs, turn, turns)
	p.sameIndex("kept "+what, gotKept, wantKept)
	p.sameIndex("groups "+what, gotGroups, wantGroups)
}

// Orders are up to three columns that order n rows, and which of them is to: numbers at random,
// of which a few are equal and one is none.
func Orders(rng *rand.Rand, n int) (order []float32, turns, turn int) {
	turns = 1 + rng.IntN(3)
	order = make([]float32, n*turns)
	for i := range order {
		order[i] = float32(rng.IntN(2*n) - n/2)
	}
	order[rng.IntN(len(order))] = float32(math.NaN())
	return order, turns, rng.IntN(turns)
}

func (p *pair) sameIndex(what string, got, want backends.Index) {
	p.t.Helper()
	a := make([]int32, got.N)
	if err := p.got.DownloadIndex(a, got); err != nil {
		p.t.Fatal(err)
	}
	if !slices.Equal(a, want.Host) {
		p.t.Errorf("%s: %v, want %v", what, a, want.Host)
	}
}

func (s suite) merge(t *testing.T) {
	p := s.pair(t)
	got, want := p.mergers()
	for _, c := range []struct{ n, cols, rows int }{{1, 1, 1}, {5, 3, 2}, {17, 33, 1}, {196, 192, 137}} {
		numbers := make([]int32, c.n)
		for i := range numbers {
			numbers[i] = int32(p.rng.IntN(c.rows+1)) - 1
		}
		x, sizes := p.tensor(c.n, c.cols, p.random(c.n*c.cols)), p.tensor(c.n, 1, p.counts(c.n))
		dst, total := p.tensor(c.rows, c.cols, p.random(c.rows*c.cols)), p.tensor(c.rows, 1, nil)
		gotGroups, wantGroups := p.index(p.got, c.n), p.index(p.want, c.n)
		p.got.UploadIndex(gotGroups, numbers)
		p.want.UploadIndex(wantGroups, numbers)
		for _, sizes := range []twin{{}, sizes} {
			got.Merge(dst.got, total.got, x.got, sizes.got, gotGroups)
			want.Merge(dst.want, total.want, x.want, sizes.want, wantGroups)
			what := fmt.Sprintf("Merge %+v, sized %v", c, !sizes.got.IsZero())
			dst.compare(what, LimitNorm)
			total.compare(what+" total", 0)
			p.staysAlone(what, dst, x, numbers)
		}
		p.got.UploadIndex(gotGroups, slices.Repeat([]int32{int32(c.rows)}, c.n))
		got.Merge(dst.got, total.got, x.got, sizes.got, gotGroups)
		if err := p.got.Download(make([]float32, c.rows), total.got); err == nil {
			t.Errorf("row %d of %d is no error", c.rows, c.rows)
		}
	}
}

// staysAlone checks that a row whose group has no other kept its bits.
func (p *pair) staysAlone(what string, dst, x twin, groups []int32) {
	p.t.Helper()
	out := make([]float32, dst.rows*dst.cols)
	if err := p.got.Download(out, dst.got); err != nil {
		p.t.Fatal(err)
	}
	for g := range dst.rows {
		i := slices.Index(groups, int32(g))
		if i < 0 || slices.Contains(groups[i+1:], int32(g)) {
			continue
		}
		if !slices.Equal(out[g*dst.cols:][:dst.cols], x.want.Host[i*x.cols:][:x.cols]) {
			p.t.Errorf("%s: row %d is alone in %d and changed", what, i, g)
		}
	}
}
