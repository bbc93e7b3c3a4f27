package v4l2

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"dynvit/camera"
)

const (
	// plentyRate is from which rate on a raw format is good enough that nobody asked
	// a rate of: more than most boxes classify.
	plentyRate = 15
	// usualRate is what a camera is asked for where the URI does not say.
	usualRate = 30
)

// mode is what a device is asked for.
type mode struct {
	code          fourcc
	format        camera.Format
	width, height int     // 0: as the device has it set
	rate          float64 // frames a second; 0: as the device has it set

	rank int // of the format, the smaller the better
}

// wish is what is wanted of a device.
type wish struct {
	asked
	side int // the short side should have so many pixels; 0: any
}

// choose picks a mode among all that a device offers. It is the smallest size
// whose short side covers what the model wants, else the largest; a raw format
// rather than MJPEG where its rate suffices, since it need not be decoded; and one
// with colours.
func choose(offered []DeviceFormat, w wish) (mode, error) {
	var best *candidate
	for _, f := range offered {
		if !w.takes(f) {
			continue
		}
		for _, c := range w.candidates(f) {
			if best == nil || c.better(best) {
				best = &c
			}
		}
	}
	if best == nil {
		return mode{}, fmt.Errorf("%s is not offered: want %s", w, w.instead(offered))
	}
	return best.mode, nil
}

// takes reports whether a format is read, and is the one asked for if one is.
func (w wish) takes(f DeviceFormat) bool {
	return f.Format != 0 && (w.format == "" || w.format == f.Option)
}

// candidate is a mode with what speaks for it.
type candidate struct {
	mode
	covers, fast, coloured, raw bool
}

// better compares by what matters most first.
func (c *candidate) better(o *candidate) bool {
	switch area, other := c.width*c.height, o.width*o.height; {
	case c.coloured != o.coloured:
		return c.coloured
	case c.covers != o.covers:
		return c.covers
	case c.fast != o.fast:
		return c.fast
	case !c.fast && c.rate != o.rate:
		return c.rate > o.rate
	case !c.covers && area != other:
		return area > other
	case c.raw != o.raw:
		return c.raw
	case area != other:
		return area < other
	}
	return c.rank < o.rank
}

// candidates are a format's sizes as modes. A format that does not say its sizes
// has one, of the size asked for or unknown.
func (w wish) candidates(f DeviceFormat) []candidate {
	sizes := f.Sizes
	if len(sizes) == 0 {
		sizes = []DeviceSize{{Width: w.size.Width, Height: w.size.Height, MaxWidth: w.size.Width, MaxHeight: w.size.Height}}
	}
	var list []candidate
	for _, s := range sizes {
		width, height, ok := w.fit(s)
		if !ok || sharesChroma(f.Format) && (width|height)%2 != 0 {
			continue // half a chroma sample
		}
		c := candidate{mode: mode{code: f.code, format: f.Format, width: width, height: height}}
		_, c.rank = formatOf(f.code)
		c.rate = w.pickRate(s.Rates)
		c.covers = min(width, height) >= w.side
		c.fast = len(s.Rates) == 0 || s.Rates[0] >= w.enough()
		c.coloured, c.raw = f.Format != camera.GREY, f.Format != camera.JPEG
		list = append(list, c)
	}
	return list
}

// fit picks a size out of s: the one asked for, or the smallest that covers.
func (w wish) fit(s DeviceSize) (width, height int, ok bool) {
	if w.size.Width != 0 {
		return w.size.Width, w.size.Height, s.has(w.size.Width, w.size.Height)
	}
	if s.StepX == 0 {
		return s.Width, s.Height, true
	}
	height = stepUp(s.Height, s.MaxHeight, s.StepY, w.side)
	width = stepUp(s.Width, s.MaxWidth, s.StepX, max(w.side, height*4/3)) // as sensors are
	return width, height, true
}

// has reports whether a size is s, or in its range.
func (s DeviceSize) has(width, height int) bool {
	return inSteps(width, s.Width, s.MaxWidth, s.StepX) && inSteps(height, s.Height, s.MaxHeight, s.StepY)
}

func inSteps(v, low, high, step int) bool {
	return v >= low && v <= high && (step == 0 || (v-low)%step == 0)
}

// stepUp is the smallest of low, low+step, … that is at least v and even if that
// can be, or the last.
func stepUp(low, high, step, v int) int {
	n := max(0, v-low+step-1) / step
	if (low+n*step)%2 != 0 && step%2 != 0 {
		n++
	}
	return low + min(n, (high-low)/step)*step
}

// enough is the rate from which on a mode is fast.
func (w wish) enough() float64 {
	if w.rate.Asked && w.rate.FPS != 0 {
		return 0.99 * w.rate.FPS // 30 is 29.97 in the world of television
	}
	return plentyRate
}

// pickRate is the slowest rate that is not below the one asked for, else the
// fastest. Rates fall.
func (w wish) pickRate(rates []float64) float64 {
	asked := w.rate.Or(usualRate)
	if len(rates) == 0 {
		return w.rate.FPS
	}
	if asked == 0 {
		return rates[0]
	}
	slower := slices.IndexFunc(rates, func(r float64) bool { return r < 0.99*asked })
	switch {
	case slower < 0:
		return rates[len(rates)-1]
	case slower == 0:
		return rates[0]
	}
	return rates[slower-1]
}

// interval is a rate as drivers take it.
func interval(rate float64) v4l2Fract {
	return v4l2Fract{1000, uint32(math.Round(1000 * rate))}
}

// String is the wish in words, for errors.
func (w wish) String() string {
	size := fmt.Sprintf("%dx%d", w.size.Width, w.size.Height)
	switch {
	case w.format != "" && w.size.Width != 0:
		return "format " + w.format + " of " + size
	case w.format != "":
		return "format " + w.format
	case w.size.Width != 0:
		return "size " + size
	}
	return "a format that is read"
}

// instead names what the device has in place of what was asked for: sizes of the
// format, or else formats.
func (w wish) instead(list []DeviceFormat) string {
	var formats, sizes, unread []string
	for _, f := range list {
		if f.Format == 0 {
			unread = append(unread, f.FourCC)
			continue
		}
		formats = addName(formats, f.Option)
		for _, s := range f.Sizes {
			if w.takes(f) {
				sizes = addName(sizes, s.String())
			}
		}
	}
	const most = 8
	switch {
	case len(sizes) > 0:
		return strings.Join(sizes, ", ")
	case len(formats) > 0:
		return strings.Join(formats, ", ")
	case len(unread) > most:
		return fmt.Sprintf("another camera, this one has only %s and %d more", strings.Join(unread[:most], ", "), len(unread)-most)
	case len(unread) > 0:
		return "another camera, this one has only " + strings.Join(unread, ", ")
	}
	return "another camera, this one names no format"
}

func addName(list []string, name string) []string {
	if slices.Contains(list, name) {
		return list
	}
	return append(list, name)
}
