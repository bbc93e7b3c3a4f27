package calibrate

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

// found is a point as measured: its upper bound in ms and its agreement.
func found(ratio float64, g Group, hi, agreement float64) Measured {
	return Measured{
		Point: Point{plan(ratio), g}, P50: 0.8 * hi, P90: 0.9 * hi, P95: 0.95 * hi, P99: hi, CI95: Interval{0.9 * hi, hi},
		Frames: 60, Quality: Quality{Judged: 100, Agreement: agreement, AgreementCI95: wilson(int(100*agreement), 100)},
	}
}

var f1, f2, i1 = Group{"f32", 1}, Group{"f32", 2}, Group{"int8", 1}

func TestChoose(t *testing.T) {
	good, bad := 0.9, 0.2
	labelled := found(0.5, f1, 10, 0.5)
	labelled.Accuracy = &good
	worse := found(0.7, f1, 12, 0.99)
	worse.Accuracy = &bad
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
