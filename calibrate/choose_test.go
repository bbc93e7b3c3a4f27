package calibrate

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

// answering is p judged on n labelled pictures of so many classes in turn, of which right says which it answered right.
func answering(p Measured, classes, n int, right func(i int) bool) Measured {
	p.Judged, p.Labelled, p.Classes, p.Rarest, p.Right = n, n, classes, n/classes, newBits(n)
	for i := range n {
		p.Right.set(i, right(i))
	}
	accuracy, interval := float64(p.Right.count())/float64(n), Wilson(p.Right.count(), n)
	p.Accuracy, p.AccuracyCI95 = &accuracy, &interval
	return p
}

// found is a point as measured: its upper bound in ms and its agreement.
func found(ratio float64, g Group, hi, agreement float64) Measured {
	return Measured{
		Point: Point{plan(ratio), g}, P50: 0.8 * hi, P90: 0.9 * hi, P95: 0.95 * hi, P99: hi, CI95: Interval{0.9 * hi, hi},
		Frames: 60, Quality: Quality{Judged: 100, Agreement: agreement, AgreementCI95: Wilson(int(100*agreement), 100)},
	}
}

var f1, f2, i1 = Group{"f32", 1}, Group{"f32", 2}, Group{"int8", 1}

func TestChoose(t *testing.T) {
	labelled := answering(found(0.5, f1, 10, 0.5), 10, 300, func(i int) bool { return i%10 > 0 })
	worse := answering(found(0.7, f1, 12, 0.99), 10, 300, func(i int) bool { return i%5 == 0 })
	few, unjudged := found(1, f1, 5, 1), found(1, f1, 5, 1)
	few.Frames, unjudged.Judged = 19, 0
	for _, c := range []struct {
		name   string
		points []Measured
		budget time.Duration
		want   int
	}{
		{"best that fits", []Measured{found(1, f1, 30, 1), found(0.7, f1, 20, 0.95), found(0.5, f1, 10, 0.8)}, 25 * time.Millisecond, 1},
		{"the bound counts, not the percentile", []Measured{found(0.7, f1, 20, 0.95), found(0.5, f1, 10, 0.8)}, 19500 * time.Microsecond, 1},
		{"bound on the budget", []Measured{found(0.7, f1, 20, 0.95), found(0.5, f1, 10, 0.8)}, 20 * time.Millisecond, 0},
		{"over precisions", []Measured{found(0.5, f1, 20, 0.8), found(0.9, i1, 20, 0.97)}, 25 * time.Millisecond, 1},
		{"tie to fewer threads", []Measured{found(0.9, f2, 10, 0.97), found(0.9, f1, 20, 0.97)}, 25 * time.Millisecond, 1},
		{"near tie to fewer threads", []Measured{found(0.9, f2, 10, 0.973), found(0.8, f1, 20, 0.97)}, 25 * time.Millisecond, 1},
		{"no tie", []Measured{found(0.9, f2, 10, 0.98), found(0.8, f1, 20, 0.97)}, 25 * time.Millisecond, 0},
		{"tie to fewer MACs", []Measured{found(0.9, f1, 10, 0.97), found(0.8, f1, 12, 0.97)}, 25 * time.Millisecond, 1},
		{"labels before agreement", []Measured{labelled, worse}, 25 * time.Millisecond, 0},
		{"too few frames", []Measured{few, found(0.5, f1, 10, 0.8)}, 25 * time.Millisecond, 1},
		{"not judged", []Measured{unjudged, found(0.5, f1, 10, 0.8)}, 25 * time.Millisecond, 1},
		{"huge budget", []Measured{found(0.5, f1, 10, 0.8), found(1, f1, 30, 1)}, math.MaxInt64, 1},
	} {
		if got, err := Choose(c.points, 95, c.budget); err != nil || got != c.want {
			t.Errorf("%s: %d, %v, want %d", c.name, got, err, c.want)
		}
	}
}

