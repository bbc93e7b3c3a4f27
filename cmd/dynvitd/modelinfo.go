package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"dynvit/engine"
	"dynvit/head"
	"dynvit/modelfile"
	"dynvit/vit"
)

func newModelInfo() *cobra.Command {
	return &cobra.Command{
		Use:   "info MODEL",
		Short: "Print what a model file says of itself",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			w := c.OutOrStdout()
			if is, err := taughtInfo(w, args[0]); is || err != nil {
				return err
			}
			f, name, config, err := readModel(args[0])
			if err != nil {
				return err
			}
			defer f.Close()
			meta := config.Manifest().Encode()
			maps.Copy(meta, f.Meta)
			fileInfo(w, name, f, meta)
			printLine(w, "a picture is")
			for i, step := range steps(config) {
				printLine(w, "%3d. %s", i+1, step)
			}
			return nil
		},
	}
}

// taughtInfo prints what a taught head's file says of itself, where it is one.
func taughtInfo(w io.Writer, model string) (is bool, err error) {
	f, name, err := engine.OpenFile(model, modelStore())
	if err != nil {
		return false, err
	}
	defer f.Close()
	if !head.Is(f) {
		return false, nil
	}
	h, err := head.Parse(f)
	if err != nil {
		return true, fmt.Errorf("model %s: %w", name, err)
	}
	fileInfo(w, name, f, f.Meta)
	of := ""
	if h.Whole {
		of = ", of whole pictures"
	}
	printLine(w, "taught: %d classes on %d features of %s%s", len(h.Labels), h.Width, h.Base, of)
	return true, nil
}

// fileInfo prints a model file's sums and metadata.
func fileInfo(w io.Writer, name string, f *modelfile.File, meta map[string]string) {
	printLine(w, "%-16s %s", "model", name)
	printLine(w, "%-16s %s", "sha256", f.SHA256())
	printLine(w, "%-16s %d", "tensors", len(f.Names()))
	for _, k := range slices.Sorted(maps.Keys(meta)) {
		printLine(w, "%-16s %.200s", k, meta[k])
	}
}

// steps say what becomes of a picture, in order.
func steps(c vit.Config) []string {
	return slices.DeleteFunc([]string{
		"decoded to R, G, B (a picture's file or a camera's raw pixels; run and bench decode large JPEGs at a fraction of their size), turned as it says (eval and verify --against: JPEG, PNG, WebP and AVIF not), cut to the camera's region",
		resizeStep(c),
		cropStep(c),
		fmt.Sprintf("scaled: (level/255 - mean) / std, mean %v, std %v of R, G, B", c.Mean, c.Std),
		embedStep(c),
		blockStep(c),
		pruneStep(c),
		headStep(c),
		labelStep(c),
	}, func(s string) bool { return s == "" })
}

func resizeStep(c vit.Config) string {
	to := fmt.Sprintf("resized, its short side to %d pixels, the long one in proportion", c.Resize)
	switch {
	case c.Resize == 0:
		to = fmt.Sprintf("warped to %d by %d pixels, whatever its shape", c.ImageSize, c.ImageSize)
	case c.Squash:
		to = fmt.Sprintf("warped to %d by %d pixels, whatever its shape", c.Resize, c.Resize)
	}
	return fmt.Sprintf("%s: %s, antialiased, in 8 bits as Pillow does", to, c.Interpolation)
}

func cropStep(c vit.Config) string {
	if c.Resize == 0 {
		return ""
	}
	round := "a half pixel goes to the even side, as in torchvision and timm"
	if c.FloorCrop {
		round = "a half pixel goes left and up, as in transformers"
	}
	return fmt.Sprintf("cropped to the %d by %d pixels in the middle (%s)", c.ImageSize, c.ImageSize, round)
}

func embedStep(c vit.Config) string {
	how := ""
	if c.ConvStem > 0 {
		how = fmt.Sprintf(", through convolutions of %d channels", c.ConvStem)
	}
	var ahead []string
	for _, t := range []struct {
		is   bool
		name string
	}{{!c.NoCLS, "CLS"}, {c.Distilled, "a distillation token"}, {c.Registers > 0, fmt.Sprintf("%d registers", c.Registers)}} {
		if t.is {
			ahead = append(ahead, t.name)
		}
	}
	tokens := ""
	if len(ahead) > 0 {
		tokens = ", behind " + strings.Join(ahead, ", ")
	}
	norm := ""
	if c.PreNorm {
		norm = ", and normalised"
	}
	return fmt.Sprintf("parted into %d patches of %d by %d pixels%s, each a token of %d numbers with its position added%s%s",
		c.Patches(), c.PatchSize, c.PatchSize, how, c.Width, tokens, norm)
}

func blockStep(c vit.Config) string {
	more := ""
	if c.LayerScale {
		more += ", LayerScale"
	}
	if c.SkipLam != 1 {
		more += fmt.Sprintf(", branches divided by %v", c.SkipLam)
	}
	return fmt.Sprintf("passed through %d blocks: attention of %d heads, an MLP of %d numbers with %s, LayerNorm with eps %v%s", c.Depth, c.Heads, c.Hidden, c.Activation(), c.Eps, more)
}

func pruneStep(c vit.Config) string {
	if len(c.PruneAt)+len(c.MergeAt) == 0 {
		return "never pruned"
	}
	usual, err := vit.ParseScorer("", c, true)
	if err != nil {
		return "" // Check has refused such a model
	}
	at := fmt.Sprint(c.Stages(usual))
	switch {
	case len(c.MergeAt) == 0:
	case usual == vit.Merge:
		at = fmt.Sprintf("%v, or where they are not merged %v,", c.MergeAt, c.PruneAt)
	default:
		at += fmt.Sprintf(", by --scorer merge at %v,", c.MergeAt)
	}
	return fmt.Sprintf("pruned at blocks %s (from 0) of the patches that %s, unless --keep is 1", at, scored[usual])
}

// scored says which patches a scorer removes.
var scored = map[vit.Scorer]string{
	vit.Predictor:      "the trained predictors score lowest",
	vit.PredictorMerge: "the trained predictors score lowest or that are most like others, into which they are merged",
	vit.Attention:      "attention scores lowest",
	vit.CLSAttention:   "CLS's attention scores lowest",
	vit.Merge:          "attention scores lowest or that are most like others, into which they are merged",
}

func headStep(c vit.Config) string {
	reads := map[string]string{vit.PoolToken: "CLS", vit.PoolMean: "the mean of the patches that are left", vit.PoolBoth: "CLS and the mean of the patches that are left, side by side"}[c.Pooling()]
	switch {
	case c.Distilled:
		reads = "CLS and the distillation token, each with a head of its own, whose mean counts"
	case c.AuxHead:
		reads = "CLS, and half the largest logit of the patches"
	}
	if c.Classes == 0 {
		return "a backbone's: it has no classes"
	}
	return fmt.Sprintf("judged by a head of %d classes, which reads %s", c.Classes, reads)
}

func labelStep(c vit.Config) string {
	switch {
	case c.Classes == 0:
		return ""
	case len(c.Labels) > 0:
		return fmt.Sprintf("named by the model's labels: class 0 is %.60q", c.Labels[0])
	case c.Classes == 1000:
		return "named by ImageNet's 1000 labels, since the model has none of its own (assumed)"
	}
	return "named by the number of its class: the model has no labels"
}
