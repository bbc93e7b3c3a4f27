package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"dynvit/modelfile"
	"dynvit/modelstore"
	"dynvit/vit"
)

// importFlags override what a checkpoint and the files beside it say.
type importFlags struct {
	modelstore.ImportOptions
	out              string
	heads, imageSize int
	texts            map[string]*string // metadata by key
	noHead           bool
}

// importTexts are the flags that are metadata as they stand.
var importTexts = []struct{ flag, key, usage string }{
	{"prune-at", "prune_at", "blocks that drop patches, such as 3,6,9"},
	{"merge-at", "merge_at", "blocks that merge patches instead, as calibrate --stages finds them"},
	{"scorer", "scorer", "what --scorer auto is for the model: " + strings.Join(vit.ScorerNames()[1:], ", ")},
	{"mean", "mean", "mean of R,G,B on a scale of 0 to 1"},
	{"std", "std", "standard deviation of R,G,B"},
	{"resize", "resize", "short side in pixels before the centre crop, or warp: the whole picture, whatever its shape"},
	{"interpolation", "interpolation", "of the resize: bicubic or bilinear"},
	{"eps", "layer_norm_eps", "epsilon of the LayerNorms"},
	{"skip-lam", "skip_lam", "what LV-ViT's residual branches are divided by"},
	{"pool", "pool", "what the head reads: token, avg or token+avg"},
	{"act", "act", "activation of the MLPs: gelu, quick_gelu or gelu_tanh"},
}

func newModelImport() *cobra.Command {
	f := importFlags{texts: map[string]*string{}}
	c := &cobra.Command{
		Use:   "import IN -o OUT",
		Short: "Turn another program's checkpoint, a file or a folder, into a model file",
		Args:  cobra.ExactArgs(1),
		RunE:  func(c *cobra.Command, args []string) error { return f.run(c.OutOrStdout(), c.ErrOrStderr(), args[0]) },
	}
	flags := c.Flags()
	flags.StringVarP(&f.out, "output", "o", "", "model file to write (.safetensors)")
	flags.IntVar(&f.heads, "heads", 0, "attention heads")
	flags.IntVar(&f.imageSize, "image-size", 0, "side of the input in pixels")
	for _, t := range importTexts {
		f.texts[t.key] = flags.String(t.flag, "", t.usage)
	}
	flags.BoolVar(&f.noHead, "no-head", false, "take a backbone, which has no classes")
	flags.StringVar(&f.Labels, "labels", "", "file of class names, one a line, or JSON")
	flags.StringVar(&f.Key, "key", "", "entry or prefix of the model, where there are several")
	flags.BoolVar(&f.Strict, "strict", false, "refuse what rests on an assumption that may be wrong")
	return c
}

func (f importFlags) run(w, warnings io.Writer, in string) error {
	if f.out == "" {
		return usageError{errors.New("model import: want -o OUT")}
	}
	var err error
	if f.Given, err = f.metadata(); err != nil {
		return usageError{fmt.Errorf("model import: %w", err)}
	}
	m, err := modelstore.Import(in, f.out, f.ImportOptions)
	if err != nil {
		return fmt.Errorf("import %w", err)
	}
	for _, v := range m.Values {
		printLine(w, "%-16s %-32s %s", v.Key, shortened(v.Text), v.From)
	}
	for _, note := range m.Notes {
		printLine(w, "%s", note)
	}
	for _, warning := range m.Warnings {
		printLine(warnings, "dynvitd: warning: %s", warning)
	}
	c := m.Config
	printLine(w, "%s: width %d, depth %d, %d heads, %d classes, prunes at %v, predictors %v",
		f.out, c.Width, c.Depth, c.Heads, c.Classes, c.PruneAt, c.Predictors)
	return nil
}

// shortened is a value for a line of a table: lists of labels are long.
func shortened(text string) string {
	const most = 60
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}

// metadata writes the flags as metadata, whose parser knows their ranges.
func (f importFlags) metadata() (map[string]string, error) {
	meta := map[string]string{}
	for k, v := range f.texts {
		if *v != "" {
			meta[k] = *v
		}
	}
	for k, v := range map[string]int{"heads": f.heads, "image_size": f.imageSize} {
		if v != 0 {
			meta[k] = strconv.Itoa(v)
		}
	}
	if f.noHead {
		meta["head"] = "none"
	}
	if meta["resize"] != "" {
		meta["crop_mode"] = "center"
	}
	_, err := modelfile.ParseManifest(meta)
	return meta, err
}
