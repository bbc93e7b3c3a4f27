package ffmpeg

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"dynvit/camera"
)

func TestReadPPM(t *testing.T) {
	stream := "P6\n2 1\n255\nabcdef" + "P6 1\n\n 2  255 ghijkl"
	r := bufio.NewReaderSize(strings.NewReader(stream), 16)
	var f camera.Frame
	for _, want := range []string{"rgb24 2x1 abcdef", "rgb24 1x2 ghijkl"} {
		if err := ReadPPM(r, &f); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%v %dx%d %s", f.Format, f.Width, f.Height, f.Data); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if err := ReadPPM(r, &f); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
	for stream, want := range map[string]string{
		"P":                       "unexpected EOF",
		"P5 1 1 255 a":            `begins with "P5"`,
		"P6":                      "unexpected EOF",
		"P6 1 1":                  "unexpected EOF",
		"P61 1 255 abc":           "without spaces",
		"P6 1 1 255abc":           "without end",
		"P6 1 1 255 ab":           "unexpected EOF",
		"P6 0 1 255 ":             "0×1",
		"P6 1 1 65535 ":           "up to 65535",
		"P6 9999 9999 255 ":       "9999×9999",
		"P6 99999999999999 1 255": "too large",
	} {
		err := ReadPPM(bufio.NewReader(strings.NewReader(stream)), &f)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", stream, err, want)
		}
	}
}

func FuzzReadPPM(f *testing.F) {
	f.Add([]byte("P6\n2 1\n255\nabcdefP6 1 1 255 abc"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := bufio.NewReader(bytes.NewReader(stream))
		var frame camera.Frame
		for ReadPPM(r, &frame) == nil {
			if len(frame.Data) != 3*frame.Width*frame.Height || !bytes.Contains(stream, frame.Data) {
				t.Fatalf("%d×%d has %d bytes", frame.Width, frame.Height, len(frame.Data))
			}
		}
	})
}
