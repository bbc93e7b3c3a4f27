package command

import (
	"slices"
	"testing"
)

func TestParse(t *testing.T) {
	for text, want := range map[string][]string{
		"grab": {"grab"},
		`grab  -u "http://a:b@c/?x#y" 'a "b"' c\ d ""`: {"grab", "-u", "http://a:b@c/?x#y", `a "b"`, "c d", ""},
		`a "b\"c\\d\e" 'f\'g`:                          {"a", `b"c\d\e`, `f\g`},
	} {
		got, err := parse("exec", text, "")
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if words := got.(*target).words; !slices.Equal(words, want) {
			t.Errorf("%s: got %q, want %q", text, words, want)
		}
	}
}
