package rtsp

import "errors"

// errParameters is a unit that is cut short or beyond its limits.
var errParameters = errors.New("damaged parameters")

// bitCopy reads a NAL unit bit by bit and copies what it reads, unless told
// otherwise. An end that comes too early is told by end.
type bitCopy struct {
	src   []byte // without emulation prevention
	pos   int    // in bits
	short bool
	quiet bool // do not copy

	dst   []byte
	acc   byte // bits not yet in dst
	count int  // of them
}

// newBitCopy copies a NAL unit's header, of so many bytes, at once.
func newBitCopy(nal []byte, header int) *bitCopy {
	b := &bitCopy{src: withoutEmulation(nal)}
	for range header {
		b.u(8)
	}
	return b
}

const peeked = 160 // bytes: more than stands ahead of any id

// peekBits reads the beginning of a NAL unit, behind so many bytes, and copies
// nothing.
func peekBits(unit []byte, header int) *bitCopy {
	return &bitCopy{src: withoutEmulation(unit[:min(len(unit), peeked)]), pos: 8 * header, quiet: true}
}

// err says whether what was read was there.
func (b *bitCopy) err() error {
	if b.short {
		return errParameters
	}
	return nil
}

func (b *bitCopy) bit() uint32 {
	if b.pos >= 8*len(b.src) {
		b.short = true
		return 0
	}
	v := b.src[b.pos/8] >> (7 - b.pos%8) & 1
	b.pos++
	if !b.quiet {
		b.push(v)
	}
	return uint32(v)
}

func (b *bitCopy) push(v byte) {
	b.acc = b.acc<<1 | v
	if b.count++; b.count == 8 {
		b.dst, b.acc, b.count = append(b.dst, b.acc), 0, 0
	}
}

// put writes n bits that are not in the source.
func (b *bitCopy) put(v uint32, n int) {
	for i := n - 1; i >= 0; i-- {
		b.push(byte(v >> i & 1))
	}
}

// u is a number of n bits.
func (b *bitCopy) u(n int) (v uint32) {
	for range n {
		v = v<<1 | b.bit()
	}
	return v
}

// ue is an Exp-Golomb code (9.1).
func (b *bitCopy) ue() uint32 {
	zeros := 0
	for b.bit() == 0 {
		if zeros++; b.short || zeros > 31 {
			b.short = true
			return 0
		}
	}
	return 1<<zeros - 1 + b.u(zeros)
}

// message is a number of supplemental information (H.264, 7.3.2.3.1): bytes of 255,
// and one that is less, to be added.
func (b *bitCopy) message() (n uint32) {
	for !b.short {
		v := b.u(8)
		n += v
		if v != 255 {
			break
		}
	}
	return n
}

// skipUE reads a code without copying it.
func (b *bitCopy) skipUE() {
	b.quiet = true
	b.ue()
	b.quiet = false
}

// rest copies what is left, but for the stop bit and the zeros behind it.
func (b *bitCopy) rest() {
	last := 8*len(b.src) - 1
	for last >= 0 && b.src[last/8]>>(7-last%8)&1 == 0 {
		last--
	}
	for b.pos < last {
		b.bit()
	}
}

// end closes the unit and returns it.
func (b *bitCopy) end() ([]byte, error) {
	if b.short {
		return nil, errParameters
	}
	b.put(1, 1)
	for b.count != 0 {
		b.push(0)
	}
	return withEmulation(b.dst), nil
}

// withoutEmulation drops the 3 of each 0, 0, 3 (H.264, 7.4.1).
func withoutEmulation(nal []byte) []byte {
	var out []byte
	zeros := 0
	for _, v := range nal {
		if zeros >= 2 && v == 3 {
			zeros = 0
			continue
		}
		out = append(out, v)
		if zeros++; v != 0 {
			zeros = 0
		}
	}
	return out
}

// withEmulation puts it back where bytes would look like a start code.
func withEmulation(raw []byte) []byte {
	var out []byte
	zeros := 0
	for _, v := range raw {
		if zeros >= 2 && v <= 3 {
			out, zeros = append(out, 3), 0
		}
		out = append(out, v)
		if zeros++; v != 0 {
			zeros = 0
		}
	}
	return out
}
