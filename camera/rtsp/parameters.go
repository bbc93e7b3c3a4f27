package rtsp

// A decoder holds frames back as long as a later one may have to be shown before
// them; by how many it goes, the stream's parameter set says. Where only keyframes
// are decoded that would make each older by several keyframes, seconds each. So
// the parameter set is rewritten to say that frames are shown in the order in
// which they come, which is true of keyframes alone.

// unorderedH264 rewrites an H.264 sequence parameter set (ITU-T H.264, 7.3.2.1
// and E.1.1): the usability information ends behind the pixels' shape and colours,
// ahead of what it says on timing, buffering and order.
func unorderedH264(nal []byte) ([]byte, error) {
	b := newBitCopy(nal, 1)
	profile := b.u(8)
	b.u(8) // constraints
	b.u(8) // level
	b.ue() // id
	switch profile {
	case 100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135:
		b.highProfile()
	}
	b.ue() // frame numbers
	switch b.ue() {
	case 0:
		b.ue()
	case 1:
		b.u(1)
		b.ue()
		b.ue()
		for range min(b.ue(), 255) {
			b.ue()
		}
	}
	b.ue() // reference frames
	b.u(1)
	b.ue() // width and height
	b.ue()
	if b.u(1) == 0 { // not frames only
		b.u(1)
	}
	b.u(1)
	b.fields(4) // cropping
	if b.u(1) == 1 {
		b.usability()
	}
	return b.end()
}

// highProfile reads what only some profiles have: the pixels' format and scaling lists.
func (b *bitCopy) highProfile() {
	lists := uint32(8)
	if b.ue() == 3 { // chroma format
		b.u(1)
		lists = 12
	}
	b.ue() // bit depths
	b.ue()
	b.u(1)
	if b.u(1) == 1 {
		for i := range lists {
			if b.u(1) == 1 {
				b.scalingList(i)
			}
		}
	}
}

// usability reads and ends the usability information (E.1.1).
func (b *bitCopy) usability() {
	if b.u(1) == 1 && b.u(8) == 255 { // shape of the pixels
		b.u(32)
	}
	if b.u(1) == 1 { // overscan
		b.u(1)
	}
	if b.u(1) == 1 { // video signal
		b.u(4)
		if b.u(1) == 1 {
			b.u(24)
		}
	}
	b.put(0, 6) // place of chroma, timing, two buffer models, picture structure, restrictions
}

// unorderedH265 rewrites an H.265 sequence parameter set (ITU-T H.265, 7.3.2.2.1):
// no picture is shown out of order.
func unorderedH265(nal []byte) ([]byte, error) {
	b := newBitCopy(nal, 2)
	b.u(4) // id of the video parameter set
	layers := b.u(3) + 1
	b.u(1)
	b.profile(layers)
	b.ue()           // id
	if b.ue() == 3 { // chroma format
		b.u(1)
	}
	b.ue() // width and height
	b.ue()
	b.fields(4) // cropping
	b.ue()      // bit depths
	b.ue()
	b.ue() // order count
	if b.u(1) == 0 {
		layers = 1
	}
	for range layers {
		b.ue() // buffer
		b.skipUE()
		b.put(1, 1) // pictures out of order: ue(0)
		b.skipUE()
		b.put(1, 1) // latency: no limit
	}
	b.rest()
	return b.end()
}

// referSPSH264 reads the id of a sequence parameter set.
func referSPSH264(unit []byte) (id, to uint32, err error) {
	b := peekBits(unit, 4)
	return b.ue(), 0, b.err()
}

// referVPS reads the id of a video parameter set (H.265, 7.3.2.1).
func referVPS(unit []byte) (id, to uint32, err error) {
	b := peekBits(unit, 2)
	return b.u(4), 0, b.err()
}

// referSPSH265 reads the ids of a sequence parameter set and of its video
// parameter set.
func referSPSH265(unit []byte) (id, to uint32, err error) {
	b := peekBits(unit, 2)
	to = b.u(4)
	layers := b.u(3) + 1
	b.u(1)
	b.profile(layers)
	return b.ue(), to, b.err()
}

// referPPS reads the ids of a picture parameter set and of its sequence parameter
// set, which begin it in both codecs.
func referPPS(unit []byte, header int) (id, to uint32, err error) {
	b := peekBits(unit, header)
	return b.ue(), b.ue(), b.err()
}

// fields reads n codes, if a flag ahead of them says that they are there.
func (b *bitCopy) fields(n int) {
	if b.u(1) == 1 {
		for range n {
			b.ue()
		}
	}
}

// scalingList reads list i (H.264, 7.3.2.1.1.1).
func (b *bitCopy) scalingList(i uint32) {
	size := 64
	if i < 6 {
		size = 16
	}
	last, next := int32(8), int32(8)
	for range size {
		if next != 0 {
			code := b.ue()
			delta := int32(code+1) / 2
			if code%2 == 0 {
				delta = -delta
			}
			next = (last + delta) & 255
		}
		if next != 0 {
			last = next
		}
	}
}

// profile reads profile, tier and level (H.265, 7.3.3).
func (b *bitCopy) profile(layers uint32) {
	b.u(88)
	b.u(8)
	var flags [8]struct{ profile, level uint32 }
	for i := range layers - 1 {
		flags[i].profile, flags[i].level = b.u(1), b.u(1)
	}
	if layers > 1 {
		for range 8 - (layers - 1) {
			b.u(2)
		}
	}
	for i := range layers - 1 {
		b.u(int(88 * flags[i].profile))
		b.u(int(8 * flags[i].level))
	}
}
