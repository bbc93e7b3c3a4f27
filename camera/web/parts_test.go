package web

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/png"
	"io"
	"slices"
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

func read(r io.Reader, boundary string) *parts {
	return newParts(bufio.NewReaderSize(r, 256), boundary)
}

func TestParts(t *testing.T) {
	a, b := cameratest.Noise(t, 40, 30, 1), cameratest.Noise(t, 16, 16, 2)
	open := a[:len(a)-2] // without an end of image
	png := withBoundary(t, "--frame\r\n"+string(a))
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
		{"length too long", "frame", "--frame\r\nContent-Length: 99000\r\n\r\n" + string(a) + "\r\n--frame\r\n" + long(b, ""), [][]byte{a, b}},
		{"length too short", "frame", "--frame\r\nContent-Length: 100\r\n\r\n" + string(a) + "\r\n--frame\r\n" + long(b, ""), [][]byte{a, b}},
		{"length of 0", "frame", "--frame\r\nContent-Length: 0\r\n\r\n" + string(a) + "\r\n--frame\r\n" + long(b, ""), [][]byte{a, b}},
		{"length that is none", "frame", "--frame\r\nContent-Length: 0x10\r\n\r\n" + string(a) + "\r\n--frame\r\nContent-Length: -5\r\n\r\n" + string(b), [][]byte{a, b}},
		{"no end, a length", "frame", "--frame\r\n" + long(open, "") + "\r\n--frame\r\n" + long(b, ""), [][]byte{open, b}},
		{"no end, no length", "frame", "--frame\r\n" + short(open) + "\r\n--frame\r\n" + short(b), [][]byte{open, b}},
		{"no end, no length, none declared", "", "--other\r\n" + short(open) + "\r\n--other\r\n" + short(b), [][]byte{open, b}},
		{"no end, a length too long", "frame", "--frame\r\nContent-Length: 9999\r\n\r\n" + string(open) + "\r\n--frame\r\n" + short(b), [][]byte{open, b}},
		{"wrong type", "frame", "--frame\r\nContent-Type: text/plain\r\n\r\n" + string(a) + "\r\n--frame\r\nContent-Type: x\r\nContent-Length: 5\r\n\r\n" + string(b), [][]byte{a, b}},
		{"boundary once", "frame", "--frame\r\n" + long(a, "") + "\r\n" + long(b, "") + "\r\n" + short(a), [][]byte{a, b, a}},
		{"boundary never", "frame", long(a, "") + "\r\n" + long(b, ""), [][]byte{a, b}},
		{"pictures alone", "frame", string(a) + string(b) + "\x00\x00" + string(png) + string(b), [][]byte{a, b, png, b}},
		{"another blank line", "frame", "--frame\r\nContent-Type: image/jpeg\r\nContent-Length: " + fmt.Sprint(len(a)+2) + "\r\n\r\n\r\n" + string(a) + "\r\n--frame\r\n" + short(b), [][]byte{a, b}},
		{"two pictures in a part", "frame", "--frame\r\n" + strings.Replace(long(a, ""), fmt.Sprint(len(a)), fmt.Sprint(len(a)+len(b)), 1) + string(b) + "\r\n--frame\r\n" + short(b), [][]byte{a, b}},
		{"nothing", "frame", "", nil},
		{"end only", "frame", "--frame--\r\n--frame\r\n" + long(a, ""), nil},
	} {
		p := read(iotest.HalfReader(strings.NewReader(c.stream)), c.boundary)
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
		{"endless header", "--frame\r\n" + strings.Repeat("X-A: b\r\n", maxHeader/4), "no end of a part's header in 64 KiB"},
		{"endless line", strings.Repeat("x", picture.MaxStreamed+1), "no picture in 16 MiB"},
		{"endless lines", strings.Repeat("x\n", picture.MaxStreamed/2+1), "no picture in 16 MiB"},
		{"too long", "--frame\r\n\r\n" + string(a[:len(a)-2]) + strings.Repeat("x", picture.MaxStreamed), "no whole picture in 16 MiB"},
		{"cut with a length", "--frame\r\nContent-Length: 500\r\n\r\n" + string(a[:200]), "unexpected EOF"},
		{"cut without a length", "--frame\r\n\r\n" + string(a[:200]), "unexpected EOF"},
		{"cut in what is no picture", "--frame\r\nContent-Type: text/plain\r\nContent-Length: 500\r\n\r\nhello", "unexpected EOF"},
	} {
		err := read(strings.NewReader(c.stream), "frame").next(new(camera.Frame))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// A promised length takes no memory before its bytes come.
func TestPartsPromiseTakesNoMemory(t *testing.T) {
	var f camera.Frame
	p := read(strings.NewReader("--frame\r\nContent-Length: 16777216\r\n\r\nabc"), "frame")
	if err := p.next(&f); err != io.ErrUnexpectedEOF || cap(f.Data) > 2<<20 {
		t.Errorf("%v, room for %d bytes", err, cap(f.Data))
	}
}

// withBoundary is a PNG that holds some bytes in a chunk of their own.
func withBoundary(t testing.TB, held string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 20, 10))); err != nil {
		t.Fatal(err)
	}
	const head = 33 // signature and IHDR
	chunk := binary.BigEndian.AppendUint32(nil, uint32(len(held)))
	return slices.Concat(b.Bytes()[:head], chunk, []byte("tEXt"+held+"1234"), b.Bytes()[head:])
}

