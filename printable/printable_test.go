package printable_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"dynvit/printable"
)

func TestLine(t *testing.T) {
	for in, want := range map[string]string{
		"":                        "",
		"golf ball 50 %":          "golf ball 50 %",
		`C:\new "x"`:              `C:\new "x"`,
		"Žluťoučký 高尔夫球 \u3000ok": "Žluťoučký 高尔夫球 \u3000ok",
		"10\u00a0%":               "10\u00a0%",
		"e\u0301":                 "e\u0301", // a combining accent
		"a\nb\r\tc":               `a\nb\r\tc`,
		"\x1b]0;title\a":          `\u001b]0;title\u0007`,
		"\x7f\u009b31m":           `\u007f\u009b31m`,
		"pets\u202egpj.exe":       `pets\u202egpj.exe`,
		"\u2066a\u2069\u200f":     `\u2066a\u2069\u200f`,
		"zero\u200bwidth\ufeff":   `zero\u200bwidth\ufeff`,
		"join\u200d\u2060":        `join\u200d\u2060`,
		"lines\u2028\u2029":       `lines\u2028\u2029`,
		"soft\u00adhyphen":        `soft\u00adhyphen`,
		"filler\u3164\u115f":      `filler\u3164\u115f`,
		"heart\ufe0f":             `heart\ufe0f`,
		"tag\U000e0041":           `tag\udb40\udc41`,
		"private\ue000":           `private\ue000`,
		"bad\xff\xc3":             `bad\xff\xc3`,
		"real\ufffd":              "real\ufffd",
	} {
		if got := printable.Line(in); got != want {
			t.Errorf("%+q: %+q, want %+q", in, got, want)
		}
	}
}

// FuzzLine: what comes out shows, is settled, and is, within quotes, the JSON
// of what went in.
func FuzzLine(f *testing.F) {
	f.Add("a\nb\x1b[2J\u202e\u200b\U000e0041\xff\\")
	f.Fuzz(func(t *testing.T, s string) {
		line := printable.Line(s)
		if strings.ContainsFunc(line, printable.Hidden) || strings.ContainsFunc(line, unicode.IsControl) || !utf8.ValidString(line) {
			t.Errorf("%+q: %+q", s, line)
		}
		if again := printable.Line(line); again != line {
			t.Errorf("%+q became %+q", line, again)
		}
		if !utf8.ValidString(s) {
			return
		}
		quoted, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var back string
		if err := json.Unmarshal([]byte(printable.Line(string(quoted))), &back); err != nil || back != s {
			t.Errorf("%+q came back as %+q, %v", s, back, err)
		}
		if !strings.Contains(s, `\`) && utf8.RuneCountInString(s) == 1 && printable.Hidden([]rune(s)[0]) && []rune(s)[0] < 0x10000 {
			if back, err := strconv.Unquote(`"` + line + `"`); err != nil || back != s {
				t.Errorf("%+q came back as %+q, %v", s, back, err)
			}
		}
	})
}
