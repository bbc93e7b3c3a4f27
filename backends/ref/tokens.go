package ref

import (
	"fmt"
	"slices"

	"dynvit/backends"
)

func (r *ref) TopK(kept backends.Index, score backends.Tensor) {
	need("TopK", score.Cols == 1 && kept.N >= 1 && kept.N <= score.Rows+1, "shapes differ")
	order := make([]int32, score.Rows)
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortStableFunc(order, func(i, j int32) int { return descending(score.Host[i], score.Host[j]) })
	best := order[:kept.N-1]
	slices.Sort(best)
	kept.Host[0] = 0
	for i, row := range best {
		kept.Host[i+1] = 1 + row
	}
}

// descending compares for a sort from high to low, NaN last.
func descending[F float32 | float64](a, b F) int {
	switch {
	case a > b, a == a && b != b:
		return -1
	case a < b, a != a && b == b:
		return 1
	}
	return 0
}

func (r *ref) Gather(dst, x backends.Tensor, kept backends.Index) {
	need("Gather", dst.Rows == kept.N && dst.Cols == x.Cols, "shapes differ")
	for i, from := range kept.Host {
		if from < 0 || int(from) >= x.Rows {
			if r.err == nil {
				r.err = fmt.Errorf("ref: Gather: row %d of %d", from, x.Rows)
			}
			continue
		}
		copy(row(dst, i), row(x, int(from)))
	}
}
