package daemon

import (
	"slices"
	"testing"
	"time"

	"dynvit/calibrate"
	"dynvit/tuning"
	"dynvit/vit"
)

// measured is a point whose frames take about ms and agree on a share.
func measured(ratio float64, keep int, ms, agreement float64) calibrate.Measured {
	return calibrate.Measured{
		Point: calibrate.Point{
			Plan:  calibrate.Plan{KeepRatio: ratio, Keep: []int{keep, keep, keep}, GMACs: ms},
			Group: calibrate.Group{Precision: "f32", Threads: 1},
		},
		P50: ms, P90: ms, P95: ms, P99: ms, CI95: calibrate.Interval{Lo: ms, Hi: ms}, Frames: 100,
		Quality: calibrate.Quality{Judged: 100, Agreement: agreement},
	}
}

var threePoints = []calibrate.Measured{measured(1, 196, 30, 1), measured(0.7, 137, 20, 0.9), measured(0.4, 78, 10, 0.8)}

func newTestTuner() (*tuner, *int) {
	changes := 0
	t := newTuner(nil, []vit.Plan{{Keep: []int{137, 96, 67}}}, inForce{auto: true, ratio: 0.7, budget: 40 * time.Millisecond, percentile: 95, rate: 1})
	t.changed = func() { changes++ }
	return t, &changes
}

func TestTunerWithoutCalibration(t *testing.T) {
	u, changes := newTestTuner()
	for range 100 {
		if r := u.step(time.Second); r != calibrate.Steady || !u.admit() {
			t.Fatal("it follows a budget that it cannot know how to hold")
		}
	}
	if now := u.shown(); !now.auto || now.ratio != 0.7 || now.rate != 1 || *changes != 0 {
		t.Errorf("%+v, %d changes", now, *changes)
	}
}

// TestTunerHoldsTheBudget: half the clock, then the full one again.
func TestTunerHoldsTheBudget(t *testing.T) {
	u, changes := newTestTuner()
	if err := u.follow(tuning.Join(threePoints), 40*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if now := u.shown(); now.ratio != 1 || !slices.Equal(u.plans[0].Keep, []int{196, 196, 196}) {
		t.Errorf("begins at %+v, plan %v", now, u.plans)
	}
	times := map[int]time.Duration{196: 30, 137: 20, 78: 10}
	slow := func(n int, factor float64) {
		for range n {
			u.step(time.Duration(factor * float64(times[u.plans[0].Keep[0]]) * float64(time.Millisecond)))
		}
	}
	slow(10, 1.9)
	if now := u.shown(); now.ratio >= 1 || now.rate != 1 || *changes < 2 {
		t.Errorf("at half the clock %+v after %d changes", now, *changes)
	}
	slow(50, 20)
	now := u.shown()
	if now.ratio != 0.4 || now.rate >= 1 {
		t.Errorf("at a twentieth of the clock %+v", now)
	}
	admitted := 0
	for range 1000 {
		if u.admit() {
			admitted++
		}
	}
	if want := int(1000 * now.rate); admitted < want-1 || admitted > want+1 {
		t.Errorf("%d of 1000 frames admitted at rate %v", admitted, now.rate)
	}
	u.fix([]vit.Plan{{Keep: []int{98, 49, 24}}}, 0.5)
	if now := u.shown(); now.auto || now.ratio != 0.5 || now.rate != 1 || !u.admit() {
		t.Errorf("fixed: %+v", now)
	}
}

func TestTunerBudget(t *testing.T) {
	u, _ := newTestTuner()
	if err := u.setBudget(15 * time.Millisecond); err != nil || u.shown().budget != 15*time.Millisecond {
		t.Errorf("%+v, %v", u.shown(), err)
	}
	if err := u.follow(tuning.Join(threePoints), 15*time.Millisecond); err != nil || u.shown().ratio != 0.4 {
		t.Errorf("%+v, %v", u.shown(), err)
	}
	if err := u.setBudget(25 * time.Millisecond); err != nil || u.shown().ratio != 0.7 {
		t.Errorf("%+v, %v", u.shown(), err)
	}
	if err := u.follow(tuning.Joined{}, time.Second); err == nil || u.shown().ratio != 0.7 {
		t.Errorf("no points: %+v, %v", u.shown(), err)
	}
}

func TestTunerDoesNotAllocate(t *testing.T) {
	u, _ := newTestTuner()
	if err := u.follow(tuning.Join(threePoints), 40*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	i := 0
	if n := testing.AllocsPerRun(100, func() {
		i++
		u.step(time.Duration(i%90) * time.Millisecond)
		u.admit()
	}); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}
