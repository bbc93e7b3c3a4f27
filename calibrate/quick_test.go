package calibrate

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

// TestQuick: whatever a frame takes, the time is held to within one; a slow machine measures fewer points on fewer frames,
// with the ends of the grid among them, and says so where nothing comes of it.
func TestQuick(t *testing.T) {
	const limit = 8 * time.Second
	for _, c := range []struct {
		slower           float64 // than a dense frame of 31 ms in int8, 61 ms in f32
		points, frames   int     // at least
		complete, refuse bool
	}{
		{slower: 0.05, points: 7, frames: 20, complete: true},
		{slower: 0.5, points: 7, frames: 20, complete: true},
		{slower: 2, points: 3, frames: 20},
		{slower: 4, points: 3, frames: 8},
		{slower: 8, points: 2, frames: 5},
		{slower: 12, points: 2, frames: 3},
		{slower: 40, refuse: true},
		{slower: 4000, refuse: true},
	} {
		t.Run(fmt.Sprint(c.slower), func(t *testing.T) {
			f := judging()
			f.drift = func(time.Duration) float64 { return c.slower }
			f.noise = 0.02
			points := Grid(plans(1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4), []string{"int8"}, []int{1})
			found, err := Quick(t.Context(), f, points, Options{Frames: 40, Reference: dense("f32", 1), Clock: f.clock}, limit)
			frame := time.Duration(c.slower * 61 * 1.02 * float64(time.Millisecond))
			if c.refuse {
				if err == nil || !strings.Contains(err.Error(), "a frame takes") || f.now.Sub(f.start) > 4*frame {
					t.Errorf("%v after %v", err, f.now.Sub(f.start))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if took := f.now.Sub(f.start); took > limit+frame {
				t.Errorf("took %v", took)
			}
			got := found.Points
			if len(got) < c.points || c.complete && len(got) != len(points) || got[0].KeepRatio != 1 || got[len(got)-1].KeepRatio != 0.4 {
				t.Errorf("%d points: %v", len(got), got)
			}
			for _, p := range got {
				if p.Frames < c.frames || p.Judged < 1 {
					t.Errorf("%v: %d frames measured, %d judged", p.Point, p.Frames, p.Judged)
				}
			}
			if _, err := NewController(got, Limits{Budget: time.Second}); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestQuickCountsOpening: what it takes to open the reference comes off the time for the rest.
func TestQuickCountsOpening(t *testing.T) {
	f := judging()
	f.useCost = 1500 * time.Millisecond
	points := Grid(plans(1, 0.7, 0.4), []string{"f32"}, []int{1})
	if _, err := Quick(t.Context(), f, points, Options{Frames: 9, Reference: dense("f32", 1), Clock: f.clock}, 4*time.Second); err != nil {
		t.Fatal(err)
	}
	if took := f.now.Sub(f.start); took > 4100*time.Millisecond {
		t.Errorf("took %v", took)
	}
	f = judging()
	f.useCost = 5 * time.Second
	_, err := Quick(t.Context(), f, points, Options{Frames: 9, Reference: dense("f32", 1), Clock: f.clock}, 4*time.Second)
	if err == nil || !strings.Contains(err.Error(), "5s to open") {
		t.Errorf("error %v", err)
	}
}

func TestQuickErrors(t *testing.T) {
	f := judging()
	if _, err := Quick(t.Context(), f, nil, Options{Frames: 1, Reference: dense("f32", 1)}, time.Second); err == nil || !strings.Contains(err.Error(), "no points") {
		t.Errorf("error %v", err)
	}
	f.broken = func(Point, int) error { return fmt.Errorf("no such kernel") }
	points := Grid(plans(1), []string{"f32"}, []int{1})
	if _, err := Quick(t.Context(), f, points, Options{Frames: 1, Reference: dense("f32", 1), Clock: f.clock}, time.Second); err == nil || !strings.Contains(err.Error(), "no such kernel") {
		t.Errorf("error %v", err)
	}
}

// TestFewJudged: on a few frames equal agreement says nothing, and the ladder goes by KL; on twenty it does.
func TestFewJudged(t *testing.T) {
	for judged, want := range map[int]int{1: 0, 19: 0, 20: 1, 100: 1} {
		a, b := found(1, f1, 20, 1), found(0.4, f1, 10, 1)
		a.Judged, b.Judged, b.KL = judged, judged, 0.1
		c := controller(t, []Measured{a, b}, Limits{Budget: time.Second})
		if got := c.Decision(c.Start()).Index; got != want {
			t.Errorf("%d frames judged: point %d, want %d", judged, got, want)
		}
	}
}

func TestSpread(t *testing.T) {
	points := Grid(plans(1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4), []string{"f32"}, []int{1})
	for n, want := range map[int][]float64{2: {1, 0.4}, 3: {1, 0.7, 0.4}, 4: {1, 0.8, 0.6, 0.4}, 7: {1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4}} {
		var got []float64
		for _, p := range spread(points, n) {
			got = append(got, p.KeepRatio)
		}
		if len(got) != len(want) {
			t.Fatalf("%d: %v", n, got)
		}
		for i := range got {
			if math.Abs(got[i]-want[i]) > 1e-9 {
				t.Errorf("%d: %v, want %v", n, got, want)
			}
		}
	}
}
