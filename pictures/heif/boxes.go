package heif

import (
	"encoding/binary"
	"errors"

	"dynvit/exif"
)

// header is what the boxes say of the primary item (ISO/IEC 23008-12): its size as it
// is stored, what is to become of it, and what its samples are.
type header struct {
	width, height int
	turn          exif.Orientation
	clip          [2]int // width and height of a clean aperture, 0 for none
	depth         int    // bits of a sample, of whichever item has most
	samples       int    // of a pixel, in halves
	grid          bool   // it is made of tiles
	tile          tiling // their size
	alpha, grey   bool   // something has; it has no colours
	colour        colour
}

var errBoxes = errors.New("no primary picture in its boxes")

// item is what belongs to one: properties in their order, and what it is made of.
type item struct {
	properties []property
	kind       string
	parts      []uint32
}

type property struct {
	name string
	body []byte
}

// readHeader reads the boxes up to the primary item's properties.
func readHeader(data []byte) (header, error) {
	meta, ok := child(data, "meta")
	if !ok {
		return header{}, errBoxes
	}
	_, _, meta = full(meta)
	pitm, _ := child(meta, "pitm")
	version, _, body := full(pitm)
	primary, _, ok := id(body, version > 0)
	if !ok {
		return header{}, errBoxes
	}
	items := readItems(meta)
	main := items[primary]
	if main == nil {
		return header{}, errBoxes
	}
	h := header{depth: 8, samples: 3, grid: main.kind == "grid"}
	for _, p := range main.properties {
		h.read(p)
		h.grey = h.grey || p.name == "av1C" && len(p.body) > 2 && p.body[2]&0x10 != 0
	}
	h.colour = readColour(main)
	if h.grid && len(main.parts) > 0 && items[main.parts[0]] != nil {
		part := items[main.parts[0]]
		if !h.colour.said {
			h.colour = readColour(part)
		}
		var t header
		for _, p := range part.properties {
			t.read(p)
		}
		h.tile = tiling{width: t.width, height: t.height}
	}
	for _, i := range items {
		for _, p := range i.properties {
			h.measure(p)
		}
	}
	if h.width < 1 || h.height < 1 {
		return h, errors.New("its boxes don't say how large it is")
	}
	return h, nil
}

// read takes the primary item's size and transformations: cropped, turned, mirrored.
func (h *header) read(p property) {
	b := p.body
	switch {
	case p.name == "ispe" && len(b) >= 12:
		h.width, h.height = clampSize(binary.BigEndian.Uint32(b[4:])), clampSize(binary.BigEndian.Uint32(b[8:]))
	case p.name == "clap" && len(b) >= 16:
		h.clip = [2]int{ratio(b), ratio(b[8:])}
	case p.name == "irot" && len(b) >= 1:
		h.turn = [4]exif.Orientation{1, 8, 3, 6}[b[0]&3] // by quarters, anticlockwise
	case p.name == "imir" && len(b) >= 1:
		h.turn = mirrored(h.turn, b[0]&1 == 1)
	}
}

// mirrored is how a picture is turned that is then mirrored: left and right change
// places, or else top and bottom.
func mirrored(o exif.Orientation, leftRight bool) exif.Orientation {
	if leftRight {
		return map[exif.Orientation]exif.Orientation{0: 2, 1: 2, 8: 7, 3: 4, 6: 5}[o]
	}
	return map[exif.Orientation]exif.Orientation{0: 4, 1: 4, 8: 5, 3: 2, 6: 7}[o]
}

// clampSize keeps sizes that no picture has from overflowing; they are refused later.
func clampSize(v uint32) int { return int(min(v, 1<<24)) }

// ratio is a positive fraction rounded to nearest; 0 where it is none.
func ratio(b []byte) int {
	n, d := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	if d == 0 {
		return 0
	}
	return clampSize(uint32((uint64(n) + uint64(d)/2) / uint64(d)))
}

// measure takes what decoding any item's samples will take.
func (h *header) measure(p property) {
	b := p.body
	switch {
	case p.name == "hvcC" && len(b) > 17: // ISO/IEC 14496-15, 8.3.2.1.2
		h.depth = max(h.depth, 8+int(b[17]&7))
		h.samples = max(h.samples, [4]int{2, 3, 4, 6}[b[16]&3])
	case p.name == "av1C" && len(b) > 2:
		h.depth = max(h.depth, 8+2*int(b[2]>>6&1)+2*int(b[2]>>5&1))
		if b[2]&0x1c == 0 {
			h.samples = 6
		} else if b[2]&0x14 == 0 {
			h.samples = max(h.samples, 4)
		}
	case p.name == "auxC":
		h.alpha = true
	}
}

