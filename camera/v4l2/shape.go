package v4l2

import (
	"bytes"
	"fmt"
	"slices"

	"dynvit/camera"
	"dynvit/camera/internal/picture"
)

// shape is how a driver lays a frame out in its buffer.
type shape struct {
	format        camera.Format
	width, height int
	planes        [3]rows // of a raw format, one after another
	need          int     // bytes that a whole frame has at least; the padding behind the last row may be left out
	packed        int     // bytes of a frame without padding
}

// rows are a plane: so many rows of so many bytes, each stride bytes behind the
// last.
type rows struct{ count, bytes, stride int }

// newShape works out the layout from what S_FMT answered. A bytesperline of 0 is
// a driver that says nothing: rows are packed.
func newShape(format camera.Format, width, height, bytesperline uint32) (shape, error) {
	if width < 1 || height < 1 || max(width, height) > camera.MaxSide {
		return shape{}, fmt.Errorf("gave frames of %dx%d", width, height)
	}
	s := shape{format: format, width: int(width), height: int(height)}
	if format == camera.JPEG {
		s.width, s.height, s.need = 0, 0, minJPEG // the data say their size themselves
		return s, nil
	}
	if sharesChroma(format) && (width|height)%2 != 0 {
		return shape{}, fmt.Errorf("gave frames of %dx%d, of which %v has half a colour sample", width, height, format)
	}
	w, h, stride := s.width, s.height, int(bytesperline)
	first := w * bytesPerPixel(format)
	if stride == 0 {
		stride = first
	}
	if stride < first || stride > 16*first+4096 {
		return shape{}, fmt.Errorf("gave rows of %d bytes for %d pixels of %v", stride, w, format)
	}
	s.planes[0] = rows{h, first, stride}
	switch format {
	case camera.NV12:
		s.planes[1] = rows{h / 2, w, stride}
	case camera.I420: // bytesperline is the largest plane's
		s.planes[1] = rows{h / 2, w / 2, stride / 2}
		s.planes[2] = s.planes[1]
	}
	s.measure()
	return s, nil
}

// sharesChroma reports whether pixels have a colour sample together.
func sharesChroma(format camera.Format) bool {
	return format == camera.YUYV || format == camera.NV12 || format == camera.I420
}

// bytesPerPixel is that of the first plane.
func bytesPerPixel(format camera.Format) int {
	switch format {
	case camera.YUYV:
		return 2
	case camera.RGB24:
		return 3
	}
	return 1
}

func (s *shape) measure() {
	at := 0
	for _, p := range s.planes {
		if p.count > 0 {
			s.need = at + (p.count-1)*p.stride + p.bytes
			at += p.count * p.stride
			s.packed += p.count * p.bytes
		}
	}
}

// minJPEG is fewer bytes than any JPEG has.
const minJPEG = 64

// whole reports whether data hold a frame from its begin to its end.
func (s *shape) whole(data []byte) bool {
	if len(data) < s.need {
		return false
	}
	if s.format != camera.JPEG {
		return true
	}
	// The end is looked for from behind: some cameras fill up to a full packet.
	return data[0] == 0xff && data[1] == picture.SOI && bytes.LastIndex(data, endOfJPEG) > 0
}

var endOfJPEG = []byte{0xff, picture.EOI}

// copyTo fills f with a whole frame, rows packed.
func (s *shape) copyTo(f *camera.Frame, data []byte) {
	f.Format, f.Width, f.Height, f.Name = s.format, s.width, s.height, ""
	if s.format == camera.JPEG {
		f.Data = append(f.Data[:0], data...)
		return
	}
	if s.need == s.packed {
		f.Data = append(f.Data[:0], data[:s.packed]...)
		return
	}
	f.Data = slices.Grow(f.Data[:0], s.packed)
	for _, p := range s.planes {
		for range p.count {
			f.Data = append(f.Data, data[:p.bytes]...)
			data = data[min(p.stride, len(data)):]
		}
	}
}
