package tuning

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"dynvit/calibrate"
)

func point(ratio float64, keep int, ms, agreement float64) calibrate.Measured {
	return calibrate.Measured{
		Point: calibrate.Point{
			Plan:  calibrate.Plan{KeepRatio: ratio, Keep: []int{keep}, Tokens: []int{10, keep}, GMACs: ms / 10},
			Group: calibrate.Group{Precision: "f32", Threads: 1},
		},
		P50: ms, P90: ms + 1, P95: ms + 2, P99: ms + 3, CI95: calibrate.Interval{Lo: ms, Hi: ms + 4}, Frames: 100, Settled: true,
		Quality: calibrate.Quality{Judged: 100, Agreement: agreement, KL: 1 - agreement},
	}
}

// TestJoinOfOne changes nothing.
func TestJoinOfOne(t *testing.T) {
	points := []calibrate.Measured{point(1, 9, 30, 1), point(0.5, 4, 10, 0.8), point(0.7, 6, 20, 0.9)}
	j := Join(points)
	if !reflect.DeepEqual(j.Points, points) || len(j.Plans) != 3 || !reflect.DeepEqual(j.Plans[2][0].Keep, []int{6}) {
		t.Errorf("%+v", j)
	}
}

// TestJoin: at each ratio the times of all, and what a model without that ratio has
// next above.
func TestJoin(t *testing.T) {
	large := []calibrate.Measured{point(1, 9, 30, 1), point(0.7, 6, 20, 0.9), point(0.5, 4, 10, 0.8)}
	small := []calibrate.Measured{point(1, 8, 3, 1), point(0.5, 3, 2, 0.6)}
	unpruned := []calibrate.Measured{point(1, 7, 100, 1)}
	j := Join(large, small, unpruned)
	var got []string
	for i, p := range j.Points {
		got = append(got, fmt.Sprintf("%v: %v of %.2f, keep %v %v %v", p.KeepRatio, p.P50, p.Agreement, j.Plans[i][0].Keep, j.Plans[i][1].Keep, j.Plans[i][2].Keep))
		if p.Frames != 100 || p.CI95.Hi != p.P50+12 || p.P99 != p.P50+9 {
			t.Errorf("%+v", p)
		}
	}
	want := []string{"1: 133 of 1.00, keep [9] [8] [7]", "0.7: 123 of 0.97, keep [6] [8] [7]", "0.5: 112 of 0.80, keep [4] [3] [7]"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if _, err := calibrate.NewController(j.Points, calibrate.Limits{Budget: time.Second}); err != nil {
		t.Error(err)
	}
	if j := Join(large, nil); len(j.Points) != 0 {
		t.Errorf("of a model that was not calibrated: %+v", j)
	}
}
