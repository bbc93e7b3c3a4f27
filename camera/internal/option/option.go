// Package option reads the options of a source's URI, name=value pairs joined by
// &, into the variables that a scheme has for them.
package option

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"dynvit/camera"
)

// Option is one name that may be set, and how its value is read.
type Option struct {
	Name string
	Want string                       // the allowed values, for errors
	Set  func(value string) (ok bool) // stores it, or refuses
}

// Given are the options of a URI as they stood there, "name=value" in order.
type Given []string

// After is the options behind a mark, as they stood in the URI; "" if there are none.
func (g Given) After(mark string) string {
	if len(g) == 0 {
		return ""
	}
	return mark + strings.Join(g, "&")
}

// behind says what may have been meant by something that is no option.
const behind = "a # or ? that belongs to a name (file:///PATH) or a password is written %23 or %3F"

// Parse sets options. A name that is not in allowed, one that comes twice and a
// value that is refused are errors.
func Parse(options string, allowed ...Option) (Given, error) {
	var given Given
	seen := map[string]bool{}
	if strings.Contains(options, "@") { // of a login
		return nil, errors.New("options with an @: " + behind)
	}
	for pair := range strings.SplitSeq(options, "&") {
		if pair == "" {
			continue
		}
		name, raw, valued := strings.Cut(pair, "=")
		o, names := find(name, allowed)
		switch {
		case o == nil && !(valued && isWord(name)): // it may be the end of a password
			return nil, fmt.Errorf("what is no option (%s): want %s", behind, names)
		case o == nil:
			return nil, fmt.Errorf("option %q is not known: want %s", name, names)
		}
		value, err := url.PathUnescape(raw)
		if err != nil || !o.Set(value) {
			return nil, fmt.Errorf("option %s=%q: want %s", name, raw, o.Want)
		}
		if seen[name] {
			return nil, fmt.Errorf("option %s: given twice", name)
		}
		seen[name] = true
		given = append(given, pair)
	}
	return given, nil
}

// isWord reports whether a name looks like an option's.
func isWord(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) })
}

// find returns nil and the names that there are for one that is none of them.
func find(name string, allowed []Option) (*Option, string) {
	names := make([]string, len(allowed))
	for i, o := range allowed {
		if o.Name == name {
			return &o, ""
		}
		names[i] = o.Name
	}
	return nil, strings.Join(names, ", ")
}

// MaxRate bounds a frame rate: no camera is faster.
const MaxRate = 1000

// Rate is a number of frames a second that may have been asked for; 0 is as fast
// as they are taken.
type Rate struct {
	FPS   float64
	Asked bool
}

// Or is the rate asked for, or the one that a source has by itself.
func (r Rate) Or(unasked float64) float64 {
	if r.Asked {
		return r.FPS
	}
	return unasked
}

// FPS is the option fps.
func FPS(r *Rate) Option {
	return Option{"fps", "frames a second, 0 (as fast as they are taken) to 1000", func(v string) bool {
		f, err := strconv.ParseFloat(v, 64)
		*r = Rate{f, true}
		// A rate below one frame in a day is a mistake, and would overflow a Duration.
		return err == nil && !math.IsNaN(f) && (f == 0 || f >= 1.0/86400 && f <= MaxRate)
	}}
}

// Size is a frame's size in pixels; the zero Size is none asked for.
type Size struct{ Width, Height int }

// Pixels is the option size.
func Pixels(s *Size) Option {
	return Option{"size", "WIDTHxHEIGHT in pixels, 16x16 to 8192x8192", func(v string) bool {
		w, h, _ := strings.Cut(v, "x")
		var errW, errH error
		s.Width, errW = strconv.Atoi(w)
		s.Height, errH = strconv.Atoi(h)
		return errW == nil && errH == nil && min(s.Width, s.Height) >= 16 && max(s.Width, s.Height) <= camera.MaxSide
	}}
}

// Number is an option that is a whole number from 0 to the largest int64.
func Number(name, want string, to *uint64) Option {
	return Option{name, want, func(v string) bool {
		n, err := strconv.ParseUint(v, 10, 63)
		*to = n
		return err == nil
	}}
}

// OneOf is an option that is one of several words, of which there are two or more.
func OneOf(name string, to *string, words ...string) Option {
	last := len(words) - 1
	return Option{name, strings.Join(words[:last], ", ") + " or " + words[last], func(v string) bool {
		*to = v
		return slices.Contains(words, v)
	}}
}
