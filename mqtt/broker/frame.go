package broker

import (
	"errors"
	"net"
)

var errPacket = errors.New("packet too large")

// framed is a connection that ends at the header of a packet that is larger than
// its limit: mochi has one limit for all, and makes room for a whole packet when it
// has read the header.
type framed struct {
	net.Conn
	limit  int
	tell   func() // that it ended at one
	rest   int    // bytes of the packet that are to come
	shift  int    // of the length's next seven bits
	length bool   // the length is being read
}

func (f *framed) Read(p []byte) (int, error) {
	n, err := f.Conn.Read(p)
	for i := 0; i < n; {
		switch {
		case f.length:
			f.rest |= int(p[i]&0x7f) << f.shift
			f.shift += 7
			f.length = p[i]&0x80 != 0 && f.shift < 28
			i++
			if f.rest > f.limit {
				f.tell()
				return 0, errPacket
			}
		case f.rest > 0:
			skip := min(f.rest, n-i)
			f.rest -= skip
			i += skip
		default: // the header's first byte
			f.length, f.shift = true, 0
			i++
		}
	}
	return n, err
}
