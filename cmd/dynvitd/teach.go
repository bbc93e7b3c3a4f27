package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dynvit/backends/all"
	"dynvit/engine"
	"dynvit/head"
	"dynvit/modelfile"
	"dynvit/models"
	"dynvit/teach"
	"dynvit/vit"
)

// teachFlags say what is taught, on what, and where it goes.
type teachFlags struct {
	modelFlags
	out    string
	bundle bool
}

// taught is the JSON of a lesson.
type taught struct {
	Output string `json:"output"`
	Model  string `json:"model"` // the backbone
	Bundle bool   `json:"bundle"`
	Whole  bool   `json:"whole"`
	*teach.Report
	Seconds float64 `json:"seconds"`
}

func newTeach() *cobra.Command {
	var f teachFlags
	c := &cobra.Command{
		Use:   "teach DIR -o NAME",
		Short: "Make a classifier of your own from pictures in folders by class",
		Args:  cobra.ExactArgs(1),
		RunE:  func(c *cobra.Command, args []string) error { return f.run(c, args[0]) },
	}
	f.register(c)
	c.Flags().StringVar(&f.Precision, "precision", "auto", "precision: "+precisionNames)
	c.Flags().StringVarP(&f.out, "output", "o", "", "`NAME` of the new model in the store, or a path to .safetensors")
	c.Flags().BoolVar(&f.bundle, "bundle", false, "put the backbone into the file too: it then needs no other")
	c.Flags().BoolVar(&f.Whole, "whole", false, "look at whole pictures, squeezed, instead of the square in their middle")
	return c
}

func (f *teachFlags) run(c *cobra.Command, dir string) error {
	start := time.Now()
	if err := f.check(); err != nil {
		return err
	}
	f.Store, f.Features = modelStore(), true
	path, err := f.path()
	if err != nil {
		return err
	}
	examples, err := teach.List(dir)
	if err != nil {
		return fmt.Errorf("teach: %w", err)
	}
	for _, aside := range examples.Aside {
		complain(about("teach", aside, errors.New("left out: it is in no folder of a class")))
	}
	base, name, err := f.base(path)
	if err != nil {
		return fmt.Errorf("teach: %w", err)
	}
	defer base.Close()
	e, err := engine.Open(f.Options, all.List())
	if err != nil {
		return err
	}
	defer e.Close()
	h, report, err := teach.Run(c.Context(), e, examples, teach.Options{
		Threads: f.Threads, Progress: f.progress(), Failed: func(path string, err error) { complain(about("skip", path, err)) },
	})
	if err != nil {
		return fmt.Errorf("teach: %w", err)
	}
	h.Backbone, h.Base, h.Whole = vit.BackboneSum(base), name, f.Whole
	h.Note["precision"], h.Note["program"] = e.Info().Precision.String(), version
	if err := f.write(h, base, path); err != nil {
		return fmt.Errorf("teach: %w", err)
	}
	return f.show(c.OutOrStdout(), taught{path, e.Info().Model, f.bundle, f.Whole, report, time.Since(start).Seconds()})
}

// path is where the head goes: a name is one of the store.
func (f *teachFlags) path() (string, error) {
	switch {
	case f.out == "":
		return "", usageError{errors.New("teach: want -o NAME")}
	case strings.HasSuffix(f.out, ".safetensors"):
		return f.out, f.replaceable(f.out)
	case head.CheckLabel(f.out) != nil:
		return "", usageError{fmt.Errorf("teach: --output %.80q: want a name for the store, or a path that ends in .safetensors", f.out)}
	case f.out == models.DefaultName:
		return "", usageError{fmt.Errorf("teach: --output %s: the embedded model has that name", f.out)}
	case len(f.Store) == 0:
		return "", errors.New("teach: there is no folder to keep it in: set DYNVIT_MODELS or HOME")
	}
	path := filepath.Join(f.Store[0], f.out+".safetensors")
	return path, f.replaceable(path)
}

// replaceable refuses to write over what is no taught head: a backbone would be lost.
func (f *teachFlags) replaceable(path string) error {
	there, err := modelfile.Open(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("teach: %w", err)
	}
	defer there.Close()
	if !head.Is(there) {
		return fmt.Errorf("teach: %s is there, and no taught model: give another name", path)
	}
	return nil
}

// base opens the backbone's file and finds by what name it will be found: a path is one of
// the store or of the head's own folder.
func (f *teachFlags) base(path string) (file *modelfile.File, name string, err error) {
	if file, name, err = engine.OpenFile(f.Model, f.Store); err != nil {
		return nil, "", err
	}
	fail := func(format string, args ...any) (*modelfile.File, string, error) {
		file.Close()
		return nil, "", fmt.Errorf(format, args...)
	}
	if head.Is(file) {
		return fail("model %s is a taught one: teach on its backbone", name)
	}
	if f.bundle || !engine.IsPath(f.Model) {
		return file, name, nil
	}
	folder := filepath.Dir(f.Model)
	if folder != filepath.Dir(path) && (len(f.Store) == 0 || folder != filepath.Clean(f.Store[0])) {
		return fail("model %s is not in the store, where the new one would look for it: want --bundle", f.Model)
	}
	return file, name, nil
}

func (f *teachFlags) write(h *head.Head, base *modelfile.File, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if !f.bundle {
		base = nil
	}
	return h.Write(path, base)
}

// progress says how far a lesson is; nil: nobody is told.
func (f *teachFlags) progress() func(teach.Progress) {
	show := nowAndThen(f.v)
	if show == nil {
		return nil
	}
	return func(p teach.Progress) {
		show("%s: %d of %d, %v left", p.Phase, p.Done, p.Total, p.Left.Round(time.Second))
	}
}

func (f *teachFlags) show(w io.Writer, t taught) error {
	if f.json {
		return printJSON(w, t)
	}
	printLine(w, "%s: %d classes from %d pictures of %d scenes (%d skipped), in %.1f s", t.Output, len(t.Classes), t.Pictures, t.Scenes, t.Skipped, t.Seconds)
	printLine(w, "accuracy %.1f %% (%.1f to %.1f) on pictures held out, %d folds", 100*t.Accuracy, 100*t.CI95.Lo, 100*t.CI95.Hi, t.Folds)
	for _, k := range t.ByKeep[1:] {
		printLine(w, "  %5.1f %% at keep %v", 100*k.Accuracy, k.Ratio)
	}
	showTable(w, t.Report)
	for _, d := range t.Doubtful {
		printLine(w, "doubtful: %s, given as %s, looks like %s (%.0f %%)", d.Image, d.Label, d.Looks, 100*d.Score)
	}
	for _, p := range t.Curve {
		printLine(w, "learned from %4d: %.1f %%", p.Pictures, 100*p.Accuracy)
	}
	if t.Expected != nil {
		printLine(w, "with %d, if it goes on so: about %.1f %%", t.Expected.Pictures, 100*t.Expected.Accuracy)
	}
	for _, note := range t.Notes {
		printLine(w, "note: %s", note)
	}
	return nil
}

// mostColumns of a confusion fit on a line.
const mostColumns = 12

// showTable is the confusion of a few classes, or the recall of many.
func showTable(w io.Writer, r *teach.Report) {
	for i, c := range r.Classes {
		row := ""
		if len(r.Classes) <= mostColumns {
			for _, n := range r.Confusion[i] {
				row += fmt.Sprintf(" %5d", n)
			}
		}
		printLine(w, "%-24s %5.1f %% of %4d %s", shortened(c.Label), 100*c.Recall, c.Pictures, row)
	}
}
