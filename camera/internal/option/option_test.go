package option

import "testing"

func TestParse(t *testing.T) {
	var rate Rate
	var size Size
	var n uint64
	var word string
	allowed := []Option{FPS(&rate), Pixels(&size), Number("n", "a number", &n), OneOf("word", &word, "a", "b", "c%")}
	given, err := Parse("fps=29.97&&size=640x480&n=9223372036854775807&word=c%25", allowed...)
	if err != nil || rate != (Rate{29.97, true}) || size != (Size{640, 480}) || n != 1<<63-1 || word != "c%" {
		t.Errorf("%v, %v %v %v %q", err, rate, size, n, word)
	}
	if got, want := given.After("#"), "#fps=29.97&size=640x480&n=9223372036854775807&word=c%25"; got != want || Given(nil).After("?") != "" {
		t.Errorf("given are %q, want %q", got, want)
	}
	if rate.Or(5) != 29.97 || (Rate{}).Or(5) != 5 {
		t.Errorf("%v, %v", rate.Or(5), Rate{}.Or(5))
	}
	for options, want := range map[string]string{
		"word=d":          `option word="d": want a, b or c%`,
		"n=-1":            `option n="-1": want a number`,
		"n=1&n=1":         "option n: given twice",
		"N=1":             `option "N" is not known: want fps, size, n, word`,
		"x":               "what is no option (" + behind + "): want fps, size, n, word",
		"1.mp4=2":         "what is no option (" + behind + "): want fps, size, n, word",
		"n=1@cam":         "options with an @: " + behind,
		"fps=0.00001":     `option fps="0.00001": want frames a second, 0 (as fast as they are taken) to 1000`,
		"size=15x16":      `option size="15x16": want WIDTHxHEIGHT in pixels, 16x16 to 8192x8192`,
		"size=8193x16":    `option size="8193x16": want WIDTHxHEIGHT in pixels, 16x16 to 8192x8192`,
		"size=1280x720%x": `option size="1280x720%x": want WIDTHxHEIGHT in pixels, 16x16 to 8192x8192`,
	} {
		if _, err := Parse(options, allowed...); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", options, err, want)
		}
	}
}
