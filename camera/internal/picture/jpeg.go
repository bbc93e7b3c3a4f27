package picture

import "bytes"

// JPEG markers (ITU-T T.81, table B.1); each follows a byte 0xff.
const (
	SOI        = 0xd8 // start of image
	EOI        = 0xd9 // end of image
	markerSOS  = 0xda // start of scan; entropy-coded bytes follow its segment
	markerRST0 = 0xd0 // restart, 0xd0 to 0xd7
	markerRST7 = 0xd7
	markerTEM  = 0x01
)

// findStart skips to a start of image and leaves it in data, alone.
func (c *cutter) findStart() error {
	for {
		if err := c.skipTo0xff(); err != nil {
			return err
		}
		b, err := c.r.ReadByte()
		if err != nil {
			return err
		}
		if err := c.spend(1); err != nil {
			return err
		}
		switch b {
		case SOI:
			c.data = append(c.data[:0], 0xff, SOI)
			return nil
		case 0xff: // fill byte, or the first of the start itself
			if err := c.r.UnreadByte(); err != nil {
				return err
			}
		}
	}
}

// skipTo0xff drops bytes up to and including a 0xff.
func (c *cutter) skipTo0xff() error {
	for {
		b, err := c.r.ReadByte()
		if err != nil {
			return err
		}
		if err := c.spend(1); err != nil || b == 0xff {
			return err
		}
	}
}

// jpeg reads from behind the start of image up to the end of it.
func (c *cutter) jpeg() error {
	for {
		marker, err := c.marker()
		if err != nil {
			return err
		}
		// An inner loop, as entropy-coded bytes end with the marker that follows.
		for marker == markerSOS {
			if err := c.segment(); err != nil {
				return err
			}
			if marker, err = c.entropy(); err != nil {
				return err
			}
		}
		switch {
		case marker == EOI:
			return nil
		case marker == SOI: // the one before broke off ahead of its scan
			c.data = append(c.data[:0], 0xff, SOI)
		case marker == markerTEM, marker >= markerRST0 && marker <= markerRST7:
		default:
			if err := c.segment(); err != nil {
				return err
			}
		}
	}
}

// marker reads 0xff, fill bytes, and the code.
func (c *cutter) marker() (byte, error) {
	b, err := c.next()
	if err != nil {
		return 0, err
	}
	if b != 0xff {
		return 0, errBroken
	}
	for b == 0xff {
		if b, err = c.next(); err != nil {
			return 0, err
		}
	}
	if b == 0 {
		return 0, errBroken
	}
	return b, nil
}

// segment reads a marker segment: two bytes of length, which count themselves.
func (c *cutter) segment() error {
	high, err := c.next()
	if err != nil {
		return err
	}
	low, err := c.next()
	if err != nil {
		return err
	}
	n := int(high)<<8 + int(low) - 2
	if n < 0 {
		return errBroken
	}
	return c.take(n)
}

// entropy reads entropy-coded bytes up to and including the marker that ends them:
// the first that is neither a stuffed zero nor a restart. errEnds stands ahead of
// the start of the next picture, or of a boundary.
func (c *cutter) entropy() (byte, error) {
	for {
		if err := c.takeTo0xff(); err != nil {
			return 0, err
		}
		if next, _ := c.r.Peek(2); len(next) == 2 && next[1] == SOI {
			return 0, errEnds
		}
		b := byte(0xff)
		for b == 0xff {
			var err error
			if b, err = c.next(); err != nil {
				return 0, err
			}
		}
		if b != 0 && (b < markerRST0 || b > markerRST7) {
			return b, nil
		}
	}
}

// takeTo0xff reads up to a 0xff, a buffer at a time.
func (c *cutter) takeTo0xff() error {
	for need := 1; ; {
		if len(c.data) == c.Length && c.over() {
			return errEnds
		}
		if _, err := c.r.Peek(need); err != nil {
			return err
		}
		chunk, _ := c.r.Peek(c.r.Buffered())
		need = 1
		n := bytes.IndexByte(chunk, 0xff)
		found := n >= 0
		if !found {
			n = len(chunk)
		}
		if at, whole := Find(chunk[:n], c.Boundary); at >= 0 && whole {
			if err := c.take(at); err != nil {
				return err
			}
			c.data = bytes.TrimRight(c.data, "\r\n")
			return errEnds
		} else if at >= 0 && !found {
			n, need = at, len(chunk)-at+1 // what comes decides
		}
		if err := c.take(n); err != nil || found {
			return err
		}
	}
}
