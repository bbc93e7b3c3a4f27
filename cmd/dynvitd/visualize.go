package main

import (
	"errors"
	"fmt"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"dynvit/atomicfile"
	"dynvit/engine"
	"dynvit/visualize"
)

// visualizeFlags say what is drawn and where it goes.
type visualizeFlags struct {
	modelFlags
	output      string
	limit, show int
}

// drawnPicture is the JSON of one picture.
type drawnPicture struct {
	classified
	Output string `json:"output"`
}

// drawnFolder is the JSON of a folder.
type drawnFolder struct {
	Data      string            `json:"data"`
	Output    string            `json:"output"`
	Images    int               `json:"images"`
	Skipped   int               `json:"skipped"`
	Model     string            `json:"model"`
	Backend   string            `json:"backend"`
	Precision string            `json:"precision"`
	Scorer    string            `json:"scorer"`
	KeepRatio float64           `json:"keep_ratio"`
	Tokens    []int             `json:"tokens"`
	Stages    []visualize.Stage `json:"stages"`
}

func newVisualize() *cobra.Command {
	var f visualizeFlags
	c := &cobra.Command{
		Use:   "visualize IMAGE|DIR -o OUT",
		Short: "Draw which patches are kept: a .png of a picture, an .html page of a folder",
		Args:  cobra.ExactArgs(1),
		RunE:  func(c *cobra.Command, args []string) error { return f.run(c, args[0]) },
	}
	f.register(c)
	f.registerOne(c, "f32", "auto")
	c.Flags().StringVarP(&f.output, "output", "o", "", "file to write: .png for a picture, .html for a folder")
	c.Flags().IntVar(&f.limit, "limit", 0, "look at so many pictures of a folder, spread evenly (0 = all)")
	c.Flags().IntVar(&f.show, "show", 24, "show so many of them on the page, spread evenly")
	return c
}

func (f *visualizeFlags) run(c *cobra.Command, in string) error {
	if f.output == "" || f.limit < 0 || f.show < 0 {
		return usageError{errors.New("visualize: want -o OUT, and --limit and --show not below 0")}
	}
	info, err := os.Stat(in)
	if err != nil {
		return about("visualize", in, err)
	}
	want, what := ".png", "picture"
	if info.IsDir() {
		want, what = ".html", "folder"
	}
	if !strings.EqualFold(filepath.Ext(f.output), want) {
		return usageError{fmt.Errorf("visualize: -o %s: want %s for a %s", f.output, want, what)}
	}
	e, keep, plan, err := f.open()
	if err != nil {
		return err
	}
	defer e.Close()
	v, err := visualize.NewViewer(e, plan)
	if err != nil {
		return fmt.Errorf("visualize: %w", err)
	}
	if info.IsDir() {
		err = f.folder(c, v, e, in, e.Ratio(keep, plan))
	} else {
		err = f.picture(c, v, e, in, e.Ratio(keep, plan))
	}
	if err != nil {
		return about("visualize", in, err)
	}
	return nil
}

func (f *visualizeFlags) picture(c *cobra.Command, v *visualize.Viewer, e *engine.Engine, in string, ratio float64) error {
	look, err := v.Look(in)
	if err != nil {
		return err
	}
	strip, err := look.Strip(lookedBy(e, ratio, look.Result.Tokens))
	if err != nil {
		return err
	}
	if err := atomicfile.Write(f.output, func(w io.Writer) error { return png.Encode(w, strip) }); err != nil {
		return err
	}
	out := drawnPicture{summary(e, in, ratio, &look.Result), f.output}
	out.Kept, out.Groups = look.Kept, look.Groups
	if f.json {
		return printJSON(c.OutOrStdout(), out)
	}
	printLine(c.OutOrStdout(), "%s: %s %.1f %%, tokens %v", f.output, look.Label, 100*look.Score, out.Tokens)
	return nil
}

func (f *visualizeFlags) folder(c *cobra.Command, v *visualize.Viewer, e *engine.Engine, in string, ratio float64) error {
	page, err := v.Folder(c.Context(), visualize.FolderOptions{
		Dir: in, Limit: f.limit, Show: f.show, Progress: progress(),
		Failed: func(path string, err error) { complain(about("skip", path, err)) },
	})
	if err != nil {
		return err
	}
	page.Subtitle = lookedBy(e, ratio, page.Tokens)
	if err := atomicfile.Write(f.output, page.Write); err != nil {
		return err
	}
	info, w := e.Info(), c.OutOrStdout()
	out := drawnFolder{
		Data: in, Output: f.output, Images: page.Tally.Looks, Skipped: page.Skipped, Model: info.Model, Backend: info.Backend,
		Precision: info.Precision.String(), Scorer: info.Scorer, KeepRatio: ratio, Tokens: page.Tokens, Stages: page.Tally.Stages(),
	}
	if f.json {
		return printJSON(w, out)
	}
	printLine(w, "%s: %d pictures (%d skipped), tokens %v", f.output, out.Images, out.Skipped, out.Tokens)
	for i, s := range out.Stages {
		printLine(w, "  stage %d: %s", i+1, s)
	}
	return nil
}

// lookedBy says what made the decisions that are shown.
func lookedBy(e *engine.Engine, ratio float64, tokens []int) string {
	words := make([]string, len(tokens))
	for i, n := range tokens {
		words[i] = fmt.Sprint(n)
	}
	info := e.Info()
	return fmt.Sprintf("%s, scorer %s, keep %.3g, tokens %s", info.Model, info.Scorer, ratio, strings.Join(words, " → "))
}
