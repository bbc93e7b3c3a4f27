package picture

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"dynvit/camera/cameratest"
)

// withThumbnail puts a whole JPEG into an APP1 segment of another, as Exif does.
func withThumbnail(picture, thumbnail []byte) []byte {
	n := len(thumbnail) + 2
	out := []byte{0xff, SOI, 0xff, 0xe1, byte(n >> 8), byte(n)}
	return append(append(out, thumbnail...), picture[2:]...)
}

// progressive makes several scans with tables between them, and restart markers
// and stuffed bytes inside.
var progressive = []byte{
	0xff, SOI, 0xff, 0xc2, 0, 4, 1, 2,
	0xff, markerSOS, 0, 3, 0, 1, 2, 0xff, 0, 3, 0xff, markerRST0, 4, 0xff, 0xff, markerRST7, 5,
	0xff, 0xc4, 0, 3, 9,
	0xff, 0xff, markerSOS, 0, 2, 6, 7, 8, 0xff, 0, 0xff, EOI,
}

func TestReadJPEG(t *testing.T) {
	a, b := cameratest.Noise(t, 40, 30, 1), cameratest.Noise(t, 16, 16, 2)
	exif := withThumbnail(a, b)
	junk := []byte("\xff\x00noise\xff\xff")
	for _, c := range []struct {
		name   string
		stream []byte
		want   [][]byte
		end    error
	}{
		{"empty", nil, nil, io.EOF},
		{"junk", junk, nil, io.EOF},
		{"two", join(a, b), [][]byte{a, b}, io.EOF},
		{"junk between", join(junk, a, junk, b, junk), [][]byte{a, b}, io.EOF},
		{"thumbnail", join(exif, b), [][]byte{exif, b}, io.EOF},
		{"progressive", join(progressive, a), [][]byte{progressive, a}, io.EOF},
		{"fill before the start", join([]byte{0xff}, a), [][]byte{a}, io.EOF},
		{"without an end", join(a[:len(a)-2], b), [][]byte{a[:len(a)-2], b}, io.EOF},
		{"broken off in its scan", join(a[:len(a)-9], b), [][]byte{a[:len(a)-9], b}, io.EOF},
		{"broken between segments", join([]byte{0xff, SOI, 7}, b), [][]byte{b}, io.EOF},
		{"segment of no length", join([]byte{0xff, SOI, 0xff, 0xe1, 0, 1}, b), [][]byte{b}, io.EOF},
		{"cut at the end", join(b, a[:len(a)-1]), [][]byte{b}, io.ErrUnexpectedEOF},
		{"cut in a segment", join(b, a[:9]), [][]byte{b}, io.ErrUnexpectedEOF},
	} {
		for _, size := range []int{16, 4096} {
			r := bufio.NewReaderSize(iotest.OneByteReader(bytes.NewReader(c.stream)), size)
			checkPictures(t, c.name, r, c.want, c.end)
		}
	}
}

func join(pieces ...[]byte) []byte { return bytes.Join(pieces, nil) }

func checkPictures(t *testing.T, name string, r *bufio.Reader, want [][]byte, end error) {
	t.Helper()
	var data []byte
	for i, picture := range want {
		var err error
		if data, err = ReadJPEG(r, data, MaxStreamed); err != nil || !bytes.Equal(data, picture) {
			t.Errorf("%s: picture %d: got %d bytes, %v, want %d", name, i, len(data), err, len(picture))
			return
		}
	}
	if _, err := ReadJPEG(r, data, MaxStreamed); err != end {
		t.Errorf("%s: at the end: %v, want %v", name, err, end)
	}
}

func TestReadJPEGIsBounded(t *testing.T) {
	a := cameratest.Noise(t, 40, 30, 1)
	for _, c := range []struct {
		name   string
		stream []byte
	}{
		{"picture", a},
		{"junk", bytes.Repeat([]byte{1}, len(a))},
		{"scan without end", join(progressive[:16], bytes.Repeat([]byte{1}, len(a)))},
		{"pictures that break off", bytes.Repeat([]byte{0xff, SOI, 1}, len(a))},
	} {
		_, err := ReadJPEG(bufio.NewReader(bytes.NewReader(c.stream)), nil, len(a)-3)
		if err == nil || !strings.Contains(err.Error(), "no whole picture") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestReadJPEGDoesNotAllocate(t *testing.T) {
	a := cameratest.Noise(t, 64, 64, 3)
	source := bytes.NewReader(a)
	r := bufio.NewReader(source)
	data := make([]byte, 0, len(a))
	got := testing.AllocsPerRun(20, func() {
		source.Reset(a)
		r.Reset(source)
		data, _ = ReadJPEG(r, data, MaxStreamed)
	})
	if got != 0 || len(data) != len(a) {
		t.Errorf("%v allocations, %d bytes", got, len(data))
	}
}

func FuzzReadJPEG(f *testing.F) {
	a := cameratest.Noise(f, 8, 8, 1)
	f.Add(join(a, progressive))
	f.Add(join(a[:50], a))
	f.Add([]byte{0xff, SOI, 0xff, 0xda, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, stream []byte) {
		const limit = 4096
		r := bufio.NewReaderSize(bytes.NewReader(stream), 16)
		left := len(stream)
		for {
			data, err := ReadJPEG(r, nil, limit)
			if err != nil {
				break
			}
			if len(data) < 4 || len(data) > limit+2 || !bytes.HasPrefix(data, []byte{0xff, SOI}) {
				t.Fatalf("picture of %d bytes: %x", len(data), data)
			}
			followed := bytes.Contains(stream, join(data, []byte{0xff, SOI}))
			if !followed && !bytes.HasSuffix(data, []byte{0xff, EOI}) {
				t.Fatalf("%x has no end, and no picture follows", data)
			}
			if !bytes.Contains(stream, data) {
				t.Fatalf("%x is not in the stream", data)
			}
			if left -= len(data); left < 0 {
				t.Fatal("more came out than went in")
			}
		}
	})
}
