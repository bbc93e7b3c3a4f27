package picture

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// MaxStreamed bounds one picture of a stream, in bytes.
const MaxStreamed = 16 << 20

// errBroken is a picture that does not follow its format's syntax.
var errBroken = errors.New("broken picture")

// errEnds is a picture that ends before the end that its format marks.
var errEnds = errors.New("picture without an end")

// Hints are what is said about a picture in a stream besides its own bytes. They end
// it where it has no end of its own, and are passed over where it goes on.
type Hints struct {
	Length   int                      // in bytes; 0: not said
	Over     func(*bufio.Reader) bool // whether a picture of that length ends where the reader is; nil: never
	Boundary []byte                   // what stands between pictures, and in none; nil: not known
}

// cutter takes a picture off a stream byte by byte.
type cutter struct {
	Hints
	r     *bufio.Reader
	data  []byte
	limit int
	left  int // bytes that may still be read
}

// ReadJPEG cuts the next picture out of a stream of them, into dst's capacity. What
// stands between pictures, and pictures that do not follow the marker syntax, are
// skipped; a thumbnail inside a picture does not end it. One whose end of image is
// missing ends where the next begins. More than limit bytes, skipped ones included,
// are an error. io.EOF is the end of the stream between pictures,
// io.ErrUnexpectedEOF the end inside one.
func ReadJPEG(r *bufio.Reader, dst []byte, limit int) ([]byte, error) {
	c := cutter{r: r, data: dst[:0], limit: limit, left: limit}
	if err := c.findStart(); err != nil {
		return dst[:0], err
	}
	for {
		err := ends(c.jpeg())
		if err == nil {
			return c.data, nil
		}
		if errors.Is(err, errBroken) {
			err = ends(c.findStart())
		}
		if err != nil {
			return dst[:0], err
		}
	}
}

// Cut takes the picture with which the stream goes on, JPEG or PNG, into dst's
// capacity: as far as its own bytes say or, where they don't, the hints. Where the
// stream ends inside it, it is returned as it is with io.ErrUnexpectedEOF. One that
// doesn't follow its format's syntax is returned as far as it does, without an error.
func Cut(r *bufio.Reader, dst []byte, limit int, h Hints) ([]byte, error) {
	c := cutter{Hints: h, r: r, data: dst[:0], limit: limit, left: limit}
	err := ends(c.whole())
	if errors.Is(err, errBroken) {
		err = nil
	}
	return c.data, err
}

// ends is err, or what it says about a picture that has begun.
func ends(err error) error {
	switch err {
	case errEnds:
		return nil
	case io.EOF:
		return io.ErrUnexpectedEOF
	}
	return err
}

func (c *cutter) whole() error {
	first, err := c.next()
	if err != nil {
		return err
	}
	if first == pngSignature[0] {
		return c.png()
	}
	if _, err := c.next(); err != nil {
		return err
	}
	return c.jpeg()
}

func (c *cutter) spend(n int) error {
	if c.left -= n; c.left < 0 {
		return fmt.Errorf("no whole picture in %d MiB", c.limit>>20)
	}
	return nil
}

// next reads one byte and keeps it.
func (c *cutter) next() (byte, error) {
	if len(c.data) > 0 && len(c.data) == c.Length && c.over() {
		return 0, errEnds
	}
	b, err := c.r.ReadByte()
	if err != nil {
		return 0, err
	}
	c.data = append(c.data, b)
	return b, c.spend(1)
}

// take reads n bytes.
func (c *cutter) take(n int) error {
	if to := c.Length - len(c.data); to >= 0 && to < n {
		if err := c.append(to); err != nil {
			return err
		}
		if c.over() {
			return errEnds
		}
		n -= to
	}
	return c.append(n)
}

func (c *cutter) append(n int) error {
	if err := c.spend(n); err != nil {
		return err
	}
	var err error
	c.data, err = AppendFull(c.data, c.r, n)
	return err
}

func (c *cutter) over() bool { return c.Over != nil && c.Over(c.r) }

const pngSignature = "\x89PNG\r\n\x1a\n"

// png reads from behind the first byte of the signature up to the end of chunk IEND.
func (c *cutter) png() error {
	if err := c.take(len(pngSignature) - 1); err != nil {
		return err
	}
	for {
		at := len(c.data)
		if err := c.take(8); err != nil {
			return err
		}
		head := c.data[at:]
		if head[0]&0x80 != 0 || bytes.ContainsFunc(head[4:8], notLetter) {
			return errBroken
		}
		const checksum = 4
		n := int(head[0])<<24 | int(head[1])<<16 | int(head[2])<<8 | int(head[3])
		name := string(head[4:8])
		if n > c.left {
			return errBroken
		}
		if err := c.take(n + checksum); err != nil || name == "IEND" {
			return err
		}
	}
}

func notLetter(r rune) bool { return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z') }
