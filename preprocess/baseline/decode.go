package baseline

import (
	"bytes"
	"encoding/binary"
)

const (
	// mostBlocks are in an MCU (T.81, B.2.3).
	mostBlocks = 10
	// padding lets an MCU be decoded past the end of the data: 64 codes and
	// numbers of 31 bits a block at most.
	padding = mostBlocks*64*4 + 8
)

// Decoder holds the tables and buffers of pictures of one kind; it allocates
// where one is larger than all before. The zero value is ready. One goroutine
// uses it at a time.
type Decoder struct {
	// Watch has Decode find the picture's means too (Watched): it then looks at all of
	// it, also below the window.
	Watch bool

	width, height int
	hMax, vMax    int
	components    []component // of buffer
	buffer        [4]component
	restart       int // MCUs between restart markers; 0: none
	quant         [4][64]int32
	quantSet      [4]bool
	dcTables      [4]huffman
	acTables      [4]huffman

	data  []byte // of the scan, without stuffing and markers, padded
	ends  []int  // in data, where each marker stood
	marks []byte // and what it was; markNone: the end of the data
	bits  bits
	tail  [2 * padding]byte // scratch of last
	restarts
	coef [64]int32
	out  []Plane

	small small
}

// Plane is one component at its own resolution.
type Plane struct {
	Pix    []byte // valid where the window is, and a sample around it
	Stride int
	SX, SY int // pixels of the picture that a sample covers
}

// Window is the part of the scaled picture that is wanted; X1 and Y1 lie outside.
type Window struct{ X0, Y0, X1, Y1 int }

// Decode decodes a window of the picture at 1/scale of its size, rounded up;
// scale is 1, 2, 4 or 8. Components that are smaller than the picture both ways
// shrink less, as in libjpeg. The planes are valid until the next call. What lies
// below the window is looked at only where the picture doesn't end as it should.
func (d *Decoder) Decode(data []byte, scale int, w Window) ([]Plane, error) {
	at, err := d.header(data)
	if err != nil {
		return nil, err
	}
	if err := d.unstuff(data[at:]); err != nil {
		return nil, err
	}
	side := 8 / scale
	mcuW, mcuH := side*d.hMax, side*d.vMax
	across, down := d.size()
	for i := range d.components {
		c := &d.components[i]
		c.side = side
		for c.side < 8 && c.side*c.h*2 <= side*d.hMax && c.side*c.v*2 <= side*d.vMax {
			c.side *= 2 // rather than shrink what is to be stretched again
		}
		c.stride = across * c.h * c.side
		if n := c.stride * down * c.v * c.side; cap(c.pix) < n {
			c.pix = make([]byte, n)
		} else {
			c.pix = c.pix[:n]
		}
	}
	if d.Watch {
		d.small.begin(d)
	}
	// A chroma sample more on each side, for who interpolates.
	from, to := Window{max(0, w.X0-d.hMax) / mcuW, max(0, w.Y0-d.vMax) / mcuH, 0, 0},
		Window{0, 0, min(across, (w.X1+d.hMax+mcuW-1)/mcuW), min(down, (w.Y1+d.vMax+mcuH-1)/mcuH)}
	if err := d.mcus(Window{from.X0, from.Y0, to.X1, to.Y1}); err != nil {
		return nil, err
	}
	d.out = d.out[:0]
	for _, c := range d.components {
		d.out = append(d.out, Plane{c.pix, c.stride, d.hMax * side / (c.h * c.side), d.vMax * side / (c.v * c.side)})
	}
	return d.out, nil
}

// Held is how much memory is kept for the next picture, in bytes.
func (d *Decoder) Held() int {
	n := cap(d.data) + cap(d.small.Pix)
	for _, c := range d.buffer {
		n += cap(c.pix)
	}
	return n
}

// Release gives that memory up; the planes of the last picture are not valid any more.
func (d *Decoder) Release() {
	d.data, d.buffer, d.components, d.out, d.small = nil, [4]component{}, nil, nil, small{}
}

// unstuff copies the scan's data without the zeros stuffed behind 0xff, so that bits
// can be read without looking, and finds the markers in it. Without restart intervals
// the first one ends it.
func (d *Decoder) unstuff(data []byte) error {
	d.data, d.ends, d.marks = d.data[:0], d.ends[:0], d.marks[:0]
	if cap(d.data) < len(data)+padding {
		d.data = make([]byte, 0, len(data)+len(data)/4+padding)
	}
	for open := true; open; {
		n := bytes.IndexByte(data, 0xff)
		if n < 0 || n+1 >= len(data) {
			if n < 0 {
				n = len(data)
			}
			d.data, open = append(d.data, data[:n]...), false
			d.mark(markNone)
			continue
		}
		d.data = append(d.data, data[:n]...)
		switch mark := data[n+1]; mark {
		case 0:
			d.data = append(d.data, 0xff)
		case 0xff: // fill
			data = data[n+1:]
			continue
		default:
			d.mark(mark)
			open = mark != markEOI && d.restart > 0
		}
		data = data[n+2:]
		if across, down := d.size(); len(d.marks) > across*down+spareMarks {
			return errDamaged
		}
	}
	n := len(d.data)
	d.data = d.data[:n+padding]
	clear(d.data[n:])
	return nil
}

// spareMarks is by how many a picture may have more markers than MCUs.
const spareMarks = 64

func (d *Decoder) mark(m byte) { d.ends, d.marks = append(d.ends, len(d.data)), append(d.marks, m) }

// size is the picture's in MCUs.
func (d *Decoder) size() (across, down int) {
	return (d.width + 8*d.hMax - 1) / (8 * d.hMax), (d.height + 8*d.vMax - 1) / (8 * d.vMax)
}

