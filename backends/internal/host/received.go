package host

import (
	"math"

	"dynvit/backends"
)

// What the tokens receive of the queries' attention, and the scores made of it.

// unit is 1 in the fixed-point numbers of lane.received: 2⁻⁴⁰ is far below what a
// float32 weight resolves, and sums of 2²³ queries fit.
const unit = 1 << 40

// receive adds a query's attention to what the tokens of a head received, at being the
// head's place. Integers, because the lanes' sums must add up to the same
// whichever lane saw which query.
func (l *lane) receive(k *Kernels, at int, weights []float32, total float32) {
	if total != total {
		l.broken = true
		return
	}
	k.Receive(l.received[at:][:len(weights)], weights, unit/total)
}

func (a *attention) clearScores() {
	for i := range a.lanes {
		a.lanes[i].broken = false
		clear(a.lanes[i].received[:a.heads*a.n])
	}
}

// score writes the importance of the last tokens, as many as dst has room for: what each
// received, over the heads.
func (a *attention) score(dst []float32) {
	broken, first := false, a.n-len(dst)
	for i := range a.lanes {
		broken = broken || a.lanes[i].broken
	}
	for j := range dst {
		total := 0.0
		for h := range a.heads {
			total += a.importance(h, first+j)
		}
		dst[j] = float32(total / float64(a.heads))
		if broken {
			dst[j] = float32(math.NaN())
		}
	}
}

// importance is what a token received of one head, as by says.
func (a *attention) importance(h, token int) float64 {
	var received int64
	for i := range a.lanes {
		received += a.lanes[i].received[h*a.n+token]
	}
	if a.by == backends.CLS {
		return float64(received) / unit
	}
	return float64(received) / unit * float64(a.norms[h*a.n+token]) / float64(a.n)
}
