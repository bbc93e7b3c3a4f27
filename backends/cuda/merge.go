package cuda

import (
	"dynvit/backends"
	"dynvit/backends/cuda/device"
)

// matching is what lies between the kernels of a Match of n patches, pieces of one scratch, each
// of n+1 numbers.
type matching struct{ rest, sources, targets, moves, target, gain, goes span }

const matchPieces = 7

func matchBytes(n int) int { return matchPieces * (n + 1) * elementBytes }

// cut divides the scratch.
func (b *backend) cut(n int) (m matching) {
	at, bytes := b.use(&b.match, matchBytes(n)), (n+1)*elementBytes
	for i, piece := range [matchPieces]*span{&m.rest, &m.sources, &m.targets, &m.moves, &m.target, &m.gain, &m.goes} {
		*piece = span{at + device.Address(i*bytes), bytes}
	}
	return m
}

// Match implements backends.Merger: what is not dropped is ranked and halved, each source finds its
// target, and of those the ones that cost least are ranked and go.
func (b *backend) Match(kept, groups backends.Index, qkv backends.Tensor, heads int, score backends.Tensor, logs bool, drop int, order backends.Tensor, turn int) {
	n, stay := qkv.Rows, kept.N-1
	need("Match", heads > 0 && qkv.Cols%(3*heads) == 0, "qkv is not [n, 3·heads·width]")
	need("Match", score.Rows == n && score.Cols == 1 && groups.N == n && order.Rows == n, "shapes differ")
	need("Match", turn >= 0 && turn < order.Cols, "no such order")
	need("Match", stay >= 1 && stay <= n && drop >= 0 && drop <= n-stay, "more rows than there are")
	need("Match", (n-drop)/2 <= stay, "more rows are to go than there are sources")
	survivors := n - drop
	targets, moving := survivors/2, survivors-stay
	m := b.cut(n)
	b.rank(m.rest, spanOf(score), n, survivors)
	if moving > 0 {
		b.halve(&m, order, turn, survivors)
		b.aim(&m, qkv, heads, score, logs, survivors-targets, targets)
		b.rank(m.moves, m.gain, survivors-targets, moving)
	}
	s := b.begin(regroup, device.Size{1, 1, 1}, 256)
	s.add(kept.Dev, groups.Dev, at(m.goes.at), at(m.rest.at), number(survivors), at(m.sources.at), at(m.target.at), at(m.moves.at), number(moving), number(n))
	s.reads = [4]span{m.rest, m.sources, m.target, m.moves}
	s.writes = [3]span{spanOfIndex(kept), spanOfIndex(groups), m.goes}
	b.do(s)
}

// rank writes a 0 and 1 more than the rows of the k highest of n scores, ascending.
func (b *backend) rank(to, scores span, n, k int) {
	s := b.begin(topK, device.Size{1, 1, 1}, 256)
	s.add(at(to.at), at(scores.at), number(n), number(k+1))
	s.reads, s.writes = [4]span{scores}, [3]span{to}
	b.do(s)
}

// halve makes the half of the survivors that is highest by a column of order targets.
func (b *backend) halve(m *matching, order backends.Tensor, turn, survivors int) {
	s := b.begin(halve, device.Size{1, 1, 1}, 256)
	column := spanOf(order).at + device.Address(turn*elementBytes)
	s.add(at(m.sources.at), at(m.targets.at), at(m.rest.at), number(survivors), at(column), number(order.Cols))
	s.reads, s.writes = [4]span{m.rest, spanOf(order)}, [3]span{m.sources, m.targets}
	b.do(s)
}

// aim finds each source's target.
func (b *backend) aim(m *matching, qkv backends.Tensor, heads int, score backends.Tensor, logs bool, sources, targets int) {
	s := b.begin(aim, device.Size{sources, 1, 1}, 128)
	s.add(at(m.target.at), at(m.gain.at), tensor(qkv), number(qkv.Cols), number(heads), number(qkv.Cols/3/heads))
	s.add(at(m.sources.at), at(m.targets.at), number(targets), tensor(score), flag(logs))
	s.reads = [4]span{spanOf(qkv), m.sources, m.targets, spanOf(score)}
	s.writes = [3]span{m.target, m.gain}
	b.do(s)
}

// Merge implements backends.Merger.
func (b *backend) Merge(dst, total, x, sizes backends.Tensor, groups backends.Index) {
	need("Merge", dst.Cols == x.Cols && total.Rows == dst.Rows && total.Cols == 1 && groups.N == x.Rows, "shapes differ")
	need("Merge", sizes.IsZero() || sizes.Rows == x.Rows && sizes.Cols == 1, "sizes are not [n, 1]")
	s := b.begin(merge, device.Size{dst.Rows, 1, 1}, 128)
	s.add(tensor(dst), tensor(total), tensor(x), tensor(sizes), groups.Dev, number(x.Rows), number(dst.Rows), number(x.Cols), at(b.badRow))
	s.reads = [4]span{spanOf(x), spanOf(sizes), spanOfIndex(groups)}
	s.writes = [3]span{spanOf(dst), spanOf(total)}
	b.do(s)
}