// FuzzResync: whatever a camera writes between its pictures and says of their
// lengths, each comes out as it went in, in order.
func FuzzResync(f *testing.F) {
	var pictures [][]byte
	for i := range uint64(4) {
		pictures = append(pictures, cameratest.Noise(f, 8+int(i)*9, 16, i+1))
	}
	pictures = append(pictures, withBoundary(f, "\r\n--frame\r\nContent-Type: x\r\n\r\n\xff\xd8\xff"))
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, byte(0))
	f.Add([]byte{90, 17, 203, 44, 129, 250, 61}, byte(7))
	f.Fuzz(func(t *testing.T, choices []byte, how byte) {
		var stream bytes.Buffer
		var want [][]byte
		for i, c := range choices[:min(len(choices), 20)] {
			p := pictures[int(c)%len(pictures)]
			if c%7 == 3 && p[0] == 0xff {
				p = p[:len(p)-2] // without its end of image
			}
			writePart(&stream, p, i, c, how)
			want = append(want, p)
		}
		stream.WriteString("\r\n" + []string{"--frame", "frame"}[how>>2&1] + "--\r\n")
		parts := newParts(bufio.NewReaderSize(iotest.HalfReader(&stream), 256), "frame")
		var got camera.Frame
		for i, w := range want {
			if err := parts.next(&got); err != nil || !bytes.Equal(got.Data, w) {
				t.Fatalf("picture %d of %d, choice %d: %v, %d bytes, want %d", i, len(want), choices[i], err, len(got.Data), len(w))
			}
		}
		if err := parts.next(&got); err != io.EOF {
			t.Fatalf("at the end: %v of %d bytes", err, len(got.Data))
		}
	})
}

// writePart writes a picture with one of the oddities of cameras. One that has no end
// needs a boundary behind it.
func writePart(w *bytes.Buffer, p []byte, i int, choice, how byte) {
	line := []string{"\r\n", "\n"}[how&1]
	if how&2 == 0 || i == 0 || w.Len() > 0 && !bytes.HasSuffix(w.Bytes(), []byte{0xff, 0xd9}) {
		w.WriteString(line + []string{"--frame", "frame"}[how>>2&1] + line)
	} else {
		w.WriteString(line)
	}
	w.WriteString("Content-Type: " + []string{"image/jpeg", "image/jpeg", "text/plain", "application/octet-stream"}[choice>>3&3] + line)
	length := []int{len(p), 0, len(p) / 2, len(p) + int(choice), -1, 1 << 40}[int(choice>>5)%6]
	if how&8 == 0 || length == len(p) {
		fmt.Fprintf(w, "Content-Length: %d%s", length, line)
	}
	w.WriteString(line)
	w.Write(p)
}

func FuzzParts(f *testing.F) {
	f.Add("frame", "--frame\r\nContent-Length: 4\r\n\r\nabcd\r\n--frame--")
	f.Add("", "--\r\n\r\n"+string(cameratest.Noise(f, 8, 8, 1)))
	f.Add("--b", "b\nContent-Type: text/html\n\n\n--b\n\n")
	f.Fuzz(func(t *testing.T, boundary, stream string) {
		p := read(strings.NewReader(stream), boundary)
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
