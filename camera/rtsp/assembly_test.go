package rtsp

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/pion/rtp"
)

// scripted is a stream as a camera sends it, with the pictures known that its
// packets are of.
type scripted struct {
	codec   *codec
	packets []*rtp.Packet
	of      []int // the picture of each packet
	units   []scriptedUnits
}

// scriptedUnits are what a picture is made of.
type scriptedUnits struct {
	first, last int // packets
	picture     int // the packet in which its slices begin
	slices      [][]byte
	key, sets   bool
}

func bytesOf(text string, more ...byte) []byte { return append([]byte(text), more...) }

// kit is what units of a codec look like.
type kit struct {
	sets               [][]byte
	keyFirst, keyOther []byte // beginnings of slices
	other              []byte
	aggregate          []byte // header of a packet that holds several units
	fragment           func(unit []byte, first, last bool) (head []byte, skip int)
}

func kitOf(c *codec) kit {
	if c == codecH264 {
		return kit{
			sets:     [][]byte{unhex(parametersH264[0]), bytesOf("\x68\xce\x38\x80")},
			keyFirst: bytesOf("\x65\x88\x80"), keyOther: bytesOf("\x65\x42\x20"), other: bytesOf("\x41\x9a"),
			aggregate: []byte{24},
			fragment: func(unit []byte, first, last bool) ([]byte, int) {
				return []byte{unit[0]&0xe0 | 28, bit(first, 7) | bit(last, 6) | unit[0]&31}, 1
			},
		}
	}
	return kit{
		sets:     [][]byte{bytesOf("\x40\x01\x0c\x01\xff\xff"), unhex(parametersH265[1]), bytesOf("\x44\x01\xc1\x73")},
		keyFirst: bytesOf("\x26\x01\xa0"), keyOther: bytesOf("\x26\x01\x20"), other: bytesOf("\x02\x01\xd0"),
		aggregate: []byte{48 << 1, 1},
		fragment: func(unit []byte, first, last bool) ([]byte, int) {
			return []byte{49 << 1, unit[1], bit(first, 7) | bit(last, 6) | unit[0]>>1&63}, 2
		},
	}
}

func bit(set bool, at int) byte {
	if set {
		return 1 << at
	}
	return 0
}

// newScripted makes pictures, one for each byte of a script, which says what kind
// each is.
func newScripted(c *codec, script []byte) *scripted {
	s, k := &scripted{codec: c}, kitOf(c)
	for n, b := range script {
		var u scriptedUnits
		u.first, u.key, u.sets = len(s.packets), b&1 != 0 || n == 0, b&2 != 0 || n == 0
		if u.sets {
			s.send(k, n, k.sets, b&4 != 0, false)
		}
		u.picture = len(s.packets)
		heads := [][]byte{k.other}
		if u.key {
			heads = [][]byte{k.keyFirst, k.keyOther, k.keyOther}[:1+b>>3&1+b>>4&1]
		}
		for i, head := range heads {
			u.slices = append(u.slices, append(slices.Clone(head), bytes.Repeat([]byte{0x80 | byte(n), 0x90 + byte(i)}, 10)...))
		}
		s.send(k, n, u.slices, false, b&32 != 0)
		u.last = len(s.packets) - 1
		s.units = append(s.units, u)
	}
	return s
}

// send packs units of picture n: together, in fragments, or one a packet.
func (s *scripted) send(k kit, n int, units [][]byte, together, cut bool) {
	var payloads [][]byte
	all := slices.Clone(k.aggregate)
	for _, unit := range units {
		if !cut {
			payloads = append(payloads, unit)
		} else {
			_, skip := k.fragment(unit, false, false)
			pieces := slices.Collect(slices.Chunk(unit[skip:], 9))
			for i, piece := range pieces {
				head, _ := k.fragment(unit, i == 0, i == len(pieces)-1)
				payloads = append(payloads, append(head, piece...))
			}
		}
		all = append(append(all, byte(len(unit)>>8), byte(len(unit))), unit...)
	}
	if together {
		payloads = [][]byte{all}
	}
	for _, payload := range payloads {
		number := 65500 + len(s.packets)
		s.packets = append(s.packets, &rtp.Packet{
			Header:  rtp.Header{SequenceNumber: uint16(number), Timestamp: uint32(0xfffffff0 + 3*n)},
			Payload: payload,
		})
		s.of = append(s.of, n)
	}
}

// arrive is the order in which packets come, by an unreliable network.
func (s *scripted) arrive(fate []byte) (order []int) {
	for i := range s.packets {
		what := byte(0)
		if i < len(fate) {
			what = fate[i]
		}
		s.packets[i].Marker = what&8 != 0 // means nothing
		switch n := len(order); what & 7 {
		case 1: // lost
		case 2: // twice
			order = append(order, i, i)
		case 3: // before the last, which may happen to one again
			if n > 0 && i-order[n-1] < lateness {
				order = append(order[:n-1], i, order[n-1])
				continue
			}
			order = append(order, i)
		default:
			order = append(order, i)
		}
	}
	return order
}

