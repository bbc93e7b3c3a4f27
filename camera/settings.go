package camera

import (
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
)

// settings are the options of a Spec as read; the given ones are in text, in the
// order given.
type settings struct {
	text []string // "name=value"

	fps           float64 // frames a second; 0: as fast as they are taken
	fpsSet        bool
	frames        uint64 // 0: no end
	seed          uint64
	loop          bool
	width, height int // 0: not given
	format        string
	transport     string
}

// suffix is the options as they stood in the URI.
func (s settings) suffix(mark string) string {
	if len(s.text) == 0 {
		return ""
	}
	return mark + strings.Join(s.text, "&")
}

// rate is the frame rate asked for, or the one that a source has by itself.
func (s settings) rate(unasked float64) float64 {
	if s.fpsSet {
		return s.fps
	}
	return unasked
}

// option is one name that may be set, and how its value is read.
type option struct {
	name string
	want string // the allowed values, for errors
	set  func(s *settings, value string) bool
}

// maxRate and maxSide bound what may be asked of a source: no camera is faster
// or larger.
const (
	maxRate = 1000
	maxSide = 8192
)

var (
	fpsOption       = option{"fps", "frames a second, 0 (as fast as they are taken) to 1000", setFPS}
	framesOption    = option{"frames", "a number, 0 (no end) or more", setFrames}
	seedOption      = option{"seed", "a number, 0 or more", setSeed}
	sizeOption      = option{"size", "WIDTHxHEIGHT in pixels, 16x16 to 8192x8192", setSize}
	loopOption      = option{"loop", "0 or 1", setLoop}
	formatOption    = option{"format", "mjpeg, yuyv, nv12, i420, rgb24 or grey", setFormat}
	transportOption = option{"transport", "tcp or udp", setTransport}
)

// parseOptions reads name=value pairs joined by &. A name that is not in
// allowed, one that comes twice and a bad value are errors.
func parseOptions(query string, allowed []option) (settings, error) {
	var s settings
	seen := map[string]bool{}
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		name, raw, _ := strings.Cut(pair, "=")
		o, err := findOption(name, allowed)
		if err != nil {
			return s, err
		}
		value, err := url.PathUnescape(raw)
		if err != nil || !o.set(&s, value) {
			return s, fmt.Errorf("option %s=%q: want %s", name, raw, o.want)
		}
		if seen[name] {
			return s, fmt.Errorf("option %s: given twice", name)
		}
		seen[name] = true
		s.text = append(s.text, pair)
	}
	return s, nil
}

func findOption(name string, allowed []option) (option, error) {
	names := make([]string, len(allowed))
	for i, o := range allowed {
		if o.name == name {
			return o, nil
		}
		names[i] = o.name
	}
	return option{}, fmt.Errorf("option %q is not known: want %s", name, strings.Join(names, ", "))
}

func setFPS(s *settings, v string) (ok bool) {
	f, err := strconv.ParseFloat(v, 64)
	s.fps, s.fpsSet = f, true
	// A rate below one frame in a day is a mistake, and would overflow a Duration.
	return err == nil && !math.IsNaN(f) && (f == 0 || f >= 1.0/86400 && f <= maxRate)
}

func setFrames(s *settings, v string) (ok bool) {
	n, err := strconv.ParseUint(v, 10, 63)
	s.frames = n
	return err == nil
}

func setSeed(s *settings, v string) (ok bool) {
	n, err := strconv.ParseUint(v, 10, 63)
	s.seed = n
	return err == nil
}

func setSize(s *settings, v string) (ok bool) {
	w, h, _ := strings.Cut(v, "x")
	var errW, errH error
	s.width, errW = strconv.Atoi(w)
	s.height, errH = strconv.Atoi(h)
	return errW == nil && errH == nil && min(s.width, s.height) >= 16 && max(s.width, s.height) <= maxSide
}

func setLoop(s *settings, v string) (ok bool) {
	s.loop = v == "1"
	return v == "0" || v == "1"
}

func setFormat(s *settings, v string) (ok bool) {
	s.format = v
	switch v {
	case "mjpeg", "yuyv", "nv12", "i420", "rgb24", "grey":
		return true
	}
	return false
}

func setTransport(s *settings, v string) (ok bool) {
	s.transport = v
	return v == "tcp" || v == "udp"
}
