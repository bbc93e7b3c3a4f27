package preprocess

import (
	"errors"

	"dynvit/camera"
	"dynvit/preprocess/baseline"
)

// Size of a thumbnail in cells.
const (
	thumbWidth  = 64
	thumbHeight = 36
)

// Thumbnail is a frame's brightness in small, of a fixed size whatever the
// frame's: enough to tell whether anything moved.
type Thumbnail [thumbHeight * thumbWidth]uint8

// noticed is by how many levels of 255 a cell must change to count. A cell is the
// mean of nine samples, so a sensor's noise of 5 levels moves it by 2; a thing
// that comes into the cell, by tens.
const noticed = 10

// Differs is the share of cells, 0 to 1, that changed since another thumbnail.
func (t *Thumbnail) Differs(o *Thumbnail) float64 {
	n := 0
	for i, v := range t {
		d := int(v) - int(o[i])
		if d >= noticed || d <= -noticed {
			n++
		}
	}
	return float64(n) / float64(len(t))
}

// Thumbnailer makes thumbnails. The zero value is ready. One goroutine uses it at
// a time; it allocates where a JPEG is larger than all before.
type Thumbnailer struct{ jpeg baseline.Decoder }

// errNoThumbnail is a frame that would have to be decoded to see anything of it.
var errNoThumbnail = errors.New("no thumbnail of this format")

// Make looks at region r of a frame. Of a baseline JPEG it decodes the mean of
// each block alone, and leaves it as it is stored; PNG and other JPEGs are an error.
func (t *Thumbnailer) Make(dst *Thumbnail, f *camera.Frame, r Region) error {
	if f.Format == camera.JPEG {
		return t.ofJPEG(dst, f.Data, r)
	}
	if f.Format == camera.PNG || f.Width < 1 || f.Height < 1 || len(f.Data) < f.Format.Bytes(f.Width, f.Height) {
		return errNoThumbnail
	}
	w := f.Width
	switch f.Format {
	case camera.GREY, camera.NV12, camera.I420:
		dst.fill(luma{f.Data, w, f.Height, w, 1, 3}, r)
	case camera.YUYV:
		dst.fill(luma{f.Data, w, f.Height, 4 * ((w + 1) / 2), 2, 3}, r)
	case camera.RGB24: // green is most of the brightness
		dst.fill(luma{f.Data[1:], w, f.Height, 3 * w, 3, 3}, r)
	default:
		return errNoThumbnail
	}
	return nil
}

func (t *Thumbnailer) ofJPEG(dst *Thumbnail, data []byte, r Region) error {
	h, err := readJPEGHeader(data)
	if err != nil {
		return err
	}
	if err := checkSize(h.width, h.height); err != nil {
		return err
	}
	p, err := t.jpeg.Means(data)
	if err != nil {
		return err
	}
	dst.fill(luma{p.Pix, p.Width, p.Height, p.Stride, 1, 1}, r.stored(h.turn))
	return nil
}

// luma is brightness in a frame's bytes.
type luma struct {
	pix           []byte
	width, height int
	stride, step  int // bytes from row to row, from pixel to pixel
	most          int // samples of a cell each way; the others are left out
}

// fill makes each cell the mean of its samples.
func (t *Thumbnail) fill(l luma, r Region) {
	b := r.pixels(l.width, l.height)
	for j := range thumbHeight {
		y0, y1, dy := cell(b.y0, b.height(), j, thumbHeight, l.most)
		for i := range thumbWidth {
			x0, x1, dx := cell(b.x0, b.width(), i, thumbWidth, l.most)
			sum, n := 0, 0
			for y := y0; y < y1; y += dy {
				row := l.pix[y*l.stride:]
				for x := x0; x < x1; x += dx {
					sum += int(row[x*l.step])
					n++
				}
			}
			t[j*thumbWidth+i] = uint8(sum / n)
		}
	}
}

// cell is the range of pixels of cell i of so many, and the distance between those
// that are looked at: all of them where most is 1.
func cell(from, size, i, of, most int) (first, end, step int) {
	first = from + i*size/of
	end = max(first+1, from+(i+1)*size/of)
	if most == 1 {
		return first, end, 1
	}
	step = max(1, (end-first)/most)
	return first + step/2, end, step
}
