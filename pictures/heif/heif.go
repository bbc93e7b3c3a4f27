// Package heif reads HEIC and AVIF, by libheif with libde265 and libavif with libaom,
// compiled to WebAssembly by github.com/gen2brain/heic and avif and run by wazero, which
// confines them: a picture gets memory and work for one of its size, whatever its bytes do. What stands in the boxes around (size, turns, colours) is read here.
// Nothing is compiled before the first picture. See docs/adr/0005.
package heif

import (
	"fmt"
	"image"

	"dynvit/exif"
)

// Picture is what a file's boxes say of its primary picture.
type Picture struct {
	Width, Height int              // as Rows counts, pixels
	Turn          exif.Orientation // how it is to be turned
	Bytes         int64            // what Decode takes, at most; beyond it decoding fails

	data    []byte
	header  header
	decoder func(*Picture) error
	running *instance
	rows    func(dst []byte, x, y int)
}

// What decoding takes, in tenths of bytes a pixel: measured on 3 to 48 megapixels of each
// kind (HEIC in tiles 7.3, whole 6, of 10 bits 10, AVIF 20.2, of 10 bits 29), with what
// package heif itself adds. Spare is for a program's own tables and stack.
const (
	heicRate, heicFull, heicAlpha = 73, 95, 20
	avifRate, avifFull, avifAlpha = 225, 235, 150
	spare                         = 8 << 20
)

// OpenHEIC reads the boxes of a HEIC, which is turned as it is decoded.
func OpenHEIC(data []byte) (*Picture, error) {
	h, err := readHeader(data)
	if err != nil {
		return nil, err
	}
	p := &Picture{Width: h.width, Height: h.height, data: data, header: h, decoder: (*Picture).heic}
	if h.clip[0] > 0 && h.clip[1] > 0 {
		p.Width, p.Height = h.clip[0], h.clip[1]
	}
	if h.turn.Sideways() {
		p.Width, p.Height = p.Height, p.Width
	}
	p.reckon(heicRate, heicFull, heicAlpha)
	return p, nil
}

// OpenAVIF reads the boxes of an AVIF.
func OpenAVIF(data []byte) (*Picture, error) {
	h, err := readHeader(data)
	if err != nil {
		return nil, err
	}
	p := &Picture{Width: h.width, Height: h.height, Turn: h.turn, data: data, header: h, decoder: (*Picture).avif}
	p.reckon(avifRate, avifFull, avifAlpha)
	return p, nil
}

// reckon sets Bytes by tenths of bytes a pixel: where chroma is shared, where it is not,
// and what alpha adds. More than 8 bits take half as much again.
func (p *Picture) reckon(rate, full, alpha int64) {
	h := p.header
	if h.samples == 6 {
		rate = full
	}
	if h.alpha {
		rate += alpha
	}
	if h.depth > 8 {
		rate += rate / 2
	}
	p.Bytes = int64(h.width)*int64(h.height)*rate/10 + int64(len(p.data)) + spare
}

// What decoding does, in turns of the programs' loops. Of pictures from flat to noise at all
// qualities it was 7 to 140 a pixel (noise with alpha, AVIF), and 2 million for each
// tile of a HEIC, of which a telephone's have 262,144 pixels: what is left of the factor two and
// more is for tiles of down to 128 × 128 pixels. So a file holds the decoder seven times as long as a
// photo of its size does, at most: 44 a pixel.
const (
	workRate  = 300
	workSpare = 64 << 20
)

// work is what Decode may do.
func (p *Picture) work() int64 {
	return int64(p.header.width)*int64(p.header.height)*workRate + workSpare
}

// Decode runs the decoder. The picture is kept in its memory until Close.
func (p *Picture) Decode() (rows func(dst []byte, x, y int), err error) {
	if err := p.decoder(p); err != nil {
		p.Close()
		return nil, err
	}
	return p.rows, nil
}

// Close gives back what Decode took. Rows must not be used any more.
func (p *Picture) Close() {
	if p.running != nil {
		p.running.close()
		p.running = nil
	}
}

// begin starts a program with the picture's bytes in its memory, and room for some
// numbers.
func (p *Picture) begin(prog *program, numbers int) (i *instance, data, results uint32, err error) {
	if i, err = prog.start(p.Bytes, p.work()); err != nil {
		return nil, 0, 0, err
	}
	p.running = i
	if data, err = i.put(p.data); err != nil {
		return nil, 0, 0, err
	}
	results, err = i.allocate(4 * numbers)
	return i, data, results, err
}

// decode calls the program's function, which says 0 where it failed.
func (i *instance) decode(args ...uint64) error {
	ok, err := i.call("decode", args...)
	if err == nil && ok == 0 {
		err = errDamaged
	}
	return err
}

// expect compares the size that the decoder finds with what the boxes say.
func (p *Picture) expect(w, h int) error {
	if w != p.Width || h != p.Height {
		return fmt.Errorf("its boxes say %d×%d, its bits %d×%d", p.Width, p.Height, w, h)
	}
	return nil
}

// libheif's numbers (heif_image.h).
const (
	heifYCbCr, heifRGB, heifGrey = 0, 1, 2
	heif420, heif422, heif444    = 1, 2, 3
)

