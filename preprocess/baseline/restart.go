package baseline

// restarts is where a scan's decoding is among its restart intervals. What is damaged
// is decoded as libjpeg does (jdmarker.c, jpeg_resync_to_restart; jdhuff.c).
type restarts struct {
	interval int  // of data that is decoded: ends[interval] is its end
	left     int  // MCUs until a restart is due
	due      int  // number of that restart, 0 to 7
	starved  bool // the interval's data have ended: grey up to the next restart
	lost     int  // MCUs that are not what was encoded
	odd      bool // a marker stood where it should not
}

func (d *Decoder) begin() {
	d.bits = bits{}
	d.restarts = restarts{left: d.restart}
	d.forget()
}

// forget sets what an interval's first DC values are relative to.
func (d *Decoder) forget() {
	for i := range d.components {
		d.components[i].pred = 0
	}
}

// Damaged reports whether the last picture is plainly not all that was encoded: its end
// of image or a restart marker is missing, or some of its data. At most half of the MCUs
// that were looked at are lost then; more is an error.
func (d *Decoder) Damaged() bool { return d.lost > 0 || d.odd || !d.endsWell() }

// endsWell reports whether what should stand behind the scan does.
func (d *Decoder) endsWell() bool {
	last := d.marks[len(d.marks)-1]
	return last == markEOI || last == markDNL || last == markCOM
}

// next goes on to the next interval where a restart is due.
func (d *Decoder) next() error {
	if d.restart == 0 {
		return nil
	}
	if d.left > 0 {
		d.left--
		return nil
	}
	d.left = d.restart - 1
	d.forget()
	used := 8*d.bits.pos - int(d.bits.n)
	d.odd = d.odd || used+8 <= 8*d.ends[d.interval] || d.marks[d.interval] != byte(markRST0+d.due)
	found, err := d.resync()
	if err != nil {
		return err
	}
	d.bits.acc, d.bits.n, d.bits.pos = 0, 0, d.ends[d.interval]
	if found {
		d.interval, d.starved = d.interval+1, false
	}
	d.due = (d.due + 1) & 7
	return nil
}

// resync finds the restart that is due, or one that stands for it. Where the next
// marker is a later one's, or none, the interval has no data.
func (d *Decoder) resync() (found bool, err error) {
	for {
		if d.interval == len(d.marks)-1 && d.marks[d.interval] == markNone {
			return false, errShort
		}
		mark := d.marks[d.interval]
		if mark >= markSOF0 && (mark < markRST0 || mark >= markSOI) {
			return false, nil // of no restart
		}
		ahead := 8
		if mark >= markRST0 {
			ahead = (int(mark-markRST0) - d.due) & 7
		}
		switch ahead {
		case 1, 2: // the one that is due is lost
			return false, nil
		case 6, 7, 8: // an earlier one, or no marker: what follows is passed over
			d.interval++
		default:
			return true, nil
		}
	}
}

// last decodes the MCU in which an interval's data end, with zeros behind them, and
// the first MCU of an interval that has none.
func (d *Decoder) last(before bits, x, y int, wanted bool) {
	at := 8*before.pos - int(before.n)
	n := copy(d.tail[:padding], d.data[at/8:max(at/8, d.ends[d.interval])])
	clear(d.tail[n:])
	whole := d.data
	d.data = d.tail[:]
	d.bits = bits{}
	d.bits.fill(d.data)
	d.bits.acc <<= at % 8
	d.bits.n -= uint(at % 8)
	d.mcu(x, y, wanted)
	d.data = whole
	d.starved = true
	d.lost++
}

// grey is an MCU of which nothing is known.
func (d *Decoder) grey(x, y int, wanted bool) {
	if c := &d.components[0]; d.small.on {
		for v := range c.v {
			flatRow(d.small.Pix[(y*c.v+v)*d.small.Stride+x*c.h:][:c.h])
		}
	}
	if !wanted {
		return
	}
	for i := range d.components {
		c := &d.components[i]
		for line := range c.v * c.side {
			flatRow(c.pix[(y*c.v*c.side+line)*c.stride+x*c.h*c.side:][:c.h*c.side])
		}
	}
}

func flatRow(dst []byte) {
	for i := range dst {
		dst[i] = sample(0)
	}
}
