package calibrate

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Plan is one way to prune, whatever the precision and the threads.
type Plan struct {
	KeepRatio float64 `json:"keep_ratio"` // as asked for, in (0, 1]
	Keep      []int   `json:"keep"`       // patches kept at each stage, never rising, each at least 1
	Tokens    []int   `json:"tokens"`     // alive with CLS: at the input, and after each stage
	GMACs     float64 `json:"gmacs"`      // 10⁹ multiply-adds a frame
}

// Group is what the points of one opened model have in common.
type Group struct {
	Precision string `json:"precision"`
	Threads   int    `json:"threads"`
}

func (g Group) String() string {
	return fmt.Sprintf("%s on %d %s", g.Precision, g.Threads, plural(g.Threads, "thread", "threads"))
}

// Point is one setting of the machine: how much to prune, in which precision, on
// how many threads. It is a value; nothing here changes its slices.
type Point struct {
	Plan
	Group
}

func (p Point) String() string {
	return fmt.Sprintf("keep %s (%s) %s", short(p.KeepRatio), counts(p.Keep), p.Group)
}

// same reports whether two points are one setting.
func (p Point) same(q Point) bool { return p.Group == q.Group && slices.Equal(p.Keep, q.Keep) }

// Grid is every plan in every precision on every number of threads, group by
// group.
func Grid(plans []Plan, precisions []string, threads []int) []Point {
	points := make([]Point, 0, len(plans)*len(precisions)*len(threads))
	for _, precision := range precisions {
		for _, n := range threads {
			for _, plan := range plans {
				points = append(points, Point{plan, Group{precision, n}})
			}
		}
	}
	return points
}

// Measured is a point and what was found of it. Times are milliseconds of whole
// frames.
type Measured struct {
	Point
	P50     float64  `json:"p50_ms"`
	P90     float64  `json:"p90_ms"`
	P95     float64  `json:"p95_ms"`
	P99     float64  `json:"p99_ms"`
	CI95    Interval `json:"ci95_ms"` // of the wanted percentile
	Frames  int      `json:"frames"`  // measured, warm-up apart
	Settled bool     `json:"settled"` // three windows agreed before the time was up
	Quality
}

// Quality is how well a point answers. Where Judged is 0 nothing is known and
// the rest means nothing.
type Quality struct {
	Judged        int       `json:"judged"`                  // frames compared with the dense f32 model
	Agreement     float64   `json:"agreement"`               // share of them with the same first class
	AgreementCI95 Interval  `json:"agreement_ci95"`          // by Wilson
	KL            float64   `json:"kl"`                      // mean KL(dense ‖ point) in nats, over frames where both are finite
	KLCI95        Interval  `json:"kl_ci95"`                 // by bootstrap
	Broken        int       `json:"broken,omitempty"`        // frames with NaN or infinite logits: they agree with nothing
	Labelled      int       `json:"labelled,omitempty"`      // judged frames whose class is known
	Classes       int       `json:"classes,omitempty"`       // that they are of
	Rarest        int       `json:"rarest,omitempty"`        // how many are of the class that has the fewest
	Accuracy      *float64  `json:"accuracy,omitempty"`      // share of them answered right; nil without labels
	AccuracyCI95  *Interval `json:"accuracy_ci95,omitempty"` // by Wilson
	Right         Bits      `json:"right,omitempty"`         // which of them, in the order in which they were judged
}

// What labels must be to decide. Pruning leans towards some classes: on 97 pictures of one it was right more often
// than the dense model, by that class's luck.
const (
	leastClasses = 3
	leastOfClass = 30
)

// Measures reports whether the labels are enough for accuracy to decide.
func (q Quality) Measures() bool {
	return q.Accuracy != nil && q.Classes >= leastClasses && q.Rarest >= leastOfClass && len(q.Right) > 0
}

// Value is what points are drawn by: accuracy where there are labels enough, else
// agreement.
func (q Quality) Value() float64 {
	if q.Measures() {
		return *q.Accuracy
	}
	return q.Agreement
}

// moreRight reports whether q was right on more pictures than r by more than
// chance explains. Where labels don't measure no point is.
func (q Quality) moreRight(r Quality) bool {
	if !q.Measures() || !r.Measures() || len(q.Right) != len(r.Right) {
		return false
	}
	ours, theirs := q.Right.differing(r.Right)
	return ours > theirs && mcnemar(ours, theirs) <= withinChance
}

// better reports whether q answers better than r: right more often beyond chance, or, where neither is, agreeing
// more often. On a few frames all may agree, which says nothing yet: then the lower KL is better.
func (q Quality) better(r Quality) bool {
	if q.moreRight(r) || r.moreRight(q) {
		return q.moreRight(r)
	}
	few := min(q.Judged, r.Judged) < leastWindow
	return q.Agreement > r.Agreement || few && q.Agreement == r.Agreement && q.KL < r.KL
}

func counts(keep []int) string {
	words := make([]string, len(keep))
	for i, k := range keep {
		words[i] = strconv.Itoa(k)
	}
	return strings.Join(words, ",")
}

// short writes a number with three digits at most, as people say it.
func short(v float64) string { return strconv.FormatFloat(v, 'g', 3, 64) }

func plural(n int, one, more string) string {
	if n == 1 {
		return one
	}
	return more
}