// readItems gathers the items by their ids.
func readItems(meta []byte) map[uint32]*item {
	items := map[uint32]*item{}
	readKinds(meta, items)
	readParts(meta, items)
	iprp, _ := child(meta, "iprp")
	ipco, _ := child(iprp, "ipco")
	var list []property
	for name, body, rest, ok := next(ipco); ok; name, body, rest, ok = next(rest) {
		list = append(list, property{name, body})
	}
	for name, body, rest, ok := next(iprp); ok; name, body, rest, ok = next(rest) {
		if name == "ipma" {
			associate(body, list, items)
		}
	}
	return items
}

// of is the item of an id.
func of(items map[uint32]*item, id uint32) *item {
	if items[id] == nil {
		items[id] = &item{}
	}
	return items[id]
}

// readKinds reads what the items are.
func readKinds(meta []byte, items map[uint32]*item) {
	iinf, _ := child(meta, "iinf")
	version, _, body := full(iinf)
	_, body, ok := id(body, version > 0) // how many
	for name, entry, rest, more := next(body); ok && more; name, entry, rest, more = next(rest) {
		version, _, entry := full(entry)
		if n, entry, ok := id(entry, version > 2); ok && name == "infe" && version >= 2 && len(entry) >= 6 {
			of(items, n).kind = string(entry[2:6])
		}
	}
}

// readParts reads what items are made of.
func readParts(meta []byte, items map[uint32]*item) {
	iref, _ := child(meta, "iref")
	version, _, body := full(iref)
	for name, ref, rest, more := next(body); more; name, ref, rest, more = next(rest) {
		from, ref, ok := id(ref, version > 0)
		if name != "dimg" || !ok || len(ref) < 2 {
			continue
		}
		ref = ref[2:]
		for to, left, ok := id(ref, version > 0); ok; to, left, ok = id(left, version > 0) {
			of(items, from).parts = append(of(items, from).parts, to)
		}
	}
}

// associate hands the items their properties.
func associate(ipma []byte, list []property, items map[uint32]*item) {
	version, flags, body := full(ipma)
	if len(body) < 4 {
		return
	}
	body = body[4:] // how many: as many as there are
	for {
		n, rest, ok := id(body, version > 0)
		if !ok || len(rest) < 1 {
			return
		}
		count := int(rest[0])
		body = rest[1:]
		for range count {
			width, index := 1, 0
			if flags&1 != 0 {
				width = 2
			}
			if len(body) < width {
				return
			}
			if index = int(body[0] & 0x7f); width == 2 {
				index = index<<8 | int(body[1])
			}
			body = body[width:]
			if index > 0 && index <= len(list) {
				i := of(items, n)
				i.properties = append(i.properties, list[index-1])
			}
		}
	}
}

// next is the first box of data (ISO/IEC 14496-12, 4.2), and what follows it. One that
// says that it is longer than there is ends there.
func next(data []byte) (name string, body, rest []byte, ok bool) {
	const short, long = 8, 16 // lengths of its header
	if len(data) < short {
		return "", nil, nil, false
	}
	size, head := uint64(binary.BigEndian.Uint32(data)), short
	switch {
	case size == 0:
		size = uint64(len(data))
	case size == 1 && len(data) >= long:
		size, head = binary.BigEndian.Uint64(data[short:]), long
	}
	if size < uint64(head) {
		return "", nil, nil, false
	}
	end := int(min(size, uint64(len(data))))
	return string(data[4:short]), data[head:end], data[end:], true
}

// child finds a box by its name.
func child(data []byte, name string) ([]byte, bool) {
	for n, body, rest, ok := next(data); ok; n, body, rest, ok = next(rest) {
		if n == name {
			return body, true
		}
	}
	return nil, false
}

// full takes version and flags off a box's body.
func full(body []byte) (version byte, flags uint32, rest []byte) {
	if len(body) < 4 {
		return 0, 0, nil
	}
	v := binary.BigEndian.Uint32(body)
	return byte(v >> 24), v & 0xffffff, body[4:]
}

// id takes a number of two or four bytes.
func id(b []byte, wide bool) (v uint32, rest []byte, ok bool) {
	switch {
	case wide && len(b) >= 4:
		return binary.BigEndian.Uint32(b), b[4:], true
	case !wide && len(b) >= 2:
		return uint32(binary.BigEndian.Uint16(b)), b[2:], true
	}
	return 0, nil, false
}
