package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"dynvit/backends/all"
	"dynvit/calibrate"
	"dynvit/camera"
	"dynvit/engine"
	"dynvit/timing"
	"dynvit/tuning"
)

// benchCalibrateFlags say how the promise of calibrate is put to the test.
type benchCalibrateFlags struct {
	calibrateFlags
	budgets, runs int
	seconds       float64
}

func newBenchCalibrate() *cobra.Command {
	var f benchCalibrateFlags
	c := &cobra.Command{
		Use:   "calibrate",
		Short: "Calibrate, choose for budgets all over the reachable range, and see whether they hold",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return f.run(c.Context(), c.OutOrStdout()) },
	}
	f.registerShared(c)
	flags := c.Flags()
	flags.Float64Var(&f.percentile, "percentile", 95, "share of frames, in percent, that hold the budget")
	flags.StringVar(&f.data, "data", "", "folder of pictures to measure and judge on (default: drawn scenes)")
	flags.IntVar(&f.budgets, "budgets", 6, "budgets, from the least that can be met to the most that is ever needed")
	flags.IntVar(&f.runs, "runs", 4, "runs a budget")
	flags.Float64Var(&f.seconds, "seconds", 10, "seconds a run")
	flags.DurationVar(&f.limit, "limit", 150*time.Second, "time for the calibration, and again for the exhaustive search")
	return c
}

// kept is what became of one budget.
type kept struct {
	Budget    float64            `json:"budget_ms"`
	Choice    calibrate.Measured `json:"choice"`
	Runs      []float64          `json:"runs_ms"` // the percentile in each run
	Met       int                `json:"met"`
	Best      float64            `json:"best"` // quality of the best point that a second measurement of all finds feasible
	Shortfall float64            `json:"shortfall"`
}

func (f *benchCalibrateFlags) run(ctx context.Context, out io.Writer) error {
	if f.budgets < 1 || f.runs < 1 || !(f.seconds > 0) {
		return usageError{fmt.Errorf("bench calibrate: --budgets %d, --runs %d, --seconds %v: want above 0", f.budgets, f.runs, f.seconds)}
	}
	f.budget = calibrate.MostBudget // every point is feasible
	if err := f.check(); err != nil {
		return err
	}
	a, err := f.tried()
	if err != nil {
		return fmt.Errorf("bench calibrate: %w", err)
	}
	frames, labels, what, err := f.frames(ctx, mostPictures)
	if err != nil {
		return fmt.Errorf("bench calibrate: %w", err)
	}
	list, err := f.measureAll(ctx, a, frames, labels, what)
	if err != nil {
		return fmt.Errorf("bench calibrate: %w", err)
	}
	return f.show(out, list)
}

// measureAll calibrates once, chooses for each budget, searches exhaustively, and
// runs the choices in turns.
func (f *benchCalibrateFlags) measureAll(ctx context.Context, a tried, frames []camera.Frame, labels []int, what string) ([]kept, error) {
	begun := time.Now()
	table, err := f.measure(ctx, a, frames, labels, what)
	if err != nil {
		return nil, err
	}
	printLine(os.Stderr, "dynvitd: calibrated %d points in %v", len(table.Points), time.Since(begun).Round(time.Second))
	list, err := f.choose(table.Points)
	if err != nil {
		return nil, err
	}
	open := func(o engine.Options) (tuning.Classifier, error) { return engine.Open(o, all.List()) }
	target := tuning.NewTarget(open, f.Options, frames)
	defer target.Close()
	if err := f.search(ctx, target, table.Points, len(frames), list); err != nil {
		return nil, err
	}
	for range f.runs {
		for i := range list {
			p, err := f.once(ctx, target, list[i].Choice.Point, len(frames))
			if err != nil {
				return nil, err
			}
			list[i].Runs = append(list[i].Runs, p)
			if p <= list[i].Budget {
				list[i].Met++
			}
		}
	}
	return list, nil
}

