package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dynvit/atomicfile"
	"dynvit/backends/all"
	"dynvit/calibrate"
	"dynvit/camera"
	"dynvit/camera/files"
	"dynvit/engine"
	"dynvit/evaluate"
	"dynvit/tuning"
	"dynvit/vit"
)

// calibrateFlags say what is tried, on what, and where the result goes.
type calibrateFlags struct {
	modelFlags
	budget            time.Duration
	percentile        float64
	data, source      string
	keeps, precisions []string
	threads           []int
	limit             time.Duration
	output, plot      string
	stages            bool
}

func newCalibrate() *cobra.Command {
	var f calibrateFlags
	c := &cobra.Command{
		Use:   "calibrate --budget 25ms | --stages --data DIR",
		Short: "Find the setting with the best answers that holds a latency budget",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if f.stages {
				return f.findStages(c)
			}
			return f.run(c)
		},
	}
	f.registerShared(c)
	flags := c.Flags()
	flags.DurationVar(&f.budget, "budget", 0, "time for a whole frame: decode, preprocess and model")
	flags.Float64Var(&f.percentile, "percentile", 95, "share of frames, in percent, that hold the budget")
	flags.StringVar(&f.data, "data", "", "folder of pictures to measure and judge on; labelled ones give accuracy")
	flags.StringVar(&f.source, "source", "", "camera or film instead: up to 64 of its frames (default: drawn scenes)")
	flags.StringArrayVar(&f.keeps, "keep", nil, "keep ratio or counts to try, may be repeated (default: 1, 0.9 … 0.4)")
	flags.StringArrayVar(&f.precisions, "precision", nil, "precision to try, may be repeated (default: all that the backend has)")
	flags.IntSliceVar(&f.threads, "threads", nil, "threads to try, may be repeated (default: 1, 2, 4 … all usable cores)")
	flags.DurationVar(&f.limit, "limit", 150*time.Second, "time for the whole")
	flags.StringVarP(&f.output, "output", "o", "", "file to write (default: where run looks for it; with --stages the model's own)")
	flags.StringVar(&f.plot, "plot", "", "picture to draw, .svg or .png")
	flags.BoolVar(&f.stages, "stages", false, "find instead the blocks in which the model's patches are best merged, and write them into its file")
	return c
}

func (f *calibrateFlags) run(c *cobra.Command) error {
	if err := f.check(); err != nil {
		return err
	}
	a, err := f.tried()
	if err != nil {
		return fmt.Errorf("calibrate: %w", err)
	}
	frames, labels, what, err := f.frames(c.Context(), mostPictures)
	if err != nil {
		return fmt.Errorf("calibrate: %w", err)
	}
	table, err := f.measure(c.Context(), a, frames, labels, what)
	var nothing *calibrate.NothingFits
	if table == nil || err != nil && !table.Partial && !errors.As(err, &nothing) {
		return fmt.Errorf("calibrate: %w", err)
	}
	if writing := f.write(c.OutOrStdout(), table); writing != nil {
		return fmt.Errorf("calibrate: %w", writing)
	}
	if err != nil {
		return fmt.Errorf("calibrate: %w", err)
	}
	return nil
}

func (f *calibrateFlags) check() error {
	switch {
	case f.budget < calibrate.LeastBudget || f.budget > calibrate.MostBudget:
		return usageError{fmt.Errorf("--budget %v: want %s", f.budget, calibrate.BudgetRange)}
	case !(f.percentile >= calibrate.LeastPercentile && f.percentile <= calibrate.MostPercentile):
		return usageError{fmt.Errorf("--percentile %v: want %v to %v", f.percentile, calibrate.LeastPercentile, calibrate.MostPercentile)}
	case f.data != "" && f.source != "":
		return usageError{errors.New("want --data or --source, not both")}
	case f.limit < time.Second:
		return usageError{fmt.Errorf("--limit %v: want at least 1s", f.limit)}
	case f.draw() == nil:
		return usageError{fmt.Errorf("--plot %s: want .svg or .png", f.plot)}
	}
	for _, n := range f.threads {
		if n < 1 || n > 1024 {
			return usageError{fmt.Errorf("--threads %d: want 1 to 1024", n)}
		}
	}
	f.Store = modelStore()
	if f.output == "" {
		dir := stateDir()
		if dir == "" {
			return usageError{errors.New("--output: want a file, or HOME or STATE_DIRECTORY set, where run looks for it")}
		}
		f.output = filepath.Join(dir, tuning.CalibrationFile)
	}
	return f.modelFlags.check()
}

// draw is what writes a plot of the kind that its name says, SVG where it says none; nil
// where it is of another.
func (f *calibrateFlags) draw() func(io.Writer, *calibrate.Table) error {
	switch strings.ToLower(filepath.Ext(f.plot)) {
	case ".svg", "":
		return calibrate.WriteSVG
	case ".png":
		return calibrate.WritePNG
	}
	return nil
}

// threadCounts are 1, 2, 4 … and most itself; most alone where they have no say in how
// fast the backend is.
func threadCounts(threaded bool, most int) []int {
	if !threaded {
		return []int{most}
	}
	var list []int
	for n := 1; n < most; n *= 2 {
		list = append(list, n)
	}
	return append(list, most)
}

// frames are the pictures, so many of a folder at most, with the class of each where that tells it.
func (f *calibrateFlags) frames(ctx context.Context, most int) (frames []camera.Frame, labels []int, what string, err error) {
	switch {
	case f.data != "":
		return f.pictures(most)
	case f.source != "":
		frames, what, err = sourceFrames(ctx, f.source)
	default:
		frames, err = tuning.DrawnFrames(ctx, mostFrames, nil)
		what = "1280x720 jpeg"
	}
	return frames, nil, what, err
}

