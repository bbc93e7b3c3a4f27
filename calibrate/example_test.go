package calibrate_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"dynvit/calibrate"
	"dynvit/machine"
)

// box is a machine whose frame takes 4 ms and 0.1 ms for each patch of the last
// stage, half of that in int8, and which errs on one frame in ten at keep 0.5.
type box struct{ now time.Time }

func (b *box) Use(calibrate.Group) error { return nil }

func (b *box) Run(p calibrate.Point, frame int) (calibrate.Outcome, error) {
	patch := 100 * time.Microsecond
	if p.Precision == "int8" {
		patch /= 2
	}
	d := 4*time.Millisecond + time.Duration(p.Keep[len(p.Keep)-1])*patch
	b.now = b.now.Add(d)
	logits := []float32{3, 0}
	if p.KeepRatio == 0.5 && frame%10 == 0 {
		logits = []float32{0, 3}
	}
	return calibrate.Outcome{Latency: d, Logits: logits}, nil
}

func Example() {
	plans := []calibrate.Plan{
		{KeepRatio: 1, Keep: []int{196, 196, 196}, Tokens: []int{197, 197, 197, 197}, GMACs: 1.3},
		{KeepRatio: 0.7, Keep: []int{137, 96, 67}, Tokens: []int{197, 138, 97, 68}, GMACs: 0.8},
		{KeepRatio: 0.5, Keep: []int{98, 49, 24}, Tokens: []int{197, 99, 50, 25}, GMACs: 0.6},
	}
	points := calibrate.Grid(plans, []string{"f32", "int8"}, []int{1})
	target := &box{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	found, err := calibrate.Run(context.Background(), target, points, calibrate.Options{
		Frames: 50, Reference: points[0], Clock: func() time.Time { return target.now },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	origin := calibrate.Origin{Program: "1.0", Model: calibrate.Model{Name: "demo"}, Machine: machine.Fingerprint{CPU: "a box"}}
	table, err := calibrate.NewTable(found, origin, "drawn", 10*time.Millisecond, target.now)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(table.Chosen.Point, table.Chosen.P95, "ms", table.Chosen.Agreement)

	_, err = calibrate.NewTable(found, origin, "drawn", 5*time.Millisecond, target.now)
	var none *calibrate.NothingFits
	fmt.Println(errors.As(err, &none), none.Nearest.Point, none.Enough)

	// Output:
	// keep 0.7 (137,96,67) int8 on 1 thread 7.35 ms 1
	// true keep 0.5 (98,49,24) int8 on 1 thread 6ms
}

func ExampleController() {
	point := func(ratio, ms, agreement float64, keep ...int) calibrate.Measured {
		return calibrate.Measured{
			Point: calibrate.Point{Plan: calibrate.Plan{KeepRatio: ratio, Keep: keep}, Group: calibrate.Group{Precision: "int8", Threads: 2}},
			P50:   ms, P90: ms, P95: ms, P99: ms, CI95: calibrate.Interval{Lo: ms, Hi: ms}, Frames: 60,
			Quality: calibrate.Quality{Judged: 100, Agreement: agreement},
		}
	}
	points := []calibrate.Measured{point(1, 20, 1, 196, 196, 196), point(0.7, 14, 0.98, 137, 96, 67), point(0.5, 10, 0.9, 98, 49, 24)}
	c, err := calibrate.NewController(points, calibrate.Limits{Budget: 21 * time.Millisecond})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	state := c.Start()
	for i, slowdown := range []float64{1, 1.4, 1.4, 2.5} { // the machine gets slower
		at := points[c.Decision(state).Index]
		var d calibrate.Decision
		state, d = c.Step(state, slowdown*at.P50, time.Duration(i)*200*time.Millisecond)
		fmt.Printf("%.0f ms at keep %v: %v, keep %v, rate %.2f\n", slowdown*at.P50, at.KeepRatio, d.Reason, points[d.Index].KeepRatio, d.Rate)
	}
	// Output:
	// 20 ms at keep 1: steady, keep 1, rate 1.00
	// 28 ms at keep 1: budget missed: fewer patches, keep 0.7, rate 1.00
	// 20 ms at keep 0.7: steady, keep 0.7, rate 1.00
	// 35 ms at keep 0.7: budget missed: fewer patches, keep 0.5, rate 1.00
}
