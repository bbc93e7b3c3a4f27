package picture

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/png"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"dynvit/camera/cameratest"
)

// noisyPNG is a PNG with a boundary, and what begins a JPEG, inside.
func noisyPNG(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 20, 10))); err != nil {
		t.Fatal(err)
	}
	text := "tEXtcomment\x00\r\n--frame\r\n\xff\xd8\xff"
	head := b.Bytes()[:33] // signature and IHDR
	chunk := binary.BigEndian.AppendUint32(nil, uint32(len(text)-4))
	return join(head, chunk, []byte(text+"1234"), b.Bytes()[33:])
}

// TestCut: a picture ends where its own bytes say, whatever is said about it; where
// they don't, at the length or at the boundary, if one is there.
func TestCut(t *testing.T) {
	a, b := cameratest.Noise(t, 40, 30, 1), cameratest.Noise(t, 16, 16, 2)
	open := a[:len(a)-2] // without an end
	p := noisyPNG(t)
	over := func(r *bufio.Reader) bool {
		next, err := r.Peek(2)
		return err != nil || string(next) == "\r\n"
	}
	const mark = "\r\n--frame\r\n"
	for _, c := range []struct {
		name   string
		stream []byte
		length int
		want   []byte
		err    error
	}{
		{"its end", join(a, b), 0, a, nil},
		{"length is right", join(a, b), len(a), a, nil},
		{"length is too long", join(a, b), len(a) + 5, a, nil},
		{"length is too short", join(a, b), len(a) - 500, a, nil},
		{"length in the header", join(a, b), 30, a, nil},
		{"no end, but a length", join(open, []byte(mark), b), len(open), open, nil},
		{"no end, and a length that is too short", join(open, []byte(mark), b), len(open) - 9, open, nil},
		{"no end, and a length that is too long", join(open, []byte(mark), b), len(open) + 9, open, nil},
		{"no end, a boundary", join(open, []byte(mark), b), 0, open, nil},
		{"no end, a boundary of line feeds", join(open, []byte("\n--frame\n"), b), 0, open, nil},
		{"no end, another picture", join(open, b), 0, open, nil},
		{"the stream's end", open, 0, open, io.ErrUnexpectedEOF},
		{"the stream's end and length", open, len(open), open, nil},
		{"png", join(p, b), 0, p, nil},
		{"png, length too short", join(p, b), 40, p, nil},
		{"png, length too long", join(p, b), len(p) + 9, p, nil},
		{"png, cut", p[:60], 0, p[:60], io.ErrUnexpectedEOF},
	} {
		for _, size := range []int{16, 64, 4096} {
			r := bufio.NewReaderSize(iotest.HalfReader(bytes.NewReader(c.stream)), size)
			got, err := Cut(r, nil, MaxStreamed, Hints{Length: c.length, Over: over, Boundary: []byte("--frame")})
			if err != c.err || !bytes.Equal(got, c.want) {
				t.Errorf("%s: %d bytes, %v; want %d, %v", c.name, len(got), err, len(c.want), c.err)
			}
		}
	}
}

// TestCutBroken: a picture that breaks its format's syntax comes as far as it went.
func TestCutBroken(t *testing.T) {
	for _, broken := range []string{"\xff\xd8\x07", "\xff\xd8\xff\xe1\x00\x01", pngSignature + "\x00\x00\x00\x04ab1d", pngSignature + "\x7f\xff\xff\xffIDAT"} {
		got, err := Cut(bufio.NewReader(strings.NewReader(broken+"and more")), nil, MaxStreamed, Hints{})
		if err != nil || !strings.HasPrefix(broken, string(got)) || len(got) < 3 {
			t.Errorf("%q: %q, %v", broken, got, err)
		}
	}
}

// TestCutIsBounded: no more than the limit is read, whatever a picture promises.
func TestCutIsBounded(t *testing.T) {
	a := cameratest.Noise(t, 40, 30, 1)
	_, err := Cut(bufio.NewReader(bytes.NewReader(a)), nil, len(a)-1, Hints{Length: len(a)})
	if want := fmt.Sprintf("no whole picture in %d MiB", 0); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
