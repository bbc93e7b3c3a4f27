package exif

import (
	"encoding/binary"
	"strings"
	"testing"
)

// What Pillow makes of pictures with Exif is tested in package preprocess.

func TestSegment(t *testing.T) {
	for o := range Orientation(12) {
		s := Segment(o)
		if o.Upright() != (s == nil) || o.Upright() != (o < 2 || o > 8) {
			t.Fatalf("%d: %x", o, s)
		}
		if s == nil {
			continue
		}
		var r Reader
		r.APP1(s[4:])
		if got := r.Orientation(); got != o || int(binary.BigEndian.Uint16(s[2:])) != len(s)-2 {
			t.Errorf("%d comes back as %d, %x", o, got, s)
		}
	}
}

// FuzzReader: no bytes make it panic, or name what does not exist.
func FuzzReader(f *testing.F) {
	f.Add(Segment(6)[4:])
	f.Add([]byte(xmpName + `tiff:Orientation="8"`))
	f.Add([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x08eXIfII*\x00\xff\xff\xff\xff1234"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var r Reader
		r.APP1(data)
		r.APP1(data)
		for _, o := range []Orientation{r.Orientation(), OfPNG(data)} {
			if o > 9 || !o.Upright() && !strings.Contains("23456789", string('0'+byte(o))) {
				t.Errorf("orientation %d", o)
			}
		}
	})
}
