package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"dynvit/backends"
	"dynvit/backends/all"
	"dynvit/camera"
	"dynvit/engine"
	"dynvit/modelfile"
	"dynvit/stages"
	"dynvit/tuning"
	"dynvit/vit"
)

// foundStages is the JSON of calibrate --stages.
type foundStages struct {
	Model    string `json:"model"`
	Pictures string `json:"pictures"`
	Backend  string `json:"backend"`
	stages.Found
	Written string `json:"written,omitempty"` // file that says so now
}

// mostSearched pictures: on 200 photos the standard error of what is decided by is 6 % of the KL.
const mostSearched = 200

// findStages is calibrate --stages.
func (f *calibrateFlags) findStages(c *cobra.Command) error {
	ratios, err := f.checkStages(c)
	if err != nil {
		return err
	}
	model, name, config, err := readModel(f.Model)
	if err != nil {
		return fmt.Errorf("calibrate: %w", err)
	}
	defer model.Close()
	if err := f.writable(model, name, config); err != nil {
		return err
	}
	frames, _, what, err := f.frames(c.Context(), mostSearched)
	if err != nil {
		return fmt.Errorf("calibrate: %w", err)
	}
	found, err := f.searchStages(c.Context(), config, ratios, frames)
	if err != nil {
		return fmt.Errorf("calibrate: %w", err)
	}
	found.Model, found.Pictures = name, what
	changed, err := stages.Write(f.output, model, config, found.Best.Stages)
	if err != nil {
		return fmt.Errorf("calibrate: %w", err)
	}
	if changed {
		found.Written = f.output
	}
	if f.json {
		return printJSON(c.OutOrStdout(), found)
	}
	return showStages(c.OutOrStdout(), found)
}

// checkStages finds bad flags before a model is read, and reads the ratios.
func (f *calibrateFlags) checkStages(c *cobra.Command) ([]float64, error) {
	for _, name := range []string{"budget", "percentile", "precision", "limit", "plot", "predictors"} {
		if c.Flags().Changed(name) {
			return nil, usageError{fmt.Errorf("--%s: goes with a budget, not with --stages", name)}
		}
	}
	switch {
	case (f.data == "") == (f.source == ""):
		return nil, usageError{errors.New("--stages: want pictures, by --data or --source")}
	case f.Scorer != "auto" && f.Scorer != vit.Merge.String():
		return nil, usageError{fmt.Errorf("--scorer %s: --stages are of merge", f.Scorer)}
	case len(f.threads) > 1 || slices.ContainsFunc(f.threads, func(n int) bool { return n < 1 || n > 1024 }):
		return nil, usageError{errors.New("--threads: want one number, 1 to 1024, with --stages")}
	}
	if f.Threads = runtime.GOMAXPROCS(0); len(f.threads) == 1 {
		f.Threads = f.threads[0]
	}
	f.Store = modelStore()
	if err := checkBackend(f.Backend); err != nil {
		return nil, err
	}
	return f.ratios()
}

// ratios are those that --keep names, else those that calibration uses.
func (f *calibrateFlags) ratios() (ratios []float64, err error) {
	keeps := tuning.Keeps()
	if len(f.keeps) > 0 {
		keeps = nil
	}
	for _, word := range f.keeps {
		k, err := vit.ParseKeep(word)
		if err != nil || k.Ratio == 0 || k.Ratio == 1 {
			return nil, usageError{fmt.Errorf("--keep %s: want a ratio above 0 and below 1 with --stages", word)}
		}
		keeps = append(keeps, k)
	}
	for _, k := range keeps {
		if k.Ratio < 1 {
			ratios = append(ratios, k.Ratio)
		}
	}
	return ratios, nil
}

