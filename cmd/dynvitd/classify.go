package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"dynvit/camera"
	"dynvit/camera/files"
	"dynvit/engine"
	"dynvit/preprocess"
	"dynvit/timing"
)

// ranked is one class of an answer.
type ranked struct {
	Class int     `json:"class"`
	Label string  `json:"label"`
	Score float32 `json:"score"`
}

// classified is the JSON of one picture.
type classified struct {
	Image     string    `json:"image"`
	Model     string    `json:"model"`
	Backend   string    `json:"backend"`
	Precision string    `json:"precision"`
	KeepRatio float64   `json:"keep_ratio"`
	Tokens    []int     `json:"tokens"`
	Label     *string   `json:"label"` // null: none of the classes
	Top       []ranked  `json:"top"`
	LatencyMS float64   `json:"latency_ms"`
	FrameMS   float64   `json:"frame_ms"`
	Logits    []float32 `json:"logits,omitempty"`
	Features  []float32 `json:"features,omitempty"`
	Kept      [][]int32 `json:"kept,omitempty"`
	Groups    [][]int32 `json:"groups,omitempty"`
}

func newClassify() *cobra.Command {
	var f modelFlags
	var logits, kept, features bool
	var top int
	c := &cobra.Command{
		Use:   "classify IMAGE...",
		Short: "Say what pictures show",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if top < 1 {
				return usageError{fmt.Errorf("--top %d: want at least 1", top)}
			}
			f.Features = features
			e, keep, plan, err := f.open()
			if err != nil {
				return err
			}
			defer e.Close()
			r := engine.Result{TopN: top, WantKept: kept, WantFeatures: features}
			var frame camera.Frame
			failed := false
			for _, path := range args {
				err := files.ReadPicture(&frame, path)
				if err == nil {
					err = e.Classify(&r, &frame, preprocess.Whole, plan)
				}
				if err != nil {
					complain(about("classify", path, err))
					failed = true
					continue
				}
				if err := show(c.OutOrStdout(), e, path, e.Ratio(keep, plan), &r, f.json, logits); err != nil {
					return err
				}
			}
			if failed {
				return errReported
			}
			return nil
		},
	}
	f.register(c)
	f.registerOne(c, "f32", "1")
	c.Flags().BoolVar(&logits, "logits", false, "with --json: add the logits")
	c.Flags().BoolVar(&kept, "kept", false, "with --json: add the patches kept after each stage, and the groups of those merged")
	c.Flags().BoolVar(&features, "features", false, "with --json: add the features that a head reads; a backbone has nothing else")
	c.Flags().IntVar(&top, "top", 5, "how many classes to show")
	return c
}

// summary is what a model says of one picture.
func summary(e *engine.Engine, path string, ratio float64, r *engine.Result) classified {
	info := e.Info()
	out := classified{
		Image: path, Model: info.Model, Backend: info.Backend, Precision: info.Precision.String(), KeepRatio: ratio,
		Tokens: r.Tokens, LatencyMS: timing.Rounded(r.Latency), FrameMS: timing.Rounded(r.Frame),
	}
	out.Top = make([]ranked, len(r.Top))
	for i, class := range r.Top {
		out.Top[i] = ranked{class, e.Label(class), r.Scores[class]}
	}
	if len(r.Top) > 0 && !r.Unknown {
		out.Label = &out.Top[0].Label
	}
	return out
}

// show prints one answer.
func show(w io.Writer, e *engine.Engine, path string, ratio float64, r *engine.Result, asJSON, logits bool) error {
	out := summary(e, path, ratio, r)
	if !asJSON {
		printLine(w, "%s  (%.1f ms)", path, out.FrameMS)
		if r.Unknown {
			printLine(w, "          none of these")
		}
		for _, t := range out.Top {
			printLine(w, "  %5.1f %%  %s", 100*t.Score, t.Label)
		}
		return nil
	}
	if logits {
		out.Logits = r.Logits
	}
	if r.WantFeatures {
		out.Features = r.Features
	}
	if r.WantKept {
		out.Kept, out.Groups = r.Kept, r.Groups
	}
	return printJSON(w, out)
}
