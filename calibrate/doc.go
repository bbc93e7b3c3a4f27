// Package calibrate goes from a latency budget to a setting of the machine, and
// holds the budget while the machine runs. It knows neither models nor cameras:
// what is measured stands behind Target.
//
//	points := calibrate.Grid(plans, []string{"f32", "int8"}, []int{1, 2, 4})
//	found, err := calibrate.Run(ctx, target, points, calibrate.Options{
//		Percentile: 95, Frames: 64, Reference: denseF32, Progress: bar,
//	})
//	origin := calibrate.Origin{Program: version, Model: model, Backend: backend,
//		Machine: machine.At(os.DirFS("/")).Fingerprint(runtime.GOMAXPROCS(0))}
//	table, err := calibrate.NewTable(found, origin, "1280x720 jpeg", budget, time.Now())
//	// *NothingFits: exit 3, table.Chosen is nil and the table still worth a look
//	err = table.WriteFile(path)
//
// After a cancelled Run what it returned goes into a Table with Partial set, which
// WriteFile puts beside the last whole one. A start reads it back:
//
//	table, err := calibrate.ReadFile(path)
//	if err == nil {
//		err = table.Matches(origin) // one line why not, then measure anew
//	}
//
// The running daemon opens the chosen point's precision and threads and moves
// among the points of that Group alone:
//
//	var points []calibrate.Measured
//	for _, i := range table.Group(table.Chosen.Group) {
//		points = append(points, table.Points[i])
//	}
//	c, err := calibrate.NewController(points, calibrate.Limits{Budget: budget, Percentile: 95})
//	state := c.Start()
//	decision := c.Decision(state)
//	for each frame {
//		… run it at points[decision.Index].Keep, take every 1/decision.Rate-th frame …
//		state, decision = c.Step(state, milliseconds, time.Since(start))
//	}
//
// How it measures and why is in docs/calibration.md. All times in files and in
// Measured are milliseconds of whole frames; shares are 0 to 1. Nothing here starts
// a goroutine.
package calibrate
