package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
)

// maxDepth bounds how deep a JSON text nests; configurations nest four deep.
const maxDepth = 64

// object is a JSON object; its numbers are json.Number.
type object map[string]any

// parse reads one JSON object.
func parse(data []byte) (object, error) {
	if err := checkDepth(data); err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))))
	d.UseNumber()
	var o object
	if err := d.Decode(&o); err != nil {
		return nil, fmt.Errorf("JSON: %w", err)
	}
	if o == nil {
		return nil, errors.New("JSON: want an object")
	}
	if d.More() {
		return nil, errors.New("JSON: more behind the object")
	}
	return o, nil
}

// checkDepth counts brackets outside of strings, before a decoder builds anything.
func checkDepth(data []byte) error {
	depth, inside := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inside && c == '\\':
			i++
		case c == '"':
			inside = !inside
		case inside:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return fmt.Errorf("JSON: nests more than %d deep", maxDepth)
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}

// reader takes values of an object by key; after the first error it takes no more. A key
// that is absent or null gives the zero value.
type reader struct {
	o   object
	err error
}

func (r *reader) fail(key, want string) {
	if r.err == nil {
		r.err = fmt.Errorf("%s %.60q: want %s", key, fmt.Sprint(r.o[key]), want)
	}
}

func (r *reader) has(key string) bool { return r.o[key] != nil }

// text takes a string.
func (r *reader) text(key string) string {
	s, ok := r.o[key].(string)
	if !ok && r.has(key) {
		r.fail(key, "a text")
	}
	return s
}

// number takes a finite number, or def where there is none.
func (r *reader) number(key string, def float64) float64 {
	if !r.has(key) {
		return def
	}
	v, ok := toNumber(r.o[key])
	if !ok {
		r.fail(key, "a number")
		return def
	}
	return v
}

func toNumber(v any) (float64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	f, err := n.Float64()
	return f, err == nil && !math.IsInf(f, 0) && !math.IsNaN(f)
}

// yes takes true or false, or def where there is none.
func (r *reader) yes(key string, def bool) bool {
	if !r.has(key) {
		return def
	}
	b, ok := r.o[key].(bool)
	if !ok {
		r.fail(key, "true or false")
	}
	return b
}

// whole takes a whole number above 0; 0 where there is none.
func (r *reader) whole(key string) int {
	if !r.has(key) {
		return 0
	}
	n, ok := toWhole(r.o[key])
	if !ok {
		r.fail(key, "a whole number above 0")
	}
	return n
}

func toWhole(v any) (int, bool) {
	f, ok := toNumber(v)
	if !ok || f != math.Trunc(f) || f < 1 || f > 1<<30 {
		return 0, false
	}
	return int(f), true
}

// side takes the side of a square: a whole number, or two equal ones, the last two of
// several (channels, height, width).
func (r *reader) side(key string) int {
	items, is := r.o[key].([]any)
	if !is {
		return r.whole(key)
	}
	if len(items) == 2 || len(items) == 3 {
		h, ok1 := toWhole(items[len(items)-2])
		w, ok2 := toWhole(items[len(items)-1])
		if ok1 && ok2 && h == w {
			return h
		}
	}
	r.fail(key, "a square: only square inputs are taken")
	return 0
}

// numbers takes a list of numbers as metadata has them: "0.5,0.5,0.5".
func (r *reader) numbers(key string) string {
	if !r.has(key) {
		return ""
	}
	items, ok := r.o[key].([]any)
	out := ""
	for i, item := range items {
		v, is := toNumber(item)
		ok = ok && is
		if i > 0 {
			out += ","
		}
		out += format(v)
	}
	if !ok || len(items) > 16 {
		r.fail(key, "a list of numbers")
		return ""
	}
	return out
}

// part takes an object, empty where there is none.
func (r *reader) part(key string) *reader {
	o, ok := r.o[key].(map[string]any)
	if !ok && r.has(key) {
		r.fail(key, "an object")
	}
	return &reader{o: o, err: r.err}
}

func format(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
