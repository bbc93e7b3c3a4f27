package camera

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"time"
)

// What a sensor is asked for where the URI does not say.
const (
	sensorRate  = 15 // frames a second
	sensorShort = 256
)

// sensor reads a camera on the CSI connector through the board's own program,
// which scales in hardware and hands over raw I420.
type sensor struct {
	program
	width, height int
	seq           uint64
}

// sensorPrograms are tried in this order: a Raspberry Pi has the first or, with an
// older system, the second; a Jetson has the third.
var sensorPrograms = []struct {
	name  string
	words func(number, width, height int, fps float64) []string
}{
	{"rpicam-vid", raspberryWords},
	{"libcamera-vid", raspberryWords},
	{"gst-launch-1.0", jetsonWords},
}

var errNoSensorProgram = errors.New("neither rpicam-vid (Raspberry Pi: package rpicam-apps) nor gst-launch-1.0 with nvarguscamerasrc (Jetson: package gstreamer1.0-tools) is installed")

func openSensor(s Spec, o Options) (Source, error) {
	number, err := strconv.Atoi(s.target)
	if err != nil {
		return nil, fmt.Errorf("source %s: %w", s, err)
	}
	c := &sensor{}
	if c.width, c.height, err = sensorSize(s.options, o.ShortSide); err != nil {
		return nil, fmt.Errorf("source %s: %w", s, err)
	}
	for _, p := range sensorPrograms {
		path, err := exec.LookPath(p.name)
		if err != nil {
			continue
		}
		words := p.words(number, c.width, c.height, s.options.rate(sensorRate))
		c.prepare(s.String(), append([]string{path}, words...), o)
		return c, nil
	}
	return nil, fmt.Errorf("source %s: %w", s, errNoSensorProgram)
}

// sensorSize is what was asked for, or the smallest 4:3 whose short side is large
// enough. The programs pad rows to 64 bytes without saying so, so they are asked
// for none that need it.
func sensorSize(o settings, short int) (width, height int, err error) {
	if o.width != 0 {
		if o.width%64 != 0 || o.height%2 != 0 {
			return 0, 0, fmt.Errorf("size %dx%d: want a width that 64 divides and an even height, such as 640x480", o.width, o.height)
		}
		return o.width, o.height, nil
	}
	if short <= 0 {
		short = sensorShort
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
func (c *sensor) Next(ctx context.Context, f *Frame) error {
	n := I420.Bytes(c.width, c.height)
	err := c.read(ctx, func(r *bufio.Reader) (err error) {
		f.Data, err = appendFull(f.Data[:0], r, n)
		return err
	})
	if err == io.EOF {
		return fmt.Errorf("%s: the camera program ended%s", c.name, c.said)
	}
	if err != nil {
		return err
	}
	c.seq++
	f.Format, f.Width, f.Height, f.Name = I420, c.width, c.height, ""
	f.Seq, f.Captured = c.seq, time.Now()
	return nil
}
