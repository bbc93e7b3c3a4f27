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
	across, down := d.size()
	c := &d.components[0]
	c.stride = across * c.h
	if n := c.stride * down * c.v; cap(c.pix) < n {
		c.pix = make([]byte, n)
	} else {
		c.pix = c.pix[:n]
	}
	d.means = true
	defer func() { d.means = false }()
	if err := d.mcus(Window{0, 0, across, down}); err != nil {
		return Means{}, err
	}
	scaled := func(size, of, all int) int { return (size*of + 8*all - 1) / (8 * all) }
	return Means{c.pix, scaled(d.width, c.h, d.hMax), scaled(d.height, c.v, d.vMax), c.stride}, nil
}