// choose spreads the budgets evenly by ratio from the least that can be promised
// to the most that any useful point needs.
func (f *benchCalibrateFlags) choose(points []calibrate.Measured) ([]kept, error) {
	least, best := math.Inf(1), math.Inf(-1)
	points = slices.DeleteFunc(slices.Clone(points), func(p calibrate.Measured) bool {
		return p.Judged == 0 || p.Frames < calibrate.WindowFor(f.percentile) // Choose leaves them out, too
	})
	for _, p := range points {
		least, best = min(least, p.CI95.Hi), max(best, p.Value())
	}
	most := math.Inf(1) // the cheapest of the best answers
	for _, p := range points {
		if p.Value() >= best {
			most = min(most, p.CI95.Hi)
		}
	}
	var list []kept
	for i := range f.budgets {
		budget := least * math.Pow(most/least, float64(i)/float64(max(1, f.budgets-1)))
		budget = math.Ceil(budget*10) / 10
		j, err := calibrate.Choose(points, f.percentile, time.Duration(budget*float64(time.Millisecond)))
		if err != nil {
			return nil, err
		}
		list = append(list, kept{Budget: budget, Choice: points[j]})
	}
	return list, nil
}

// search measures all points a second time, and takes for feasible what held a
// budget then, without any margin.
func (f *benchCalibrateFlags) search(ctx context.Context, t *tuning.Target, points []calibrate.Measured, frames int, list []kept) error {
	settings := make([]calibrate.Point, len(points))
	for i, p := range points {
		settings[i] = p.Point
	}
	again, err := calibrate.Measure(ctx, t, settings, calibrate.Options{Percentile: f.percentile, Frames: frames, MeasureLimit: f.limit, Progress: f.progress()})
	if err != nil {
		return err
	}
	for i := range list {
		k := &list[i]
		k.Best = k.Choice.Value()
		for _, p := range again.Points {
			j := slices.IndexFunc(points, func(q calibrate.Measured) bool {
				return q.Group == p.Group && slices.Equal(q.Keep, p.Keep)
			})
			if wantedOf(p, f.percentile) <= k.Budget {
				k.Best = max(k.Best, points[j].Value())
			}
		}
		k.Shortfall = k.Best - k.Choice.Value()
	}
	return nil
}

// wantedOf is the percentile nearest to the wanted of those that a point carries.
func wantedOf(p calibrate.Measured, wanted float64) float64 {
	switch {
	case wanted <= 70:
		return p.P50
	case wanted < 92.5:
		return p.P90
	case wanted < 97:
		return p.P95
	}
	return p.P99
}

// once runs a point for the seconds of a run and returns the wanted percentile in
// milliseconds.
func (f *benchCalibrateFlags) once(ctx context.Context, t *tuning.Target, p calibrate.Point, frames int) (float64, error) {
	if err := t.Use(p.Group); err != nil {
		return 0, err
	}
	for i := range warmUps {
		if _, err := t.Run(p, i%frames); err != nil {
			return 0, err
		}
	}
	var values []float64
	for i, start := 0, time.Now(); time.Since(start).Seconds() < f.seconds; i++ {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		out, err := t.Run(p, i%frames)
		if err != nil {
			return 0, err
		}
		values = append(values, timing.Rounded(out.Latency))
	}
	slices.Sort(values)
	return values[timing.Rank(len(values), f.percentile)], nil
}

// show prints a Markdown table, or JSON.
func (f *benchCalibrateFlags) show(w io.Writer, list []kept) error {
	if f.json {
		return printJSON(w, list)
	}
	printLine(w, "| budget ms | choice | promised p%.4g ms | runs p%.4g ms | met | quality %% | best feasible %% |", f.percentile, f.percentile)
	printLine(w, "| --- | --- | --- | --- | --- | --- | --- |")
	met, runs, worst := 0, 0, 0.0
	for _, k := range list {
		c := k.Choice
		printLine(w, "| %.1f | keep %.3g %s | %.1f (%.1f-%.1f) | %.1f-%.1f | %d of %d | %.1f | %.1f |", k.Budget, c.KeepRatio, c.Group,
			wantedOf(c, f.percentile), c.CI95.Lo, c.CI95.Hi, slices.Min(k.Runs), slices.Max(k.Runs), k.Met, len(k.Runs), 100*c.Value(), 100*k.Best)
		met, runs, worst = met+k.Met, runs+len(k.Runs), max(worst, k.Shortfall)
	}
	printLine(w, "")
	printLine(w, "met in %d of %d runs (%.1f %%), at most %.1f points below the best feasible", met, runs, 100*float64(met)/float64(runs), 100*worst)
	return nil
}
