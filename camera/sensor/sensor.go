// Package sensor is scheme csi: a camera on the CSI connector, read through the
// board's own program, which scales in hardware and hands over raw I420.
package sensor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"dynvit/camera"
	"dynvit/camera/internal/child"
	"dynvit/camera/internal/option"
	"dynvit/camera/internal/picture"
)

// What a sensor is asked for where the URI does not say.
const (
	defaultRate  = 15 // frames a second
	defaultShort = 256
)

// Scheme is csi://0?size=1280x720&fps=30.
func Scheme() camera.Scheme {
	return camera.Scheme{Names: []string{"csi"}, Marks: "?#", Parse: parse}
}

// target is a parsed URI.
type target struct {
	given  option.Given
	text   string // the number as it stood there
	number int
	rate   option.Rate
	size   option.Size
}

func parse(_, text, options string) (camera.Target, error) {
	t := &target{text: strings.TrimPrefix(text, "//")}
	n, err := strconv.ParseUint(t.text, 10, 8)
	if err != nil || n > 15 {
		return nil, fmt.Errorf("sensor %q: want a number from 0 to 15, as in csi://0", t.text)
	}
	t.number = int(n)
	t.given, err = option.Parse(options, option.FPS(&t.rate), option.Pixels(&t.size))
	return t, err
}

func (t *target) String() string { return "csi://" + t.text + t.given.After("?") }

func (t *target) Open(o camera.Options) (camera.Source, error) {
	width, height, err := chooseSize(t.size, o.ShortSide)
	if err != nil {
		return nil, fmt.Errorf("source %s: %w", t, err)
	}
	for _, p := range programs {
		path, err := exec.LookPath(p.name)
		if err != nil {
			continue
		}
		words := append([]string{path}, p.words(t.number, width, height, t.rate.Or(defaultRate))...)
		return &source{Program: child.NewProgram(t.String(), words, o), width: width, height: height}, nil
	}
	return nil, fmt.Errorf("source %s: %w", t, errNoProgram)
}

// programs are tried in this order: a Raspberry Pi has the first or, with an
// older system, the second; a Jetson has the third.
var programs = []struct {
	name  string
	words func(number, width, height int, fps float64) []string
}{
	{"rpicam-vid", raspberryWords},
	{"libcamera-vid", raspberryWords},
	{"gst-launch-1.0", jetsonWords},
}

var errNoProgram = errors.New("neither rpicam-vid (Raspberry Pi: package rpicam-apps) nor gst-launch-1.0 with nvarguscamerasrc (Jetson: package gstreamer1.0-tools) is installed")

// source reads a board's program.
type source struct {
	*child.Program
	width, height int
	seq           uint64
}

// chooseSize is what was asked for, or the smallest 4:3 whose short side is large
// enough. The programs pad rows to 64 bytes without saying so, so they are asked
// for none that need it.
func chooseSize(asked option.Size, short int) (width, height int, err error) {
	if asked.Width != 0 {
		if asked.Width%64 != 0 || asked.Height%2 != 0 {
			return 0, 0, fmt.Errorf("size %dx%d: want a width that 64 divides and an even height, such as 640x480", asked.Width, asked.Height)
		}
		return asked.Width, asked.Height, nil
	}
	if short <= 0 {
		short = defaultShort
	}
	n := (short + 47) / 48
	return 64 * n, 48 * n, nil
}

// raspberryWords make rpicam-vid write frames until it is killed.
func raspberryWords(number, width, height int, fps float64) []string {
	words := []string{
		"--nopreview", "--timeout", "0", "--verbose", "0", "--camera", strconv.Itoa(number), "--codec", "yuv420", "--flush",
		"--width", strconv.Itoa(width), "--height", strconv.Itoa(height), "--output", "-",
	}
	if fps != 0 {
		words = append(words, "--framerate", strconv.FormatFloat(fps, 'f', -1, 64))
	}
	return words
}

// jetsonWords are a pipeline that scales on the image processor.
func jetsonWords(number, width, height int, fps float64) []string {
	rate := ""
	if fps != 0 {
		rate = fmt.Sprintf(",framerate=%d/1000", int(fps*1000+0.5))
	}
	return []string{
		"-q", "nvarguscamerasrc", "sensor-id=" + strconv.Itoa(number), "!",
		"video/x-raw(memory:NVMM)" + rate, "!",
		"nvvidconv", "!", fmt.Sprintf("video/x-raw,format=I420,width=%d,height=%d", width, height), "!",
		"fdsink", "fd=1", "sync=false",
	}
}

// Next reads one frame; the first starts the program. A program that ends is
// broken: a sensor has no end.
func (c *source) Next(ctx context.Context, f *camera.Frame) error {
	n := camera.I420.Bytes(c.width, c.height)
	err := c.Read(ctx, func(r *bufio.Reader) (err error) {
		f.Data, err = picture.AppendFull(f.Data[:0], r, n)
		return err
	})
	if err == io.EOF {
		return c.Failure("the camera program ended")
	}
	if err != nil {
		return err
	}
	c.seq++
	f.Format, f.Width, f.Height, f.Name = camera.I420, c.width, c.height, ""
	f.Seq, f.Captured = c.seq, time.Now()
	return nil
}
