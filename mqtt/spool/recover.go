package spool

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxSegmentFile bounds what is read of one file: far more than a segment has.
const maxSegmentFile = 64 << 20

// unseen is more messages than segments have that cannot be read: their numbers
// are not used again.
const unseen = 1 << 32

// Recovered is what a folder held.
type Recovered struct {
	Messages []Message // that are still wanted, by Seq; they own their bytes
	Next     uint64    // the lowest Seq that was never used, at least 1
	Cut      int       // bytes behind a bad record, in all segments
	Faults   []error   // of segments that could not be read
}

// segment is a file of the log.
type segment struct {
	name   string
	number uint64
	last   uint64 // highest Seq of a message in it; 0: none
	size   int64
	synced bool // some of it, at least, is known to be on the disk
}

func segmentName(number uint64) string { return fmt.Sprintf("%016x.seg", number) }

func segmentNumber(name string) (number uint64, ok bool) {
	digits, ok := strings.CutSuffix(name, ".seg")
	if !ok || len(digits) != 16 {
		return 0, false
	}
	number, err := strconv.ParseUint(digits, 16, 64)
	return number, err == nil && segmentName(number) == name
}

// Open reads what a folder holds and prepares to append to it. It writes
// nothing. An error means that nothing of it can be read: that the folder is
// gone, or that another version of the program wrote it.
func Open(disk Disk, clock Clock) (*Log, Recovered, error) {
	l := &Log{disk: disk, clock: clock}
	names, err := disk.List()
	if err != nil {
		return nil, Recovered{}, err
	}
	slices.Sort(names) // of equal length: by number
	r := reading{clock: &l.clock, next: 1}
	for _, name := range names {
		number, ok := segmentNumber(name)
		if !ok {
			continue // not ours
		}
		l.number, l.clean = number, false
		data, err := disk.Read(name, maxSegmentFile)
		if err != nil {
			r.faults = append(r.faults, err)
			continue // and it stays: what could not be read is not removed either
		}
		s, err := r.segment(data, number)
		if err != nil {
			return nil, Recovered{}, fmt.Errorf("%s: %w", name, err)
		}
		s.name = name
		l.segments = append(l.segments, s.segment)
		l.seed, l.clean = s.crc, s.whole && s.boot == clock.Boot && s.size < segmentSize
	}
	return l, r.recovered(), nil
}

// content is what reading a segment showed.
type content struct {
	segment
	boot  [16]byte
	crc   uint32
	whole bool // it ends with a whole record
}

// reading gathers the content of segments.
type reading struct {
	clock    *Clock
	messages []Message
	done     []Span
	next     uint64
	cut      int
	faults   []error
}

// segment reads one up to its first bad record.
func (r *reading) segment(data []byte, number uint64) (content, error) {
	c := content{segment: segment{number: number, size: int64(len(data)), synced: true}}
	h, err := readHeader(data)
	if errors.Is(err, errVersion) {
		return c, err
	}
	if err != nil || h.number != number {
		r.cut += len(data)
		return c, nil
	}
	c.boot, c.crc = h.boot, h.crc
	data = data[headerSize:]
	for len(data) > 0 {
		body, rest, ok := nextBody(data, h.crc)
		if !ok || !r.record(body, h.boot, &c.last) {
			r.cut += len(data)
			return c, nil
		}
		data = rest
	}
	c.whole = true
	return c, nil
}

func (r *reading) record(body []byte, boot [16]byte, last *uint64) bool {
	switch body[0] {
	case kindMessage:
		m, at, ok := parseMessage(body)
		if !ok {
			return false
		}
		m.At = r.clock.time(at, boot)
		m.Payload = slices.Clone(m.Payload)
		r.messages = append(r.messages, m)
		*last = max(*last, m.Seq)
		r.next = max(r.next, m.Seq+1)
		return true
	case kindDone:
		s, ok := parseDone(body)
		if ok {
			r.done = append(r.done, s)
			r.next = max(r.next, s.Last+1)
		}
		return ok
	}
	return false
}

// recovered puts the messages in order and leaves out those that are done.
func (r *reading) recovered() Recovered {
	bySeq := func(a, b Message) int { return cmp.Compare(a.Seq, b.Seq) }
	slices.SortStableFunc(r.messages, bySeq)
	list := slices.CompactFunc(r.messages, func(a, b Message) bool { return a.Seq == b.Seq })
	slices.SortFunc(r.done, func(a, b Span) int { return cmp.Compare(a.First, b.First) })
	wanted, gone, next := list[:0], uint64(0), 0 // all up to gone are done
	for _, m := range list {
		for ; next < len(r.done) && r.done[next].First <= m.Seq; next++ {
			gone = max(gone, r.done[next].Last)
		}
		if m.Seq > gone {
			wanted = append(wanted, m)
		}
	}
	clear(list[len(wanted):]) // frees their payloads
	if len(r.faults) > 0 {
		r.next += unseen
	}
	return Recovered{Messages: wanted, Next: r.next, Cut: r.cut, Faults: r.faults}
}
