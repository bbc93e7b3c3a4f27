package rtsp

import (
	"time"

	"github.com/pion/rtp"
)

const (
	lateness   = 64      // packets: what is so much behind came too late or twice; more is another count
	maxPicture = 8 << 20 // bytes
)

// picture is what came with one timestamp.
type picture struct {
	payloads [][]byte // in order
	torn     bool     // packets are missing in it, or before its end is known
	headless bool     // packets are missing ahead of it, which may have been its
	at       time.Time
}

// assembly makes pictures of packets. Packets of one timestamp make one, whatever
// their marker bits say: some cameras set it on all, some on none. So a picture
// has ended when the next one begins. One goroutine uses it at a time.
type assembly struct {
	begun     bool
	last      uint16 // sequence number
	timestamp uint32 // of open
	size      int    // of open, in bytes
	open      picture
}

// add takes a packet that came at now and returns the picture that it shows to
// have ended, if any. The payload is kept.
func (a *assembly) add(p *rtp.Packet, now time.Time) (ended picture, ok bool) {
	step := int16(p.SequenceNumber - a.last)
	if a.begun && step <= 0 && step > -lateness {
		return picture{}, false
	}
	gap := a.begun && step != 1
	a.last = p.SequenceNumber
	if gap {
		a.open.torn = true
	}
	if !a.begun || p.Timestamp != a.timestamp {
		ended, ok = a.open, a.begun
		a.begun, a.timestamp, a.size = true, p.Timestamp, 0
		a.open = picture{headless: gap}
	}
	a.put(p.Payload, now)
	return ended, ok
}

func (a *assembly) put(payload []byte, now time.Time) {
	a.open.at = now
	if a.size += len(payload); a.size > maxPicture {
		a.open.torn = true
		return
	}
	if len(payload) > 0 {
		a.open.payloads = append(a.open.payloads, payload)
	}
}
