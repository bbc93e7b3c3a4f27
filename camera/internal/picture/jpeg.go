// Package picture finds pictures in bytes: it cuts JPEGs out of a stream of them
// and tells the formats apart by their first bytes. Nothing is decoded.
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

// JPEG markers (ITU-T T.81, table B.1); each follows a byte 0xff.
const (
	SOI        = 0xd8 // start of image
	EOI        = 0xd9 // end of image
	markerSOS  = 0xda // start of scan; entropy-coded bytes follow its segment
	markerRST0 = 0xd0 // restart, 0xd0 to 0xd7
	markerRST7 = 0xd7
	markerTEM  = 0x01
)

// errBroken is a picture that does not follow the marker syntax.
var errBroken = errors.New("broken jpeg")

// ReadJPEG cuts the next whole picture out of a stream of them, into dst's
// capacity. What stands between pictures, and pictures that break off or do not
// follow the marker syntax, are skipped; a thumbnail inside a picture does not end
// it. More than limit bytes, skipped ones included, are an error. io.EOF is the
// end of the stream between pictures, io.ErrUnexpectedEOF the end inside one.
func ReadJPEG(r *bufio.Reader, dst []byte, limit int) ([]byte, error) {
	j := jpegReader{r: r, data: dst[:0], left: limit}
	if err := j.findStart(); err != nil {
		return dst[:0], err
	}
	for {
		err := j.picture()
		if err == nil {
			return j.data, nil
		}
		if errors.Is(err, errBroken) {
			err = j.findStart()
		}
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return dst[:0], err
		}
	}
}

type jpegReader struct {
	r    *bufio.Reader
	data []byte
	left int // bytes that may still be read
}

func (j *jpegReader) spend(n int) error {
	if j.left -= n; j.left < 0 {
		return fmt.Errorf("no whole jpeg in %d MiB", MaxStreamed>>20)
	}
	return nil
}

// next reads one byte and keeps it.
func (j *jpegReader) next() (byte, error) {
	b, err := j.r.ReadByte()
	if err != nil {
		return 0, err
	}
	j.data = append(j.data, b)
	return b, j.spend(1)
}

// findStart skips to a start of image and leaves it in data, alone.
func (j *jpegReader) findStart() error {
	for {
		if err := j.skipTo0xff(); err != nil {
			return err
		}
		b, err := j.r.ReadByte()
		if err != nil {
			return err
		}
		if err := j.spend(1); err != nil {
			return err
		}
		switch b {
		case SOI:
			j.data = append(j.data[:0], 0xff, SOI)
			return nil
		case 0xff: // fill byte, or the first of the start itself
			if err := j.r.UnreadByte(); err != nil {
				return err
			}
		}
	}
}

// skipTo0xff drops bytes up to and including a 0xff.
func (j *jpegReader) skipTo0xff() error {
	for {
		b, err := j.r.ReadByte()
		if err != nil {
			return err
		}
		if err := j.spend(1); err != nil || b == 0xff {
			return err
		}
	}
}

// picture reads from behind the start of image up to the end of it.
func (j *jpegReader) picture() error {
	for {
		marker, err := j.marker()
		if err != nil {
			return err
		}
		// An inner loop, as entropy-coded bytes end with the marker that follows.
		for marker == markerSOS {
			if err := j.segment(); err != nil {
				return err
			}
			if marker, err = j.entropy(); err != nil {
				return err
			}
		}
		switch {
		case marker == EOI:
			return nil
		case marker == SOI: // the one before broke off
			j.data = append(j.data[:0], 0xff, SOI)
		case marker == markerTEM, marker >= markerRST0 && marker <= markerRST7:
		default:
			if err := j.segment(); err != nil {
				return err
			}
		}
	}
}

// marker reads 0xff, fill bytes, and the code.
func (j *jpegReader) marker() (byte, error) {
	b, err := j.next()
	if err != nil {
		return 0, err
	}
	if b != 0xff {
		return 0, errBroken
	}
	for b == 0xff {
		if b, err = j.next(); err != nil {
			return 0, err
		}
	}
	if b == 0 {
		return 0, errBroken
	}
	return b, nil
}

// segment reads a marker segment: two bytes of length, which count themselves.
func (j *jpegReader) segment() error {
	high, err := j.next()
	if err != nil {
		return err
	}
	low, err := j.next()
	if err != nil {
		return err
	}
	n := int(high)<<8 + int(low) - 2
	if n < 0 {
		return errBroken
	}
	return j.take(n)
}

// take reads n bytes.
func (j *jpegReader) take(n int) error {
	if err := j.spend(n); err != nil {
		return err
	}
	var err error
	j.data, err = AppendFull(j.data, j.r, n)
	return err
}

// entropy reads entropy-coded bytes up to and including the marker that ends
// them: the first that is neither a stuffed zero nor a restart.
func (j *jpegReader) entropy() (byte, error) {
	for {
		if err := j.takeTo0xff(); err != nil {
			return 0, err
		}
		b := byte(0xff)
		for b == 0xff {
			var err error
			if b, err = j.next(); err != nil {
				return 0, err
			}
		}
		if b != 0 && (b < markerRST0 || b > markerRST7) {
			return b, nil
		}
	}
}

// takeTo0xff reads up to and including a 0xff, a buffer at a time.
func (j *jpegReader) takeTo0xff() error {
	for {
		if _, err := j.r.Peek(1); err != nil {
			return err
		}
		chunk, _ := j.r.Peek(j.r.Buffered())
		n := bytes.IndexByte(chunk, 0xff) + 1
		found := n > 0
		if !found {
			n = len(chunk)
		}
		if err := j.take(n); err != nil || found {
			return err
		}
	}
}
