package web

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"dynvit/camera"
	"dynvit/camera/cameratest"
	"dynvit/camera/internal/picture"
)

func TestBoundaryOf(t *testing.T) {
	for contentType, want := range map[string]string{
		"multipart/x-mixed-replace; boundary=frame":      "frame",
		`multipart/x-mixed-replace;boundary="a b"`:       "a b",
		"multipart/x-mixed-replace; boundary=--my":       "--my",
		"multipart/x-mixed-replace; boundary=foo:bar; x": "foo:bar",
		"multipart/x-mixed-replace;;boundary=x@y":        "x@y",
		"multipart/x-mixed-replace":                      "",
	} {
		if got := boundaryOf(contentType); got != want {
			t.Errorf("%s: %q, want %q", contentType, got, want)
		}
		if got := mediaType(contentType); got != "multipart/x-mixed-replace" {
			t.Errorf("%s: media type %q", contentType, got)
		}
	}
}

func TestParts(t *testing.T) {
	a, b := cameratest.Noise(t, 40, 30, 1), cameratest.Noise(t, 16, 16, 2)
	png := append([]byte("\x89PNG\r\n\x1a\n--frame\r\n"), a...) // with a boundary inside
	long := func(p []byte, more string) string {
		return fmt.Sprintf("Content-Type: image/jpeg\r\nContent-Length: %d\r\n%s\r\n%s", len(p), more, p)
	}
	short := func(p []byte) string { return "Content-type:image/jpeg\r\n\r\n" + string(p) }
	for _, c := range []struct {
		name, boundary, stream string
		want                   [][]byte
	}{
		{"with lengths", "frame", "--frame\r\n" + long(a, "") + "\r\n--frame\r\n" + long(b, "X-Timestamp: 1\r\n") + "\r\n--frame--\r\n", [][]byte{a, b}},
		{"without lengths", "frame", "--frame\r\n" + short(a) + "\r\n--frame\r\n" + short(b) + "\r\n--frame--", [][]byte{a, b}},
		{"bare line feeds", "frame", "--frame\nContent-Length: " + fmt.Sprint(len(a)) + "\n\n" + string(a) + "--frame\n\n" + string(b), [][]byte{a, b}},
		{"dashes declared", "--frame", "--frame\r\n" + long(a, "") + "\r\n--frame\r\n" + short(b), [][]byte{a, b}},
		{"dashes left out", "frame", "frame\r\n" + long(a, "") + "\r\nframe\r\n" + short(b), [][]byte{a, b}},
		{"other than declared", "frame", "--else\r\n" + long(a, "") + "\r\n--else\r\n" + short(b), [][]byte{a, b}},
		{"none declared", "", "\r\n\r\n--x\r\n" + long(a, "") + "\r\n--x\r\n" + short(b), [][]byte{a, b}},
		{"preamble", "frame", "hello\r\n\r\n--frame\r\n" + long(a, ""), [][]byte{a}},
		{"padding", "frame", "--frame\r\n" + short(a) + "\x00\x00\x00\r\n\r\n--frame\r\n" + short(b), [][]byte{a, b}},
		{"other parts", "frame", "--frame\r\nContent-Type: text/plain\r\n\r\nhi\r\n--frame\r\nContent-Length: 0\r\n\r\n\r\n--frame\r\n" + long(a, ""), [][]byte{a}},
		{"other part with a length", "frame", "--frame\r\nContent-Type: text/plain\r\nContent-Length: 8\r\n\r\n--frame\n\r\n--frame\r\n" + long(a, ""), [][]byte{a}},
		{"png", "frame", "--frame\r\n" + strings.Replace(long(png, ""), "jpeg", "png", 1) + "\r\n--frame\r\n" + long(b, ""), [][]byte{png, b}},
		{"nothing", "frame", "", nil},
		{"end only", "frame", "--frame--\r\n--frame\r\n" + long(a, ""), nil},
	} {
		p := newParts(iotest.HalfReader(strings.NewReader(c.stream)), c.boundary)
		var f camera.Frame
		for i, want := range c.want {
			if err := p.next(&f); err != nil || !bytes.Equal(f.Data, want) || f.Format != picture.Format(want) {
				t.Errorf("%s: part %d: %v, %v of %d bytes, want %d", c.name, i, err, f.Format, len(f.Data), len(want))
				break
			}
		}
		if err := p.next(&f); err != io.EOF {
			t.Errorf("%s: at the end: %v, want io.EOF", c.name, err)
		}
	}
}

func TestPartsRefuses(t *testing.T) {
	a := cameratest.Noise(t, 40, 30, 1)
	for _, c := range []struct{ name, stream, want string }{
		{"endless header", "--frame\r\n" + strings.Repeat("X-A: b\r\n", maxHeader/8), "no part of a multipart stream in 64 KiB"},
		{"endless line", strings.Repeat("x", 2*maxHeader), "no part of a multipart stream"},
		{"too long", "--frame\r\nContent-Length: 99999999\r\n\r\n", `content length of a part is "99999999"`},
		{"negative", "--frame\r\nContent-Length: -5\r\n\r\n", `"-5"`},
		{"no number", "--frame\r\nContent-Length: 0x10\r\n\r\n", `"0x10"`},
		{"cut with a length", "--frame\r\nContent-Length: 500\r\n\r\n" + string(a[:200]), "unexpected EOF"},
		{"cut without a length", "--frame\r\n\r\n" + string(a[:200]), "unexpected EOF"},
	} {
		err := newParts(strings.NewReader(c.stream), "frame").next(new(camera.Frame))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// A promised length takes no memory before its bytes come.
func TestPartsPromiseTakesNoMemory(t *testing.T) {
	var f camera.Frame
	p := newParts(strings.NewReader("--frame\r\nContent-Length: 16777216\r\n\r\nabc"), "frame")
	if err := p.next(&f); err != io.ErrUnexpectedEOF || cap(f.Data) > 2<<20 {
		t.Errorf("%v, room for %d bytes", err, cap(f.Data))
	}
}

func FuzzParts(f *testing.F) {
	f.Add("frame", "--frame\r\nContent-Length: 4\r\n\r\nabcd\r\n--frame--")
	f.Add("", "--\r\n\r\n"+string(cameratest.Noise(f, 8, 8, 1)))
	f.Add("--b", "b\nContent-Type: text/html\n\n\n--b\n\n")
	f.Fuzz(func(t *testing.T, boundary, stream string) {
		p := newParts(strings.NewReader(stream), boundary)
		var frame camera.Frame
		for total := 0; ; {
			if err := p.next(&frame); err != nil {
				return
			}
			if total += len(frame.Data); len(frame.Data) == 0 || total > len(stream) || !strings.Contains(stream, string(frame.Data)) {
				t.Fatalf("part of %d bytes is not in the stream", len(frame.Data))
			}
		}
	})
}