// heic calls twice, first for the picture's kind (heic's lib/heif.c).
func (p *Picture) heic() error {
	i, data, results, err := p.begin(libheif, 5)
	if err != nil {
		return err
	}
	r, n := uint64(results), uint64(len(p.data))
	kind := []uint64{r, r + 4, r + 8, r + 12, r + 16}
	if err := i.decode(append(append([]uint64{uint64(data), n, 1}, kind...), 0)...); err != nil {
		return err
	}
	said, err := i.numbers(results, 5)
	if err != nil {
		return err
	}
	if err := p.expect(said[0], said[1]); err != nil {
		return err
	}
	planes, size, err := p.layout(said[2], said[3])
	if err != nil {
		return err
	}
	out, err := i.allocate(size)
	if err != nil {
		return err
	}
	if err := i.decode(append(append([]uint64{uint64(data), n, 0}, kind...), uint64(out))...); err != nil {
		return err
	}
	pix, ok := i.module.Memory().Read(out, uint32(size))
	if !ok {
		return errDamaged
	}
	p.rows = planes(pix)
	return nil
}

// layout is how libheif lays a picture of its kinds out, and how to read it: rows begin
// at multiples of 16 bytes and have 64 samples at least.
func (p *Picture) layout(space, chroma int) (planes func(pix []byte) func([]byte, int, int), size int, err error) {
	const align, least = 16, 64
	aligned := func(n int) int { return (max(n, least) + align - 1) / align * align }
	w, h := p.Width, p.Height
	switch space {
	case heifGrey:
		stride := aligned(w)
		return func(pix []byte) func([]byte, int, int) { return greyRows(pix, stride) }, stride * h, nil
	case heifRGB:
		stride := 4 * aligned(w)
		return func(pix []byte) func([]byte, int, int) { return rgbaRows(pix, stride) }, stride * h, nil
	case heifYCbCr:
		m := image.YCbCr{Rect: image.Rect(0, 0, w, h), YStride: aligned(w)}
		cw, ch := w, h
		switch chroma {
		case heif420:
			m.SubsampleRatio, cw, ch = image.YCbCrSubsampleRatio420, (w+1)/2, (h+1)/2
		case heif422:
			m.SubsampleRatio, cw = image.YCbCrSubsampleRatio422, (w+1)/2
		case heif444:
			m.SubsampleRatio = image.YCbCrSubsampleRatio444
		default:
			return nil, 0, errDamaged
		}
		m.CStride = aligned(cw)
		luma, all := m.YStride*h, m.YStride*h+2*m.CStride*ch
		return func(pix []byte) func([]byte, int, int) {
			m.Y, m.Cb, m.Cr = pix[:luma], pix[luma:luma+m.CStride*ch], pix[luma+m.CStride*ch:]
			convert := p.header.colour.converter()
			if cw == w {
				return convert.rows(&m)
			}
			halved := ch < h
			sy := 1
			if halved {
				sy = 2
			}
			return convert.restored(&m, newRestorer(m.CStride, cw, ch, p.header.tiles(cw, ch, 2, sy), halved))
		}, all, nil
	}
	return nil, 0, errDamaged
}

func greyRows(pix []byte, stride int) func(dst []byte, x, y int) {
	return func(dst []byte, x, y int) {
		for i := 0; i < len(dst)/3; i++ {
			v := pix[y*stride+x+i]
			dst[3*i], dst[3*i+1], dst[3*i+2] = v, v, v
		}
	}
}

func rgbaRows(pix []byte, stride int) func(dst []byte, x, y int) {
	return func(dst []byte, x, y int) {
		for i := 0; i < len(dst)/3; i++ {
			copy(dst[3*i:3*i+3], pix[y*stride+4*(x+i):])
		}
	}
}

// avif calls twice, first for the picture's size (avif's lib/decode.c). What is
// transparent comes multiplied by its alpha.
func (p *Picture) avif() error {
	i, data, results, err := p.begin(libavif, 4+2)
	if err != nil {
		return err
	}
	r, n := uint64(results), uint64(len(p.data))
	const first = 0 // of an animation
	if err := i.decode(uint64(data), n, 1, first, r, r+4, r+8, r+12, 0, 0); err != nil {
		return err
	}
	said, err := i.numbers(results, 4)
	if err != nil {
		return err
	}
	if err := p.expect(said[0], said[1]); err != nil {
		return err
	}
	depth := 1
	if said[2] > 8 {
		depth = 2
	}
	size := 4 * depth * p.Width * p.Height
	out, err := i.allocate(size)
	if err != nil {
		return err
	}
	if err := i.decode(uint64(data), n, 0, first, r, r+4, r+8, r+12, r+16, uint64(out)); err != nil {
		return err
	}
	pix, ok := i.module.Memory().Read(out, uint32(size))
	if !ok || len(pix) != size {
		return errDamaged
	}
	p.rows = dividedRows(pix, depth, 4*depth*p.Width)
	if p.header.samples < 6 && !p.header.grey {
		p.rows = p.spread(p.rows)
	}
	return nil
}

// dividedRows reads R, G, B and alpha of one byte, or of two of which the higher, the
// second, counts, and divides by alpha.
func dividedRows(pix []byte, depth, stride int) func(dst []byte, x, y int) {
	return func(dst []byte, x, y int) {
		src := pix[y*stride+4*depth*x:]
		for ; len(dst) >= 3; src = src[4*depth:] {
			alpha := int(src[4*depth-1])
			for c := range 3 {
				v := int(src[depth*(c+1)-1])
				if alpha > 0 && alpha < 255 {
					v = min(255, (v*255+alpha/2)/alpha)
				}
				dst[c] = byte(v)
			}
			dst = dst[3:]
		}
	}
}