// whole says, by the order of arrival alone, which keyframes may be shown.
func (s *scripted) whole(order []int) (list []int) {
	var taken []int // each is later than all before it
	for _, i := range order {
		if len(taken) == 0 || i > taken[len(taken)-1] {
			taken = append(taken, i)
		}
	}
	if len(taken) == 0 {
		return nil
	}
	for n, u := range s.units {
		first := u.first
		if s.of[taken[0]] == n && taken[0] <= u.picture {
			first = taken[0] // joined there: nothing is known of what was before
		}
		at := slices.Index(taken, first)
		if !u.key || at < 0 || n == len(s.units)-1 {
			continue
		}
		row := u.last + 1 - first // and the first of the next
		together := at+row < len(taken) && taken[at+row] == u.last+1
		follows := at == 0 || taken[at-1] == u.first-1
		if together && (u.sets || follows) {
			list = append(list, n)
		}
	}
	return list
}

// check plays a stream and holds what is taken for a keyframe to what is one.
func (s *scripted) check(t *testing.T, fate []byte) {
	t.Helper()
	order := s.arrive(fate)
	var pictures assembly
	keys := newKeyframes(s.codec, kitOf(s.codec).sets)
	var shown []int
	for _, i := range order {
		p, ok := pictures.add(s.packets[i], time.Time{})
		if !ok {
			continue
		}
		data, found := keys.add(nil, &p)
		if found != complete {
			if len(data) > 0 {
				t.Fatalf("%d bytes of what is %v", len(data), found)
			}
			continue
		}
		n := slices.IndexFunc(s.units, func(u scriptedUnits) bool { return u.key && bytes.Contains(data, u.slices[0]) })
		if n < 0 {
			t.Fatalf("a keyframe of none of the pictures: %x", data)
		}
		for _, slice := range s.units[n].slices {
			if bytes.Count(data, slice) != 1 {
				t.Errorf("keyframe %d without slice %x: %x", n, slice, data)
			}
		}
		shown = append(shown, n)
	}
	if want := s.whole(order); !slices.Equal(shown, want) {
		t.Errorf("shown %v, want %v; order %v, pictures %+v", shown, want, order, s.of)
	}
}

// FuzzAssembly: of packets that are lost, come twice, too late and with any marker
// bit, exactly those keyframes are shown that are whole.
func FuzzAssembly(f *testing.F) {
	f.Add([]byte{0x3b, 0, 0x19, 2, 0x3f, 0, 0}, []byte{}, false)
	f.Add([]byte{0x3b, 0, 0x19, 2, 0x3f, 0, 0}, []byte{8, 8, 8, 8, 9, 8, 10, 8, 11, 8, 1, 0, 0, 0, 3}, true)
	f.Fuzz(func(t *testing.T, script, fate []byte, h265 bool) {
		c := codecH264
		if h265 {
			c = codecH265
		}
		newScripted(c, script[:min(len(script), 100)]).check(t, fate)
	})
}

// TestAssembly loses every packet once, and each two in a row.
func TestAssembly(t *testing.T) {
	for _, c := range []*codec{codecH264, codecH265} {
		script := []byte{0x3b, 0, 0x19, 0, 0x3f, 0, 0x23, 0x21, 0, 0x1b, 0}
		packets := len(newScripted(c, script).packets)
		if packets < 30 {
			t.Fatalf("only %d packets", packets)
		}
		for _, what := range []byte{0, 1, 2, 3, 8} {
			for i := range packets {
				fate := make([]byte, packets)
				fate[i], fate[(i+1)%packets] = what, what
				newScripted(c, script).check(t, fate)
				fate[(i+1)%packets] = 8
				newScripted(c, script).check(t, fate)
			}
		}
	}
}

// TestAssemblyStartsAnew: an encoder that begins another count of packets is read
// on, and one that sends without end is bounded.
func TestAssemblyStartsAnew(t *testing.T) {
	var a assembly
	number := uint16(100)
	add := func(timestamp uint32, payload []byte) (picture, bool) {
		number++
		return a.add(&rtp.Packet{Header: rtp.Header{SequenceNumber: number, Timestamp: timestamp}, Payload: payload}, time.Time{})
	}
	add(1, []byte{1})
	add(1, nil) // padding
	if p, ok := add(2, []byte{2}); !ok || p.torn || len(p.payloads) != 1 {
		t.Errorf("%+v, %v", p, ok)
	}
	number -= 20000
	if p, ok := add(3, []byte{3}); !ok || !p.torn {
		t.Errorf("%+v, %v: want one without a known end", p, ok)
	}
	if p, ok := add(4, []byte{4}); !ok || p.torn || !p.headless {
		t.Errorf("%+v, %v: want one whose beginning may be missing", p, ok)
	}
	for range maxPicture / 60000 * 2 {
		add(5, make([]byte, 60000))
	}
	if p, ok := add(6, nil); !ok || !p.torn || len(p.payloads) > maxPicture/60000 {
		t.Errorf("%d packets, torn: %v", len(p.payloads), p.torn)
	}
}
