package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"math"

	"dynvit/camera"
	schemes "dynvit/camera/all"
	"dynvit/camera/files"
	"dynvit/evaluate"
)

// mostFrames bounds how many frames are kept in memory to measure on.
const mostFrames = 64

// frames are the pictures to measure on, and their description.
func (f *benchFlags) frames(ctx context.Context) ([]camera.Frame, string, error) {
	switch {
	case f.data != "" && f.source != "":
		return nil, "", usageError{errors.New("want --data or --source, not both")}
	case f.data != "":
		return folderFrames(f.data)
	case f.source != "":
		return sourceFrames(ctx, f.source)
	}
	frame, err := drawn()
	return []camera.Frame{frame}, "1280x720 jpeg", err
}

func folderFrames(dir string) ([]camera.Frame, string, error) {
	list, err := evaluate.List(dir, func(string) int { return -1 })
	if err != nil {
		return nil, "", err
	}
	list = evaluate.Spread(list, mostFrames)
	frames := make([]camera.Frame, len(list))
	for i, p := range list {
		if err := files.ReadPicture(&frames[i], p.Path); err != nil {
			return nil, "", err
		}
	}
	return frames, fmt.Sprintf("%d pictures of %s", len(frames), dir), nil
}

// sourceFrames reads a source until it ends or there are enough.
func sourceFrames(ctx context.Context, uri string) ([]camera.Frame, string, error) {
	spec, err := schemes.List().Parse(uri)
	if err != nil {
		return nil, "", usageError{fmt.Errorf("--source: %w", err)}
	}
	source, err := spec.Open(camera.Options{})
	if err != nil {
		return nil, "", err
	}
	defer source.Close()
	var frames []camera.Frame
	for len(frames) < mostFrames {
		var f camera.Frame
		if err := source.Next(ctx, &f); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, "", err
		}
		frames = append(frames, f)
	}
	if len(frames) == 0 {
		return nil, "", fmt.Errorf("%s: ended without a frame", spec)
	}
	return frames, fmt.Sprintf("%d frames of %s", len(frames), spec), nil
}

// drawn is a 1280×720 JPEG of waves and edges, about as hard to decode as a
// camera's.
func drawn() (camera.Frame, error) {
	img := image.NewRGBA(image.Rect(0, 0, 1280, 720))
	for y := range 720 {
		for x := range 1280 {
			wave := 60 * math.Sin(float64(x*y)/9000)
			edge := float64((x/40 + y/40) % 2 * 50)
			img.SetRGBA(x, y, color.RGBA{uint8(100 + wave + edge), uint8(90 + wave), uint8(x * 255 / 1280), 255})
		}
	}
	var buf bytes.Buffer
	err := jpeg.Encode(&buf, img, &jpeg.Options{Quality: 85})
	return camera.Frame{Format: camera.JPEG, Width: 1280, Height: 720, Data: buf.Bytes(), Name: "drawn"}, err
}