// writable decides which file is to say what is found.
func (f *calibrateFlags) writable(model *modelfile.File, name string, config vit.Config) error {
	usual, err := vit.ParseScorer(f.Scorer, config, true)
	if err != nil {
		return usageError{fmt.Errorf("--stages: model %s: %w", name, err)}
	}
	if usual != vit.Merge {
		return usageError{fmt.Errorf("--stages: model %s is pruned by the scorer %v, which was made for blocks %v (--scorer merge, if it is to merge by attention)", name, usual, config.PruneAt)}
	}
	if f.output == "" {
		f.output = model.Path()
	}
	if f.output == "" {
		return usageError{fmt.Errorf("--output: want a file, as model %s has none of its own", name)}
	}
	return nil
}

// searchStages opens the model with a stage in each block and searches.
func (f *calibrateFlags) searchStages(ctx context.Context, config vit.Config, ratios []float64, frames []camera.Frame) (foundStages, error) {
	o := f.Options
	o.Scorer, o.Precision, o.Scaled, o.MergeAt = vit.Merge.String(), backends.F32.String(), true, stages.Every(config.Depth)
	open := func(o engine.Options) (tuning.Classifier, error) { return engine.Open(o, all.List()) }
	e, err := open(o)
	if err != nil {
		return foundStages{}, err
	}
	defer e.Close()
	target := tuning.NewTarget(open, o, frames)
	target.Lend(e)
	defer target.Close()
	found, err := stages.Search(ctx, target, stages.Options{
		Config: config, Ratios: ratios, Frames: len(frames), Group: tuning.Group(e.Info()), Progress: f.stagesProgress(),
	})
	return foundStages{Backend: e.Info().Backend, Found: found}, err
}

// stagesProgress says how far a search is; nil: nobody is told.
func (f *calibrateFlags) stagesProgress() func(stages.Progress) {
	show := nowAndThen(f.v)
	if show == nil {
		return nil
	}
	return func(p stages.Progress) {
		show("searching: %d sets of stages tried, now %s", p.Tried, modelfile.FormatBlocks(p.Stages))
	}
}

// shownSets are the best of those tried that a terminal is shown.
const shownSets = 10

func showStages(w io.Writer, found foundStages) error {
	usual, best := found.Usual, found.Best
	tried := stages.Ranked(found.Tried)
	printLine(w, "%s on %s, %s: %d sets of stages, each at equal work; KL to the dense model beside that of %s", found.Model, found.Backend, found.Pictures, len(tried), modelfile.FormatBlocks(usual.Stages))
	rows := []byte("stages\tpictures\tchange of KL\n")
	for _, s := range append(tried[:min(shownSets, len(tried))], best) {
		rows = fmt.Appendf(rows, "%s\t%d\t%+.1f %% ± %.1f\n", modelfile.FormatBlocks(s.Stages), s.Frames, 100*s.Change, 100*s.Error)
	}
	rows = fmt.Appendf(rows, "\nkeep\t%s: patches\tGMACs\tKL\tagreement\t%s: patches\tGMACs\tKL\tagreement\n", modelfile.FormatBlocks(usual.Stages), modelfile.FormatBlocks(best.Stages))
	for i, u := range usual.Points {
		b := best.Points[i]
		rows = fmt.Appendf(rows, "%g\t%s\t%.3f\t%.4f\t%.1f %%\t%s\t%.3f\t%.4f\t%.1f %%\n",
			u.KeepRatio, vit.Plan{Keep: u.Keep}, u.GMACs, u.KL, 100*u.Agreement, vit.Plan{Keep: b.Keep}, b.GMACs, b.KL, 100*b.Agreement)
	}
	var text bytes.Buffer
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	table.Write(rows) // what it says is Flush's to say again
	if err := table.Flush(); err != nil {
		return err
	}
	printText(w, text.Bytes())
	switch {
	case found.Written != "":
		printLine(w, "%s says now: merge at %s", found.Written, modelfile.FormatBlocks(best.Stages))
	case slices.Equal(best.Stages, usual.Stages):
		printLine(w, "nothing is better beyond chance: %s stays", modelfile.FormatBlocks(usual.Stages))
	default:
		printLine(w, "the model says so already: merge at %s", modelfile.FormatBlocks(best.Stages))
	}
	return nil
}
