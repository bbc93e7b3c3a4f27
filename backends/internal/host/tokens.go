package host

import (
	"fmt"
	"math"

	"dynvit/backends"
)

func (b *driver) TopK(kept backends.Index, score backends.Tensor) {
	b.need("TopK", score.Cols == 1 && kept.N >= 1 && kept.N <= score.Rows+1, "shapes differ")
	kept.Host[0] = 0
	b.scratch.best(kept.Host[1:], score.Host, 1)
}

// best writes first and the number of the highest scores, as many as dst has room for. It
// finds the score at the cut and then takes, from the top, all rows above it and
// as many at it as are left: linear in the number of rows, and ascending by itself.
func (s *scratch) best(dst []int32, score []float32, first int32) {
	if len(dst) == 0 {
		return
	}
	n := len(score)
	grow(&s.order, 2*n)
	keys, moved := s.order[:n], s.order[n:2*n]
	for i, v := range score {
		keys[i] = key(v)
	}
	copy(moved, keys)
	take(dst, keys, largest(moved, len(dst)), first)
}

// take writes first and the number of each key above cut, and of as many at it, the lower rows, as
// dst has room for. What is above is known to no branch predictor, so nothing branches on it.
func take(dst []int32, keys []uint32, cut uint32, first int32) {
	ties := len(dst)
	for _, k := range keys {
		if k > cut {
			ties--
		}
	}
	at := 0
	for i, k := range keys {
		if at == len(dst) {
			break
		}
		dst[at] = int32(i) + first // written over unless it is taken
		taken := 0
		if k > cut {
			taken = 1
		}
		if k == cut && ties > 0 {
			taken, ties = 1, ties-1
		}
		at += taken
	}
}

// key orders floats as unsigned integers, NaN below all, both zeros equal.
func key(v float32) uint32 {
	if v != v {
		return 0
	}
	bits := math.Float32bits(v + 0) // -0 + 0 is +0
	if bits&(1<<31) != 0 {
		return ^bits
	}
	return bits | 1<<31
}

// largest returns the k-th largest of keys, 1 <= k <= len, and reorders them
// (quickselect around the middle element, three ways).
func largest(keys []uint32, k int) uint32 {
	for {
		pivot := keys[len(keys)/2]
		i, same, below := 0, 0, len(keys)
		for same < below {
			switch v := keys[same]; {
			case v > pivot:
				keys[i], keys[same] = v, keys[i]
				i++
				same++
			case v < pivot:
				below--
				keys[same], keys[below] = keys[below], v
			default:
				same++
			}
		}
		switch {
		case k <= i:
			keys = keys[:i]
		case k <= below:
			return pivot
		default:
			keys, k = keys[below:], k-below
		}
	}
}

func (b *driver) Gather(dst, x backends.Tensor, kept backends.Index) {
	b.need("Gather", dst.Rows == kept.N && dst.Cols == x.Cols, "shapes differ")
	for i, row := range kept.Host {
		if row < 0 || int(row) >= x.Rows {
			if b.err == nil {
				b.err = fmt.Errorf("%s: Gather: row %d of %d", b.name, row, x.Rows)
			}
			continue
		}
		copy(dst.Host[i*x.Cols:(i+1)*x.Cols], x.Host[int(row)*x.Cols:])
	}
}
