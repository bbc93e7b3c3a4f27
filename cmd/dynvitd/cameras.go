package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"dynvit/camera/v4l2"
)

// cameraDevice is the JSON of one video device.
type cameraDevice struct {
	Path      string         `json:"path"`
	Links     []string       `json:"links"` // paths that stay the same, by-id first
	Name      string         `json:"name"`
	Driver    string         `json:"driver"`
	Bus       string         `json:"bus"`
	Available bool           `json:"available"`
	Why       string         `json:"why"`
	Formats   []cameraFormat `json:"formats"`
}

type cameraFormat struct {
	Format      string       `json:"format"` // as in a source's option format; "" where it is not read
	FourCC      string       `json:"fourcc"`
	Description string       `json:"description"`
	Sizes       []cameraSize `json:"sizes"`
}

// cameraSize has the last four where it is a range.
type cameraSize struct {
	Width     int       `json:"width"`
	Height    int       `json:"height"`
	FPS       []float64 `json:"fps"`
	MaxWidth  int       `json:"max_width,omitempty"`
	MaxHeight int       `json:"max_height,omitempty"`
	StepX     int       `json:"step_x,omitempty"`
	StepY     int       `json:"step_y,omitempty"`
}

func cameraJSON(devices []v4l2.Device) []cameraDevice {
	list := make([]cameraDevice, 0, len(devices))
	for _, d := range devices {
		c := cameraDevice{
			Path: d.Path, Links: append([]string{}, d.Links...), Name: d.Name, Driver: d.Driver, Bus: d.Bus,
			Available: d.Err == nil, Formats: []cameraFormat{},
		}
		if d.Err != nil {
			c.Why = d.Err.Error()
		}
		for _, f := range d.Formats {
			c.Formats = append(c.Formats, cameraFormat{f.Option, f.FourCC, f.Description, sizesJSON(f.Sizes)})
		}
		list = append(list, c)
	}
	return list
}

func sizesJSON(sizes []v4l2.DeviceSize) []cameraSize {
	list := make([]cameraSize, 0, len(sizes))
	for _, s := range sizes {
		c := cameraSize{Width: s.Width, Height: s.Height, FPS: append([]float64{}, s.Rates...)}
		if s.StepX != 0 {
			c.MaxWidth, c.MaxHeight, c.StepX, c.StepY = s.MaxWidth, s.MaxHeight, s.StepX, s.StepY
		}
		list = append(list, c)
	}
	return list
}

// printCameras lists the devices for people: a line for each, its steady paths,
// and a line for each format that is read.
func printCameras(w io.Writer, devices []v4l2.Device) {
	if len(devices) == 0 {
		printLine(w, "no cameras: there is no /dev/video*")
	}
	for _, d := range devices {
		name := d.Name
		if d.Driver != "" {
			name += fmt.Sprintf(" (%s, %s)", d.Driver, d.Bus)
		}
		printLine(w, "%s", strings.TrimSpace(d.Path+"  "+name))
		for _, link := range d.Links {
			printLine(w, "  = %s", link)
		}
		if d.Err != nil {
			printLine(w, "  no: %v", d.Err)
		}
		printFormats(w, d.Formats)
	}
}

func printFormats(w io.Writer, formats []v4l2.DeviceFormat) {
	var unread []string
	for _, f := range formats {
		if f.Format == 0 {
			unread = append(unread, f.FourCC)
			continue
		}
		printLine(w, "  %-6s %s", f.Option, sizesText(f.Sizes))
	}
	if len(unread) > 0 {
		printLine(w, "  not read: %s", strings.Join(unread, " "))
	}
}

// sizesText names sizes and their rates, those with the same rates together.
func sizesText(sizes []v4l2.DeviceSize) string {
	var b strings.Builder
	for i, s := range sizes {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(s.String())
		if i+1 < len(sizes) && slices.Equal(s.Rates, sizes[i+1].Rates) || len(s.Rates) == 0 {
			continue
		}
		b.WriteString(" at")
		for _, r := range s.Rates {
			b.WriteString(" " + strconv.FormatFloat(r, 'f', -1, 64))
		}
		b.WriteString(" fps")
		if i+1 < len(sizes) {
			b.WriteByte(',')
		}
	}
	return b.String()
}
