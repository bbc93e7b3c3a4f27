package messages

import (
	"encoding/json"
	"math"
	"testing"
	"time"
	"unicode/utf8"
)

func TestAppendNumbers(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{string(appendScore(nil, 0.98766)), "0.9877"},
		{string(appendScore(nil, 1)), "1"},
		{string(appendScore(nil, 1e-9)), "0"},
		{string(appendScore(nil, float32(math.NaN()))), "0"},
		{string(appendNumber(nil, math.Inf(1))), "0"},
		{string(appendMilliseconds(nil, 12345678*time.Nanosecond)), "12.346"},
		{string(appendMilliseconds(nil, 1e9*time.Second)), "1000000000000"},
		{string(appendMilliseconds(nil, -time.Millisecond)), "-1"},
		{string(appendInts(nil, nil)), "[]"},
		{string(appendTop(nil, nil)), "[]"},
		{string(appendTime(nil, time.Date(2026, 1, 2, 3, 4, 5, 678900000, time.FixedZone("", 3600)))), `"2026-01-02T02:04:05.678Z"`},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
}

// FuzzAppendString: what is written reads back, bytes that are no UTF-8 as
// U+FFFD.
func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "golf ball", `"\`, "a\x00\n\x1f", "é 漢 🚪", "\xff\xc0", "\u2028<&>\x7f"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := appendString(nil, s)
		var got string
		if err := json.Unmarshal(b, &got); err != nil || !utf8.Valid(b) {
			t.Fatalf("%q: %v", b, err)
		}
		want := ""
		for _, r := range s { // ranging replaces each bad byte by U+FFFD
			want += string(r)
		}
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
