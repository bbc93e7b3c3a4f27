package messages

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestParseCommand(t *testing.T) {
	long := `"` + strings.Repeat("x", maxCommand) + `"`
	for _, c := range []struct{ payload, id, value, err string }{
		{`0.5`, "", `0.5`, ""},
		{` auto `, "", `"auto"`, ""},
		{`"auto"`, "", `"auto"`, ""},
		{`true`, "", `true`, ""},
		{`{"id":"x","value":0.5}`, "x", `0.5`, ""},
		{`{"value":"auto"}`, "", `"auto"`, ""},
		{``, "", "", "empty"},
		{`{"id":"x"}`, "x", "", "no \"value\""},
		{`{"id":"x","value":1,"more":2}`, "", "", "is not"},
		{`{"id":7,"value":1}`, "", "", "is not"},
		{`{"value":1}{}`, "", "", "is not"},
		{`{`, "", "", "is not"},
		{long, "", "", "at most 1024"},
	} {
		id, value, err := ParseCommand([]byte(c.payload))
		got := ""
		if id != nil {
			got = *id
		}
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) || c.err == "" && (got != c.id || string(value) != c.value) {
			t.Errorf("%.40s: id %q, value %s, %v", c.payload, got, value, err)
		}
	}
}

func FuzzParseCommand(f *testing.F) {
	for _, s := range []string{`0.5`, `auto`, `{"id":"x","value":true}`, "\xff", `{"value":{"a":[1]}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		_, value, err := ParseCommand(payload)
		if err == nil && !json.Valid(value) {
			t.Errorf("%q became %q, which is no JSON", payload, value)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("error of several lines: %q", err)
		}
	})
}
