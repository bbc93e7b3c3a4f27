package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"dynvit/backends/all"
	"dynvit/camera"
	"dynvit/engine"
	"dynvit/machine"
	"dynvit/messages"
	"dynvit/preprocess"
	"dynvit/timing"
	"dynvit/vit"
)

// quantiles are the JSON of a set of durations, in milliseconds.
type quantiles struct {
	Min  float64 `json:"min"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P95  float64 `json:"p95"`
	P99  float64 `json:"p99"`
	Mean float64 `json:"mean"`
}

// benched is the JSON of one combination.
type benched struct {
	Arch      string    `json:"arch,omitempty"`
	Model     string    `json:"model,omitempty"`
	Backend   string    `json:"backend"`
	Precision string    `json:"precision"`
	Threads   int       `json:"threads"`
	KeepRatio float64   `json:"keep_ratio"`
	Keep      []int     `json:"keep"`
	Tokens    []int     `json:"tokens"`
	Frame     string    `json:"frame"`
	Frames    int       `json:"frames"`
	LatencyMS quantiles `json:"latency_ms"`
	FrameMS   quantiles `json:"frame_ms"`
	GMACs     float64   `json:"gmacs"`
	GOPS      float64   `json:"gops_per_s"`
	Peak      float64   `json:"peak_gops_per_s"`
	Fraction  float64   `json:"peak_fraction"`
	Allocs    float64   `json:"allocs_per_frame"`
	RSS       int64     `json:"rss_bytes"`
	Why       string    `json:"why"` // the backend and its kernels were picked

	Machine machine.Fingerprint `json:"machine"`
}

// benchFlags lists what is combined.
type benchFlags struct {
	modelFlags
	keeps, precisions []string
	threads           []int
	data, source      string
	seconds           float64
}

func newBench() *cobra.Command {
	var f benchFlags
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure the latency of the model and of whole frames",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	flags := c.Flags()
	flags.StringVar(&f.Model, "model", "", "model: a name in the store or a path to .safetensors (default: the embedded one)")
	flags.StringVar(&f.Arch, "arch", "", "random weights of deit_tiny, deit_256, deit_small, deit_base, lvvit_small, lvvit_medium (_384 too)")
	flags.StringVar(&f.Predictors, "predictors", "", "file with trained predictors to add to the model")
	flags.StringVar(&f.Scorer, "scorer", "auto", scorerNames)
	flags.StringVar(&f.Backend, "backend", "auto", "auto, or a `name` that dynvitd devices lists")
	flags.StringArrayVar(&f.precisions, "precision", []string{"auto"}, "precision, may be repeated")
	flags.StringArrayVar(&f.keeps, "keep", []string{"1"}, "keep ratio or counts, may be repeated")
	flags.IntSliceVar(&f.threads, "threads", []int{runtime.GOMAXPROCS(0)}, "threads, may be repeated")
	flags.StringVar(&f.data, "data", "", "folder of pictures instead of a drawn 1280x720 JPEG")
	flags.StringVar(&f.source, "source", "", "camera, film or drawn scenes instead: up to 64 of its frames")
	flags.Float64Var(&f.seconds, "seconds", 5, "seconds a combination")
	flags.BoolVar(&f.json, "json", false, "JSON on stdout: an object, or a list of several combinations")
	flags.BoolVarP(&f.v, "verbose", "v", false, "say more on stderr")
	c.AddCommand(newBenchGEMM(), newBenchCalibrate())
	return c
}

// combination is one engine under one plan, and what was measured of it.
type combination struct {
	e              *engine.Engine
	plan           vit.Plan
	ratio          float64
	threads        int
	result         engine.Result
	latency, frame []time.Duration
	spent          time.Duration
}

func (f *benchFlags) run(c *cobra.Command) error {
	if f.Arch != "" {
		if _, err := vit.Named(f.Arch); err != nil {
			return usageError{fmt.Errorf("--arch: %w", err)}
		}
	}
	if f.Arch != "" && f.Model != "" {
		return usageError{errors.New("want --arch or --model, not both")}
	}
	frames, what, err := f.frames(c.Context())
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	combinations, err := f.open()
	defer func() {
		for _, b := range combinations {
			b.e.Close()
		}
	}()
	if err != nil {
		return err
	}
	if err := f.measure(c.Context(), combinations, frames); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	var list []benched
	for _, b := range combinations {
		one, err := b.summary(f.Arch, what)
		if err != nil {
			return fmt.Errorf("bench: %w", err)
		}
		list = append(list, one)
	}
	return showBenched(c.OutOrStdout(), list, f.json)
}

// warmUps fill tables and scratch and let the clocks rise.
const warmUps = 3

// measure gives every combination its seconds, interleaved so that drift hits all
// alike.
func (f *benchFlags) measure(ctx context.Context, list []*combination, frames []camera.Frame) error {
	for _, b := range list {
		for range warmUps {
			if err := b.measure(&frames[0]); err != nil {
				return err
			}
		}
		b.latency, b.frame, b.spent = nil, nil, 0
	}
	limit := time.Duration(f.seconds * float64(time.Second))
	for i := 0; slices.ContainsFunc(list, func(b *combination) bool { return b.spent < limit }); i++ {
		for _, b := range list {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := b.measure(&frames[i%len(frames)]); err != nil {
				return err
			}
		}
	}
	return nil
}

// open makes every combination of precisions, threads and keeps; those that differ in keep
// alone share an engine.
func (f *benchFlags) open() ([]*combination, error) {
	if !(f.seconds > 0) {
		return nil, usageError{fmt.Errorf("--seconds %v: want above 0", f.seconds)}
	}
	f.Store, f.Scaled = modelStore(), true // as the daemon does
	var list []*combination
	for _, precision := range f.precisions {
		for _, threads := range f.threads {
			f.Precision, f.Threads = precision, threads
			if err := f.check(); err != nil {
				return list, err
			}
			e, err := engine.Open(f.Options, all.List())
			if err != nil {
				return list, err
			}
			for _, word := range f.keeps {
				keep, err := vit.ParseKeep(word)
				if err != nil {
					return append(list, &combination{e: e}), usageError{fmt.Errorf("--%w", err)}
				}
				plan, err := e.Plan(keep)
				if err != nil {
					return append(list, &combination{e: e}), usageError{fmt.Errorf("--%w", err)}
				}
				list = append(list, &combination{e: e, plan: plan, ratio: e.Ratio(keep, plan), threads: f.Threads})
			}
		}
	}
	return list, nil
}

func (b *combination) measure(f *camera.Frame) error {
	if err := b.e.Classify(&b.result, f, preprocess.Whole, b.plan); err != nil {
		return fmt.Errorf("%s: %w", f.Name, err)
	}
	b.latency = append(b.latency, b.result.Latency)
	b.frame = append(b.frame, b.result.Frame)
	b.spent += b.result.Frame
	return nil
}

// summary is what was measured, with the processor's limit and the allocations
// that are measured now.
func (b *combination) summary(arch, frame string) (benched, error) {
	info := b.e.Info()
	out := benched{
		Arch: arch, Backend: info.Backend, Precision: info.Precision.String(), Threads: b.threads,
		KeepRatio: b.ratio, Keep: b.plan.Keep, Tokens: b.result.Tokens, Frame: frame, Frames: len(b.latency),
		LatencyMS: summarise(b.latency), FrameMS: summarise(b.frame),
		GMACs: float64(b.e.MACs(b.plan)) / 1e9, Peak: b.e.Peak() / 1e9, Why: info.Why,
	}
	if arch == "" {
		out.Model = info.Model
	}
	out.GOPS = 2 * out.GMACs / (out.LatencyMS.P50 / 1000)
	if out.Peak > 0 {
		out.Fraction = out.GOPS / out.Peak
	}
	var err error
	out.Allocs, err = b.allocations()
	box := machine.At(os.DirFS("/"))
	out.RSS, out.Machine = int64(box.RSS()), box.Fingerprint(runtime.GOMAXPROCS(0))
	return out, err
}

// allocations counts what a frame allocates from pixels in hand to the encoded
// result, on average of a few, rounded down as testing.AllocsPerRun does: the
// runtime allocates now and then on its own.
func (b *combination) allocations() (float64, error) {
	const frames = 4
	info := b.e.Info()
	side := info.ShortSide
	pixels := camera.Frame{Format: camera.RGB24, Width: side, Height: side, Data: make([]byte, 3*side*side), Name: "pixels"}
	encoder, report := messages.NewEncoder(messages.Engine{Backend: info.Backend, Precision: info.Precision.String(), Model: info.Model}, "bench"), messages.Report{Camera: "bench"}
	one := func() error {
		if err := b.e.Classify(&b.result, &pixels, preprocess.Whole, b.plan); err != nil {
			return err
		}
		report.Rank(b.result.Top, b.result.Scores, b.e.Label)
		report.Tokens = append(report.Tokens[:0], b.result.Tokens...)
		encoder.Report(&report, time.Now())
		return nil
	}
	if err := one(); err != nil {
		return 0, err
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range frames {
		if err := one(); err != nil {
			return 0, err
		}
	}
	runtime.ReadMemStats(&after)
	return float64((after.Mallocs - before.Mallocs) / frames), nil
}

// showBenched prints one object for one combination, a list for several.
func showBenched(w io.Writer, list []benched, asJSON bool) error {
	if !asJSON {
		for _, b := range list {
			b.print(w)
		}
		return nil
	}
	if len(list) == 1 {
		return printJSON(w, list[0])
	}
	return printJSON(w, list)
}

func (b *benched) print(w io.Writer) {
	peak := ""
	if b.Peak > 0 {
		peak = fmt.Sprintf(" of %.1f", b.Peak)
	}
	printLine(w, "%s %s %s, %d threads, keep %.3g %v: model p50 %.1f p95 %.1f ms, frame p50 %.1f p95 %.1f ms, %.2f GMAC, %.1f GOP/s%s, %d frames",
		b.Arch+b.Model, b.Backend, b.Precision, b.Threads, b.KeepRatio, b.Keep, b.LatencyMS.P50, b.LatencyMS.P95,
		b.FrameMS.P50, b.FrameMS.P95, b.GMACs, b.GOPS, peak, b.Frames)
}

func summarise(d []time.Duration) quantiles {
	sorted := slices.Sorted(slices.Values(d))
	sum := time.Duration(0)
	for _, v := range sorted {
		sum += v
	}
	at := func(p float64) float64 { return timing.Rounded(sorted[timing.Rank(len(sorted), p)]) }
	return quantiles{at(0), at(50), at(90), at(95), at(99), timing.Rounded(sum) / float64(len(sorted))}
}
