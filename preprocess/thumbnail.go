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
	return float64(differing(t, o, noticed)) / float64(len(t))
}

// differingCells is differing in Go.
func differingCells(a, b *Thumbnail, least int) (n int) {
	for i, v := range a {
		d := int(v) - int(b[i])
		if d >= least || d <= -least {
			n++
		}
	}
	return n
}

// Thumbnailer makes thumbnails. The zero value is ready. One goroutine uses it at
// a time; it allocates where a frame is larger than all before.
type Thumbnailer struct {
	jpeg   baseline.Decoder
	sums   []uint16 // scratch: a row
	eighth []uint8  // scratch of ofRows: a picture in small
	across []int    // scratch of ofRows: a row of it, added up
}

// errNoThumbnail is a frame that would have to be decoded to see anything of it.
var errNoThumbnail = errors.New("no thumbnail of this format")

// Make looks at region r of a frame. Of a baseline JPEG it decodes the mean of
// each block alone, and leaves it as it is stored; other files and JPEGs are an error.
func (t *Thumbnailer) Make(dst *Thumbnail, f *camera.Frame, r Region) error {
	if f.Format == camera.JPEG {
		return t.ofJPEG(dst, f.Data, r)
	}
	if f.Format.Bytes(1, 1) == 0 || f.Width < 1 || f.Height < 1 || len(f.Data) < f.Format.Bytes(f.Width, f.Height) {
		return errNoThumbnail
	}
	w := f.Width
	switch f.Format {
	case camera.GREY, camera.NV12, camera.I420:
		t.fill(dst, luma{f.Data, w, f.Height, w, 1, 3}, r)
	case camera.YUYV:
		t.fill(dst, luma{f.Data, w, f.Height, 4 * ((w + 1) / 2), 2, 3}, r)
	case camera.RGB24: // green is most of the brightness
		t.fill(dst, luma{f.Data[1:], w, f.Height, 3 * w, 3, 3}, r)
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
	t.fill(dst, luma{p.Pix, p.Width, p.Height, p.Stride, 1, 1}, r.stored(h.turn))
	return nil
}

// ofRows makes a thumbnail of a whole picture's rows, by the means of 8×8 samples, as of a
// JPEG. row gives one's samples, every so many bytes.
func (t *Thumbnailer) ofRows(dst *Thumbnail, width, height int, row func(y int) (samples []byte, step int), r Region) {
	w, h := (width+7)/8, (height+7)/8
	t.eighth, t.across = grow(t.eighth, w*h), grow(t.across, w)
	for j := range h {
		clear(t.across)
		rows := min(8, height-8*j)
		for y := range rows {
			samples, step := row(8*j + y)
			for x := range width {
				t.across[x/8] += int(samples[x*step])
			}
		}
		for i, sum := range t.across {
			t.eighth[j*w+i] = uint8(sum / (rows * min(8, width-8*i)))
		}
	}
	t.fill(dst, luma{t.eighth, w, h, w, 1, 1}, r)
}

// luma is brightness in a frame's bytes.
type luma struct {
	pix           []byte
	width, height int
	stride, step  int // bytes from row to row, from pixel to pixel
	most          int // samples of a cell each way; the others are left out
}

// fill makes each cell the mean of its samples.
func (t *Thumbnailer) fill(dst *Thumbnail, l luma, r Region) {
	b := r.pixels(l.width, l.height)
	var across [thumbWidth]steps
	for i := range across {
		across[i] = cell(b.x0, b.width(), i, thumbWidth, l.most)
	}
	from, n := b.x0*l.step, (b.width()-1)*l.step+1 // bytes of a row
	t.sums = grow(t.sums, n)
	for j := range thumbHeight {
		down := cell(b.y0, b.height(), j, thumbHeight, l.most)
		summed := sumRows(t.sums, l.pix[down.first*l.stride+from:], down.step*l.stride, down.count())
		for i, s := range across {
			var sum int
			if summed {
				sum = sumOf(t.sums, s, l.step, from)
			} else {
				sum = l.sum(s, down)
			}
			dst[j*thumbWidth+i] = uint8(sum / (s.count() * down.count()))
		}
	}
}

// sumOf adds up the columns' sums, which begin with byte from of the rows.
func sumOf(sums []uint16, columns steps, step, from int) (sum int) {
	sums = sums[:(columns.end-1)*step+1-from]
	for at := columns.first*step - from; at < len(sums); at += columns.step * step {
		sum += int(sums[at])
	}
	return sum
}

// sum is that of the samples where columns and rows cross.
func (l luma) sum(across, down steps) (sum int) {
	for y := down.first; y < down.end; y += down.step {
		row := l.pix[y*l.stride:][:(across.end-1)*l.step+1]
		for at := across.first * l.step; at < len(row); at += across.step * l.step {
			sum += int(row[at])
		}
	}
	return sum
}

// steps are some pixels of an axis: every so many of those from first to before end.
type steps struct{ first, end, step int }

func (s steps) count() int { return (s.end - s.first + s.step - 1) / s.step }

// cell is the pixels that are looked at of cell i of so many: all of them where most is 1.
func cell(from, size, i, of, most int) steps {
	first := from + i*size/of
	end := max(first+1, from+(i+1)*size/of)
	if most == 1 {
		return steps{first, end, 1}
	}
	step := max(1, (end-first)/most)
	return steps{first + step/2, end, step}
}

// watch is a thumbnail that falls off as a frame is decoded.
type watch struct {
	dst    *Thumbnail // nil: nobody watches
	seen   bool
	thumbs Thumbnailer
	row    []byte // scratch: RGB
}

// DecodeWatched is Decode that makes the frame's thumbnail on its way: of a JPEG the one
// that a Thumbnailer makes, without reading the codes twice; of other files and progressive JPEG,
// of which a Thumbnailer makes none, one of what is decoded anyway. seen is false where there is none,
// as of a picture that is damaged outside of the region.
func (p *Preprocessor) DecodeWatched(dst *Thumbnail, f *camera.Frame, r Region) (seen bool, err error) {
	p.watch.dst, p.watch.seen, p.jpeg.Watch = dst, false, true
	defer func() { p.watch.dst, p.jpeg.Watch = nil, false }()
	if err := p.Decode(f, r); err != nil {
		return false, err
	}
	return p.watch.seen || p.watch.thumbs.Make(dst, f, r) == nil, nil
}

// jpegMeans takes what fell off, of a region as it is stored.
func (p *Preprocessor) jpegMeans(r Region) {
	if p.watch.dst == nil {
		return
	}
	if m, ok := p.jpeg.Watched(); ok {
		p.watch.thumbs.fill(p.watch.dst, luma{m.Pix, m.Width, m.Height, m.Stride, 1, 1}, r)
		p.watch.seen = true
	}
}

// jpegPlane makes the thumbnail of a component that was decoded whole.
func (p *Preprocessor) jpegPlane(c plane, r Region) {
	if p.watch.dst == nil {
		return
	}
	p.watch.thumbs.ofRows(p.watch.dst, c.width, c.height, func(y int) ([]byte, int) { return c.pix[y*c.stride:], 1 }, r)
	p.watch.seen = true
}

// savedRows makes the thumbnail of a picture of w×h: green is most of the brightness.
func (p *Preprocessor) savedRows(w, h int, write func(dst []byte, x, y int), r Region) {
	if p.watch.dst == nil {
		return
	}
	p.watch.row = grow(p.watch.row, 3*w)
	row := func(y int) ([]byte, int) {
		write(p.watch.row, 0, y)
		return p.watch.row[1:], 3
	}
	p.watch.thumbs.ofRows(p.watch.dst, w, h, row, r)
	p.watch.seen = true
}
