// Package timing sums up how long things took: milliseconds, and percentiles by
// nearest rank.
package timing

import (
	"math"
	"time"
)

// Milliseconds is a duration in milliseconds, to the nanosecond.
func Milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// Rounded is a duration in milliseconds, to a microsecond, as results and reports
// show it.
func Rounded(d time.Duration) float64 { return Milliseconds(d.Round(time.Microsecond)) }

// Rank is the index of a percentile (0 <= p <= 100) in n sorted values, n >= 1: nearest
// rank, the least value that at least p percent of them do not exceed, so that it is
// always one that was measured. The product is rounded in the 9th digit, or
// 99.9 % of 1000 would be the 1000th.
func Rank(n int, p float64) int {
	return min(n-1, max(0, int(math.Ceil(math.Round(p*float64(n)*1e7)/1e9))-1))
}