// mcus decodes the MCUs of w, and steps over those before it. Where the picture does
// not end as it should, it looks at those behind it too, to know that they are there.
func (d *Decoder) mcus(w Window) error {
	across, rows := d.size()
	if d.endsWell() {
		rows = w.Y1
	}
	d.begin()
	for y := range rows {
		for x := range across {
			if err := d.next(); err != nil {
				return err
			}
			if err := d.one(x, y, y >= w.Y0 && y < w.Y1 && x >= w.X0 && x < w.X1); err != nil {
				return err
			}
		}
	}
	if 2*d.lost > across*rows {
		return errDamaged
	}
	d.small.finish(d, rows)
	return nil
}

// one decodes MCU x, y, or what libjpeg makes of one whose data are damaged or gone.
func (d *Decoder) one(x, y int, wanted bool) error {
	if d.starved {
		d.lost++
		d.grey(x, y, wanted)
		return nil
	}
	before := d.bits
	var preds [4]int32
	for i := range d.components {
		preds[i] = d.components[i].pred
	}
	d.mcu(x, y, wanted)
	if d.bits.pos-int(d.bits.n/8) > d.ends[d.interval] {
		if d.restart == 0 || d.marks[d.interval] == markNone {
			return errShort
		}
		for i := range d.components {
			d.components[i].pred = preds[i]
		}
		d.last(before, x, y, wanted)
	}
	if d.bits.bad {
		if d.restart == 0 {
			return errDamaged
		}
		d.bits.bad = false
		d.lost++
	}
	return nil
}

// mcu decodes the blocks of MCU x, y, or steps over them.
func (d *Decoder) mcu(x, y int, wanted bool) {
	for i := range d.components {
		c := &d.components[i]
		dc, ac, quant := &d.dcTables[c.dc], &d.acTables[c.ac], &d.quant[c.quant]
		for v := range c.v {
			for h := range c.h {
				if wanted {
					last := d.block(c, dc, ac, quant)
					d.inverse(c.pix[(y*c.v+v)*c.side*c.stride+(x*c.h+h)*c.side:], c.stride, c.side, last)
				} else {
					d.bits.skip(c, dc, ac, d.data)
				}
				if i == 0 && d.small.on {
					d.small.Pix[(y*c.v+v)*d.small.Stride+x*c.h+h] = sample((int32(int16(c.pred))*quant[0] + 4) >> 3)
				}
			}
		}
	}
}

// bits are those of data not yet used: n of them at the top of acc, and all from
// pos on.
type bits struct {
	acc uint64
	n   uint
	pos int
	bad bool // a code was none; libjpeg takes it for a zero, or the block's end
}

// fill makes n at least 56. Bits that acc holds below its n are those at pos.
func (b *bits) fill(data []byte) {
	b.acc |= binary.BigEndian.Uint64(data[b.pos:]) >> b.n
	b.pos += int(63-b.n) >> 3
	b.n |= 56
}

// number takes an entry's code and number off.
func (b *bits) number(e entry) int32 {
	size := e.size()
	if size == 0 {
		b.acc <<= e.total()
		b.n -= e.total()
		return 0
	}
	v := extend(uint32(b.acc<<e.code()>>(64-size)), size)
	b.acc <<= e.total()
	b.n -= e.total()
	return v
}

// first decodes a block's DC.
func (b *bits) first(c *component, dc *huffman, data []byte) {
	b.fill(data)
	e := dc.look[b.acc>>(64-look)]
	if e == 0 {
		e = b.long(dc, true)
	}
	c.pred += b.number(e)
}

// long finds a code of more than look bits.
func (b *bits) long(h *huffman, dc bool) entry {
	e, ok := h.long(b.acc, dc)
	b.bad = b.bad || !ok
	return e
}

// skip steps over a block, but for its DC, to which the next one's is relative.
func (b *bits) skip(c *component, dc, ac *huffman, data []byte) {
	r := *b
	r.first(c, dc, data)
	for k := 1; k < 64; {
		if r.n < 32 {
			r.fill(data)
		}
		bits := r.acc >> (64 - look)
		if l := ac.leap[bits]; l != 0 && k+l.steps() < 64 { // else a code may be the next block's
			k += l.steps()
			r.acc <<= l.total()
			r.n -= l.total()
			if l.ends() {
				break
			}
			continue
		}
		e := ac.look[bits]
		if e == 0 {
			e = r.long(ac, false)
		}
		k += e.run() + 1
		r.acc <<= e.total()
		r.n -= e.total()
	}
	*b = r
}

// natural is the place of each coefficient in its block (T.81, figure A.6).
var natural = [64]uint8{
	0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5,
	12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
	58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
}

// block decodes a block into coef, dequantised, and returns the number of the
// last coefficient that is not 0.
func (d *Decoder) block(c *component, dc, ac *huffman, quant *[64]int32) int {
	r, data, coef := d.bits, d.data, &d.coef
	r.first(c, dc, data)
	clear(coef[:])
	coef[0] = int32(int16(c.pred)) * quant[0]
	last := 0
	for k := 1; k < 64; k++ {
		if r.n < 32 {
			r.fill(data)
		}
		e := ac.look[r.acc>>(64-look)]
		var v int32
		if total := e.total(); total-1 < look { // nor 0
			v = e.value()
			r.acc <<= total
			r.n -= total
		} else {
			if e == 0 {
				e = r.long(ac, false)
			}
			v = r.number(e)
		}
		if k += e.run(); k >= 64 {
			if e.size() > 0 { // of damaged data; libjpeg's table of places goes on so
				coef[63], last = v*quant[63], 63
			}
			break
		}
		coef[natural[k&63]&63] = v * quant[k&63]
		last = k
	}
	d.bits = r
	return last
}
