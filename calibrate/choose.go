package calibrate

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"dynvit/timing"
)

// tie is what two points' agreement may differ by and still count as equal: half
// of the one point within which the choice promises to be the best. Statistical
// significance is no rule here: on the few hundred frames of a calibration the
// intervals are several points wide, and the cheapest point would win with all of
// that lost. Among labels it is one, since what is equal by them goes to the higher
// agreement, not to the cheaper point.
const tie = 0.005

// ErrTooFew is of points among which a controller may move, but none can be chosen:
// they were not judged, or not measured for as long as one window.
var ErrTooFew = errors.New("nothing to choose from")

// Choose returns the index of the point with the best answers among those whose
// upper confidence bound of the wanted percentile meets the budget. Where labels
// measure (Quality.Measures), points go out that the most accurate one beats by more
// than chance (McNemar's test). Of the rest the highest agreement wins; points within
// half a point of it are equal, and go to fewer threads, then to fewer multiply-adds,
// then to the lower bound. Points that were not judged, or on
// fewer frames than one window (WindowFor), cannot be chosen: where all are such the
// error is ErrTooFew. Where nothing fits it is a *NothingFits.
func Choose(points []Measured, percentile float64, budget time.Duration) (int, error) {
	if budget <= 0 {
		return 0, fmt.Errorf("budget %v: want more than 0", budget)
	}
	if !(percentile > 0 && percentile < 100) {
		return 0, fmt.Errorf("percentile %v: want above 0 and below 100", percentile)
	}
	var known, fitting []int
	for i, p := range points {
		if p.Judged == 0 || p.Frames < WindowFor(percentile) {
			continue
		}
		known = append(known, i)
		if p.CI95.Hi <= timing.Milliseconds(budget) {
			fitting = append(fitting, i)
		}
	}
	if len(known) == 0 {
		return 0, fmt.Errorf("%w: none of %d points was judged and measured on %d frames", ErrTooFew, len(points), WindowFor(percentile))
	}
	if len(fitting) == 0 {
		return 0, nothingFits(points, known, percentile, budget)
	}
	return best(points, fitting), nil
}

func best(points []Measured, fitting []int) int {
	right := rightest(points, fitting)
	fitting = slices.DeleteFunc(fitting, func(i int) bool { return points[right].moreRight(points[i].Quality) })
	most := math.Inf(-1)
	for _, i := range fitting {
		most = max(most, points[i].Agreement)
	}
	equal := slices.DeleteFunc(fitting, func(i int) bool { return points[i].Agreement < most-tie })
	return slices.MinFunc(equal, func(a, b int) int { return cheaper(points[a], points[b]) })
}

// rightest is the point that was right on most pictures, of several the one that agrees most.
func rightest(points []Measured, fitting []int) int {
	return slices.MaxFunc(fitting, func(a, b int) int {
		return cmp.Or(cmp.Compare(points[a].Right.count(), points[b].Right.count()), cmp.Compare(points[a].Agreement, points[b].Agreement))
	})
}

func cheaper(a, b Measured) int {
	return cmp.Or(cmp.Compare(a.Threads, b.Threads), cmp.Compare(a.GMACs, b.GMACs), cmp.Compare(a.CI95.Hi, b.CI95.Hi))
}

// NothingFits says that no point meets the budget, which one comes nearest, and
// what would help.
type NothingFits struct {
	Budget     time.Duration
	Percentile float64
	Nearest    Measured
	Enough     time.Duration // the least budget that Nearest meets, rounded up to 1 ms
	Noise      bool          // Nearest's median fits: its tail does not
}

func nothingFits(points []Measured, known []int, percentile float64, budget time.Duration) *NothingFits {
	near := points[slices.MinFunc(known, func(a, b int) int { return cmp.Compare(points[a].CI95.Hi, points[b].CI95.Hi) })]
	return &NothingFits{
		Budget: budget, Percentile: percentile, Nearest: near,
		Enough: time.Duration(math.Ceil(near.CI95.Hi)) * time.Millisecond,
		Noise:  near.P50 <= timing.Milliseconds(budget),
	}
}

func (e *NothingFits) Error() string {
	help := "take a smaller model or a smaller picture, or keep fewer patches"
	if e.Noise {
		help = "its median of " + short(e.Nearest.P50) + " ms fits, so calibrate with less load beside it or ask for a lower percentile"
	}
	return fmt.Sprintf("budget %v at p%v: no point meets it; the nearest, %v, needs %s ms: raise the budget to %v, or %s",
		e.Budget, e.Percentile, e.Nearest.Point, short(e.Nearest.CI95.Hi), e.Enough, help)
}
