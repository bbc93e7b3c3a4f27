package messages

import (
	"encoding/json"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"dynvit/timing"
)

// Schema is the version that every JSON payload carries.
const Schema = 1

// timeFormat is RFC 3339 in UTC with milliseconds.
const timeFormat = "2006-01-02T15:04:05.000Z"

// Encoder writes reports as JSON into one buffer, which the next call
// overwrites. After the first reports it allocates nothing.
type Encoder struct {
	buf    []byte
	bootID string
	tail   []byte // the fields that are the same for every frame
}

// Engine is what looks at the frames: the same in every report.
type Engine struct{ Backend, Precision, Model string }

// NewEncoder prepares for the reports of an engine; bootID is what events carry.
func NewEncoder(e Engine, bootID string) *Encoder {
	tail := appendString([]byte(`,"backend":`), e.Backend)
	tail = appendString(append(tail, `,"precision":`...), e.Precision)
	tail = appendString(append(tail, `,"model":`...), e.Model)
	return &Encoder{bootID: bootID, tail: tail}
}

// Report is the payload of the topics state and frame, published at now.
func (e *Encoder) Report(r *Report, now time.Time) []byte {
	e.begin(r, now)
	e.buf = append(e.buf, '}')
	return e.buf
}

// Event is the payload of the topic event.
func (e *Encoder) Event(r *Report, c Change, now time.Time) []byte {
	e.begin(r, now)
	b := append(e.buf, `,"id":"`...)
	b = append(b, e.bootID...)
	b = append(b, '-')
	b = strconv.AppendUint(b, c.ID, 10)
	b = append(b, `","boot_id":"`...)
	b = append(b, e.bootID...)
	b = append(b, `","previous":`...)
	b = appendLabel(b, c.Previous, c.Label)
	b = append(b, `,"since":`...)
	b = appendTime(b, c.Since)
	e.buf = append(b, '}')
	return e.buf
}

// begin writes all but the closing brace.
func (e *Encoder) begin(r *Report, now time.Time) {
	b := append(e.buf[:0], `{"schema":`...)
	b = strconv.AppendInt(b, Schema, 10)
	b = append(b, `,"camera":`...)
	b = appendString(b, r.Camera)
	b = append(b, `,"seq":`...)
	b = strconv.AppendUint(b, r.Seq, 10)
	b = append(b, `,"captured_at":`...)
	b = appendTime(b, r.Captured)
	b = append(b, `,"clock_synced":`...)
	b = strconv.AppendBool(b, r.Synced)
	b = append(b, `,"age_ms":`...)
	b = appendMilliseconds(b, now.Sub(r.Captured))
	b = append(b, `,"label":`...)
	b = appendLabel(b, r.Class, r.Label)
	b = append(b, `,"class":`...)
	b = strconv.AppendInt(b, int64(r.Class), 10)
	b = append(b, `,"score":`...)
	b = appendScore(b, r.Score)
	b = appendTop(append(b, `,"top":`...), r.Top)
	b = append(b, `,"keep_ratio":`...)
	b = appendNumber(b, r.KeepRatio)
	b = appendInts(append(b, `,"tokens":`...), r.Tokens)
	b = append(b, `,"latency_ms":`...)
	b = appendMilliseconds(b, r.Latency)
	b = append(b, `,"frame_ms":`...)
	b = appendMilliseconds(b, r.Frame)
	e.buf = append(b, e.tail...)
}

func appendTop(b []byte, top []Ranked) []byte {
	b = append(b, '[')
	for i, t := range top {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"class":`...)
		b = strconv.AppendInt(b, int64(t.Class), 10)
		b = append(b, `,"label":`...)
		b = appendString(b, t.Label)
		b = append(b, `,"score":`...)
		b = appendScore(b, t.Score)
		b = append(b, '}')
	}
	return append(b, ']')
}

func appendInts(b []byte, list []int) []byte {
	b = append(b, '[')
	for i, n := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(n), 10)
	}
	return append(b, ']')
}

// appendLabel writes null where no class holds.
func appendLabel(b []byte, class int, label string) []byte {
	if class == NoClass {
		return append(b, "null"...)
	}
	return appendString(b, label)
}

// appendTime writes t as every payload does.
func appendTime(b []byte, t time.Time) []byte {
	b = append(b, '"')
	b = t.UTC().AppendFormat(b, timeFormat)
	return append(b, '"')
}

// appendMilliseconds writes a duration to a microsecond.
func appendMilliseconds(b []byte, d time.Duration) []byte {
	return strconv.AppendFloat(b, timing.Rounded(d), 'f', -1, 64)
}

// appendScore writes a score to a ten thousandth, as much as differs from frame
// to frame by more than rounding.
func appendScore(b []byte, score float32) []byte {
	return appendNumber(b, math.Round(float64(score)*1e4)/1e4)
}

// appendNumber writes 0 for what JSON has no number for. The engine refuses such
// results; should one come through, a payload that no reader can parse would be
// worse than the wrong number.
func appendNumber(b []byte, v float64) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		v = 0
	}
	return strconv.AppendFloat(b, v, 'f', -1, 64)
}

const hexDigits = "0123456789abcdef"

// appendString writes a JSON string; bytes that are no UTF-8 become U+FFFD.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ':
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		case c < utf8.RuneSelf:
			b = append(b, c)
		default:
			r, size := utf8.DecodeRuneInString(s[i:])
			b = utf8.AppendRune(b, r)
			i += size
			continue
		}
		i++
	}
	return append(b, '"')
}

// Encode writes a payload that is not on the frame path.
func Encode(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic("messages: " + err.Error()) // structs of numbers and strings always encode
	}
	return data
}