// mostPictures bounds the memory of a folder's files: at 100 KB a photo 100 MB.
const mostPictures = 1000

func (f *calibrateFlags) pictures(most int) ([]camera.Frame, []int, string, error) {
	e, err := engine.Open(f.Options, all.List()) // knows the classes
	if err != nil {
		return nil, nil, "", err
	}
	defer e.Close()
	list, err := evaluate.List(f.data, e.Class)
	if err != nil {
		return nil, nil, "", err
	}
	list = evaluate.Spread(list, most)
	// Judging takes as many of the first as time allows: they must not be all of one class.
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	frames, labels := make([]camera.Frame, len(list)), make([]int, len(list))
	known := false
	for i, p := range list {
		if err := files.ReadPicture(&frames[i], p.Path); err != nil {
			return nil, nil, "", err
		}
		labels[i], known = p.Class, known || p.Class >= 0
	}
	if !known {
		labels = nil
	}
	return frames, labels, fmt.Sprintf("%d pictures of %s", len(frames), filepath.Base(f.data)), nil
}

// tried is what the flags mean for a model.
type tried struct {
	info       engine.Info
	plans      []calibrate.Plan
	precisions []string
	dense      vit.Plan
}

// tried opens the model once, ahead of all that takes time.
func (f *calibrateFlags) tried() (a tried, err error) {
	f.Scaled = true // as the daemon does
	first, err := engine.Open(f.Options, all.List())
	if err != nil {
		return a, err
	}
	defer first.Close()
	a.info, a.precisions = first.Info(), f.precisions
	if len(a.precisions) == 0 {
		a.precisions = first.Precisions()
	}
	if a.plans, err = f.plans(first); err != nil {
		return a, err
	}
	a.dense, err = vit.PlanFor(1, a.info.Patches, a.info.Stages)
	return a, err
}

// measure runs the grid. After Ctrl-C the table is partial and the error the
// context's.
func (f *calibrateFlags) measure(ctx context.Context, a tried, frames []camera.Frame, labels []int, what string) (*calibrate.Table, error) {
	open := func(o engine.Options) (tuning.Classifier, error) { return engine.Open(o, all.List()) }
	threads := f.threads
	if len(threads) == 0 {
		threads = threadCounts(a.info.Threaded, runtime.GOMAXPROCS(0))
	}
	most := slices.Max(threads)
	target := tuning.NewTarget(open, f.Options, frames)
	defer target.Close()
	found, err := calibrate.Run(ctx, target, calibrate.Grid(a.plans, a.precisions, threads), calibrate.Options{
		Percentile: f.percentile, Frames: len(frames), Labels: labels,
		Reference:    calibrate.Point{Plan: calibrate.Plan{KeepRatio: 1, Keep: a.dense.Keep}, Group: calibrate.Group{Precision: "f32", Threads: most}},
		MeasureLimit: f.limit * 2 / 3, JudgeLimit: f.limit / 3, Progress: f.progress(),
	})
	for _, failure := range found.Failures {
		complain(fmt.Errorf("%v left out: %w", failure.Point, failure.Err))
	}
	if err != nil && ctx.Err() == nil {
		return nil, err
	}
	if len(found.Points) == 0 {
		return nil, err
	}
	if n := len(found.Missed); n > 0 {
		complain(fmt.Errorf("calibrate: the limit of %v was over before %d of %d points had a turn, %v first: allow more time or try fewer points",
			f.limit, n, n+len(found.Points)+len(found.Failures), found.Missed[0]))
	}
	table, choice := calibrate.NewTable(found, tuning.Origin(a.info, version, os.DirFS("/")), what, f.budget, time.Now())
	if err != nil {
		table.Partial = true
		return table, err
	}
	return table, choice
}

func (f *calibrateFlags) plans(c tuning.Classifier) ([]calibrate.Plan, error) {
	keeps := tuning.Keeps()
	if len(f.keeps) > 0 {
		keeps = nil
	}
	for _, word := range f.keeps {
		k, err := vit.ParseKeep(word)
		if err != nil {
			return nil, usageError{fmt.Errorf("--%w", err)}
		}
		keeps = append(keeps, k)
	}
	plans, err := tuning.Plans(c, keeps)
	if err != nil {
		return nil, usageError{fmt.Errorf("--%w", err)}
	}
	return plans, nil
}

// write keeps the table, draws it and shows it.
func (f *calibrateFlags) write(w io.Writer, t *calibrate.Table) error {
	if err := tuning.Keep(t, f.output); err != nil {
		return err
	}
	if f.plot != "" {
		if err := atomicfile.Write(f.plot, func(out io.Writer) error { return f.draw()(out, t) }); err != nil {
			return err
		}
	}
	if f.json {
		var text bytes.Buffer
		if err := t.Encode(&text); err != nil {
			return err
		}
		printText(w, text.Bytes())
		if doubt := t.Doubt(); doubt != "" { // which the text says by itself
			complain(fmt.Errorf("calibrate: %s", doubt))
		}
		return nil
	}
	return calibrate.WriteText(w, t)
}

// progress says how far a calibration is; nil: nobody is told.
func (f *calibrateFlags) progress() func(calibrate.Progress) {
	show := nowAndThen(f.v)
	if show == nil {
		return nil
	}
	return func(p calibrate.Progress) {
		show("%s: %d of %d frames, %d of %d points settled, %v left", p.Phase, p.Done, p.Total, p.Settled, p.Points, p.Left.Round(time.Second))
	}
}
