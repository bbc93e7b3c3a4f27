package calibrate

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"

	"dynvit/timing"
)

// Interval is a confidence interval; in JSON [lo, hi].
type Interval struct{ Lo, Hi float64 }

// MarshalJSON writes [lo, hi].
func (i Interval) MarshalJSON() ([]byte, error) { return json.Marshal([2]float64{i.Lo, i.Hi}) }

// UnmarshalJSON reads [lo, hi] and refuses any other length: an array of Go
// would silently drop or invent a bound.
func (i *Interval) UnmarshalJSON(data []byte) error {
	var bounds []float64
	if err := json.Unmarshal(data, &bounds); err != nil {
		return err
	}
	if len(bounds) != 2 {
		return fmt.Errorf("interval of %d values: want [lo, hi]", len(bounds))
	}
	i.Lo, i.Hi = bounds[0], bounds[1]
	return nil
}

// confidence of every interval, and its two-sided normal quantile.
const (
	confidence = 0.95
	z95        = 1.959963984540054
)

// resamples of a bootstrap: the bounds of 95 % then rest on 25 values a side;
// twice as many moved the upper bound of p95 by less than 1 % (TestResamples).
const resamples = 1000

// percentile of values in any order; 0 where there are none.
func percentile(values []float64, p float64) float64 {
	if len(values) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(values))[timing.Rank(len(values), p)]
}

// bootstrapPercentile is the interval of a percentile of values in the order in
// which they were measured. Neighbours are drawn together in blocks of n^(1/3)
// (Künsch 1989): a disturbance lasts several frames, and drawing frames one by one
// would take it for that many independent facts and give too narrow an interval.
func bootstrapPercentile(values []float64, p float64, r *rand.Rand) Interval {
	n := len(values)
	if n == 0 {
		return Interval{}
	}
	order, ranks := ranked(values)
	found := make([]float64, resamples)
	drawn := make([]int, n)
	for i := range found {
		clear(drawn)
		drawBlocks(n, r, func(at int) { drawn[ranks[at]]++ })
		found[i] = order[nth(drawn, timing.Rank(n, p))]
	}
	return middle(found)
}

// ranked sorts values and says where each went.
func ranked(values []float64) (order []float64, ranks []int) {
	by := make([]int, len(values))
	for i := range by {
		by[i] = i
	}
	sort.SliceStable(by, func(a, b int) bool { return values[by[a]] < values[by[b]] })
	order, ranks = make([]float64, len(values)), make([]int, len(values))
	for at, i := range by {
		order[at], ranks[i] = values[i], at
	}
	return order, ranks
}

// nth is where the k-th of the counted values lies.
func nth(drawn []int, k int) int {
	for at, count := range drawn {
		if k -= count; k < 0 {
			return at
		}
	}
	return len(drawn) - 1
}

// drawBlocks draws n indices below n, in runs that wrap around.
func drawBlocks(n int, r *rand.Rand, take func(int)) {
	block := int(math.Ceil(math.Cbrt(float64(n))))
	for left := n; left > 0; {
		start := r.IntN(n)
		for j := range min(block, left) {
			take((start + j) % n)
		}
		left -= block
	}
}

// bootstrapMean is the interval of the mean.
func bootstrapMean(values []float64, r *rand.Rand) Interval {
	n := len(values)
	if n == 0 {
		return Interval{}
	}
	found := make([]float64, resamples)
	for i := range found {
		sum := 0.0
		drawBlocks(n, r, func(at int) { sum += values[at] })
		found[i] = sum / float64(n)
	}
	return middle(found)
}

// middle is the interval that holds the confidence's share of what was found.
func middle(found []float64) Interval {
	slices.Sort(found)
	tail := 100 * (1 - confidence) / 2
	return Interval{found[timing.Rank(len(found), tail)], found[timing.Rank(len(found), 100-tail)]}
}

// Wilson is the interval of a share of hits (Wilson 1927): unlike the normal
// one it stays inside [0, 1] and is not empty at 0 and 1.
func Wilson(hits, of int) Interval {
	if of == 0 {
		return Interval{0, 1}
	}
	n := float64(of)
	p := float64(hits) / n
	scale := 1 / (1 + z95*z95/n)
	centre := scale * (p + z95*z95/(2*n))
	half := scale * z95 * math.Sqrt(p*(1-p)/n+z95*z95/(4*n*n))
	return Interval{max(0, min(p, centre-half)), min(1, max(p, centre+half))}
}

func mean(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}
