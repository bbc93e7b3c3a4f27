package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dynvit/camera"
	schemes "dynvit/camera/all"
	"dynvit/capture"
	"dynvit/config"
)

// captureFlags say which camera's frames are kept, as what.
type captureFlags struct {
	load   runFlags
	camera string
	json   bool
	order  capture.Order
}

// captured is the JSON of a capture.
type captured struct {
	Camera   string `json:"camera"`
	Label    string `json:"label"`
	Folder   string `json:"folder"` // of the camera's labels, for teach
	Pictures int    `json:"pictures"`
	Dropped  int    `json:"dropped"` // older ones, which made room
}

func newCapture() *cobra.Command {
	var f captureFlags
	c := &cobra.Command{
		Use:   "capture --camera NAME --label LABEL",
		Short: "Keep a camera's frames as examples of a class, to teach",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	flags := c.Flags()
	flags.StringVar(&f.load.file, "config", "", "configuration file")
	flags.StringArrayVar(&f.load.sources, "source", nil, "camera to look at without a configuration file; its name is cam0")
	flags.StringVar(&f.camera, "camera", "", "`NAME` of the camera (default: the only one)")
	flags.StringVar(&f.order.Label, "label", "", "what its pictures show now, such as open")
	flags.IntVar(&f.order.Count, "count", capture.DefaultCount, "pictures")
	flags.DurationVar(&f.order.Every, "every", capture.DefaultEvery, "time from one to the next, at least")
	flags.BoolVar(&f.json, "json", false, "JSON on stdout")
	return c
}

func (f *captureFlags) run(c *cobra.Command) error {
	if err := f.order.Check(); err != nil {
		return usageError{fmt.Errorf("capture: %w", err)}
	}
	if f.load.file == "" && len(f.load.sources) == 0 {
		return usageError{errors.New("capture: want --config or --source")}
	}
	conf, err := f.load.load(c.Flags())
	if err != nil {
		return err
	}
	name, err := f.named(conf)
	if err != nil {
		return err
	}
	dir := stateDir()
	if dir == "" {
		return errors.New("capture: there is no folder to keep pictures in: set STATE_DIRECTORY or HOME")
	}
	folder := capture.New(filepath.Join(dir, "teach"), capture.MostBytes)
	out := captured{Camera: name, Label: f.order.Label}
	if out.Folder, err = folder.Path(name); err != nil {
		return fmt.Errorf("capture: %w", err)
	}
	err = f.take(c.Context(), folder, conf.Cameras[name], &out)
	if err != nil {
		return fmt.Errorf("capture: camera %s: %w, after %d pictures", name, err, out.Pictures)
	}
	if f.json {
		return printJSON(c.OutOrStdout(), out)
	}
	printLine(c.OutOrStdout(), "%d pictures of %s as %s in %s (%d older ones dropped)", out.Pictures, name, out.Label, out.Folder, out.Dropped)
	return nil
}

// named is the camera that is asked for.
func (f *captureFlags) named(conf config.Config) (string, error) {
	names := conf.CameraNames()
	switch _, known := conf.Cameras[f.camera]; {
	case known:
		return f.camera, nil
	case f.camera == "" && len(names) == 1:
		return names[0], nil
	}
	return "", usageError{fmt.Errorf("capture: --camera %q: want one of %s", f.camera, strings.Join(names, ", "))}
}

// captureSide is the short side in pixels that a camera with a choice of sizes is asked
// for: crops of the picture still have what a model of 224 wants.
const captureSide = 320

// take keeps frames until there are enough, or the source ends with one at least.
func (f *captureFlags) take(ctx context.Context, folder *capture.Folder, cam config.Camera, out *captured) error {
	source, err := schemes.List().Open(cam.Source, camera.Options{ShortSide: captureSide, Stall: cam.Timeout, Trust: cam.Trust()})
	if err != nil {
		return err
	}
	defer source.Close()
	var frame camera.Frame
	for t := (capture.Taking{Order: f.order}); t.Taken < t.Count; {
		err := source.Next(ctx, &frame)
		if errors.Is(err, io.EOF) && t.Taken > 0 {
			return nil
		}
		if err != nil {
			return err
		}
		now := time.Now()
		if !t.Due(now) {
			continue
		}
		picture, err := capture.JPEG(&frame, cam.Region)
		if err != nil {
			complain(fmt.Errorf("capture: frame left out: %w", err))
			continue
		}
		_, dropped, err := folder.Add(out.Camera, out.Label, frame.Captured, picture)
		out.Dropped += dropped
		if err != nil {
			return err
		}
		out.Pictures++
		t.Took(now)
	}
	return nil
}