// TestChooseByLabels: labels decide where there are enough of them and the difference is more than chance; else
// agreement does.
func TestChooseByLabels(t *testing.T) {
	right := func(from, to int) func(int) bool { return func(i int) bool { return i >= from && i < to } }
	dense, pruned := found(1, f1, 20, 1), found(0.4, f1, 10, 0.8)
	for _, c := range []struct {
		name       string
		classes, n int
		of         [2]func(int) bool // the dense point's and the pruned one's
		want       int
	}{
		{"one photo more of 90", 3, 90, [2]func(int) bool{right(0, 80), right(0, 81)}, 0},
		{"four more", 3, 90, [2]func(int) bool{right(0, 80), right(0, 84)}, 0}, // mid-p 0.0625
		{"five more", 3, 90, [2]func(int) bool{right(0, 80), right(0, 85)}, 1}, // mid-p 0.031
		{"five more, others than before", 3, 90, [2]func(int) bool{right(0, 80), right(5, 90)}, 0},
		{"five more of two classes", 2, 90, [2]func(int) bool{right(0, 80), right(0, 85)}, 0},
		{"fifty more of one class", 1, 97, [2]func(int) bool{right(0, 40), right(0, 90)}, 0},
		{"five more of 29 a class", 3, 87, [2]func(int) bool{right(0, 80), right(0, 85)}, 0},
		{"fifty fewer", 3, 90, [2]func(int) bool{right(0, 80), right(0, 30)}, 0},
	} {
		points := []Measured{answering(dense, c.classes, c.n, c.of[0]), answering(pruned, c.classes, c.n, c.of[1])}
		if got, err := Choose(points, 95, 25*time.Millisecond); err != nil || got != c.want {
			t.Errorf("%s: %d, %v, want %d", c.name, got, err, c.want)
		}
		points[0], points[1] = points[1], points[0]
		if got, err := Choose(points, 95, 25*time.Millisecond); err != nil || got != 1-c.want {
			t.Errorf("%s, turned round: %d, %v, want %d", c.name, got, err, 1-c.want)
		}
	}
}

// TestChooseAmongEquals: of points that are right equally often within chance the highest agreement wins, and among those
// that agree alike the cheaper one, as without labels.
func TestChooseAmongEquals(t *testing.T) {
	points := []Measured{
		answering(found(1, f2, 20, 1), 10, 400, func(i int) bool { return i >= 20 }),
		answering(found(1, f1, 24, 0.998), 10, 400, func(i int) bool { return i >= 19 }),
		answering(found(0.5, f1, 10, 0.9), 10, 400, func(i int) bool { return i >= 18 }),
		answering(found(0.4, f1, 8, 0.99), 10, 400, func(i int) bool { return i >= 100 }),
	}
	if got, err := Choose(points, 95, 25*time.Millisecond); err != nil || got != 1 {
		t.Errorf("%d, %v, want the cheaper of those that agree", got, err)
	}
}

func TestChooseNothingFits(t *testing.T) {
	points := []Measured{found(1, f1, 30, 1), found(0.5, f2, 10.4, 0.8)}
	_, err := Choose(points, 95, 5*time.Millisecond)
	var none *NothingFits
	if !errors.As(err, &none) {
		t.Fatalf("error %v", err)
	}
	if !none.Nearest.same(points[1].Point) || none.Enough != 11*time.Millisecond || none.Noise {
		t.Errorf("%+v", none)
	}
	for _, want := range []string{"budget 5ms at p95", "keep 0.5 (98,49,24) f32 on 2 threads", "needs 10.4 ms", "raise the budget to 11ms", "smaller model"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
	if i, err := Choose(points, 95, none.Enough); err != nil || i != 1 {
		t.Errorf("the budget that is said to be enough: %d, %v", i, err)
	}
	if _, err := Choose(points, 95, 9*time.Millisecond); !strings.Contains(err.Error(), "its median of 8.32 ms fits") {
		t.Errorf("error %v", err)
	}
}

func TestChooseErrors(t *testing.T) {
	one := []Measured{found(1, f1, 30, 1)}
	for _, c := range []struct {
		points     []Measured
		percentile float64
		budget     time.Duration
		want       string
	}{
		{one, 95, 0, "budget 0s"}, {one, 95, -1, "want more than 0"}, {one, 0, time.Second, "percentile 0"},
		{one, math.NaN(), time.Second, "percentile NaN"}, {nil, 95, time.Second, "nothing to choose from"}, {one, 99.9, time.Second, "on 200 frames"},
	} {
		if _, err := Choose(c.points, c.percentile, c.budget); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
}
