package baseline

// Means is a picture's first component at an eighth of its size.
type Means struct {
	Pix                   []byte
	Width, Height, Stride int
}

// Means returns the mean of each block of 8×8 samples of the first component,
// which is brightness, valid until the next call. It steps over all other
// coefficients: what it costs is to find where they end.
func (d *Decoder) Means(data []byte) (Means, error) {
	at, err := d.header(data)
	if err != nil {
		return Means{}, err
	}
	if err := d.unstuff(data[at:]); err != nil {
		return Means{}, err
	}
	d.small.begin(d)
	_, down := d.size()
	if err := d.mcus(Window{0, 0, 0, down}); err != nil {
		return Means{}, err
	}
	return d.small.Means, nil
}

// Watched returns the means that fell off when Decode was told to Watch, as Means would
// find them; false where it was not, and where something is wrong with the picture,
// be it outside the window: then only Means can tell.
func (d *Decoder) Watched() (Means, bool) { return d.small.Means, d.small.whole }

// small is where the means go as blocks are passed.
type small struct {
	Means
	on    bool
	whole bool // of an undamaged picture, all of it
}

func (s *small) begin(d *Decoder) {
	across, down := d.size()
	c := &d.components[0]
	scaled := func(size, of, all int) int { return (size*of + 8*all - 1) / (8 * all) }
	s.on, s.Stride = true, across*c.h
	s.Width, s.Height = scaled(d.width, c.h, d.hMax), scaled(d.height, c.v, d.vMax)
	if n := s.Stride * down * c.v; cap(s.Pix) < n {
		s.Pix = make([]byte, n)
	} else {
		s.Pix = s.Pix[:n]
	}
}

// finish goes on through the rows behind a window.
func (s *small) finish(d *Decoder, from int) {
	if !s.on {
		return
	}
	across, down := d.size()
	of := d.restarts
	defer func() { d.restarts = of }() // what is said of the picture is what the window showed
	for y := from; y < down; y++ {
		for x := range across {
			if d.next() != nil || d.one(x, y, false) != nil {
				return
			}
		}
	}
	s.whole = d.lost == 0 && !d.odd
}
