package heif

// avif's build of libavif repeats chroma for the pixels that share it, where libavif
// spreads it by a triangle filter for who asks for no speed, as Pillow does. What was
// repeated can be read back of R, G and B, and spread: of a drawn picture with hard edges
// 10 % of the samples differ from Pillow's by more than two levels without it.

// chromas are the two colour differences of the pixels that share them, 16 times.
type chromas struct {
	width, height int
	sx, sy        int // pixels that share one
	list          [][2]int16
}

const (
	sharpness = 4 // bits behind the point of a chroma
	fixed     = 16
)

// spread reads rows of repeated chroma as rows of spread chroma.
func (p *Picture) spread(rows func(dst []byte, x, y int)) func(dst []byte, x, y int) {
	kr, kb := p.header.colour.weights()
	m := matrix{kr: int32(kr * (1 << fixed)), kb: int32(kb * (1 << fixed)), rv: 2 * (1 - kr), bu: 2 * (1 - kb)}
	m.kg = 1<<fixed - m.kr - m.kb
	c := p.gather(rows, m)
	return func(dst []byte, x, y int) {
		rows(dst, x, y)
		for ; len(dst) >= 3; x++ {
			m.move(dst, c.at(x/c.sx, y/c.sy), c.spread(x, y))
			dst = dst[3:]
		}
	}
}

// gather reads back what each group of pixels shares: the mean of those in which no
// level was cut off, of all where there is none.
func (p *Picture) gather(rows func(dst []byte, x, y int), m matrix) chromas {
	c := chromas{sx: 2, sy: 1}
	if p.header.samples == 3 {
		c.sy = 2
	}
	c.width, c.height = (p.Width+c.sx-1)/c.sx, (p.Height+c.sy-1)/c.sy
	c.list = make([][2]int16, c.width*c.height)
	pair := make([]byte, 3*p.Width*c.sy)
	for y := range c.height {
		high := min(c.sy, p.Height-y*c.sy)
		for i := range high {
			rows(pair[3*p.Width*i:][:3*p.Width], 0, y*c.sy+i)
		}
		for x := range c.width {
			var whole, cut [3]int32 // sums of both, and how many
			for i := range high {
				for j := x * c.sx; j < min((x+1)*c.sx, p.Width); j++ {
					m.add(pair[3*(i*p.Width+j):], &whole, &cut)
				}
			}
			if whole[2] == 0 {
				whole = cut
			}
			c.list[y*c.width+x] = [2]int16{int16(whole[0] / whole[2]), int16(whole[1] / whole[2])}
		}
	}
	return c
}

func (c *chromas) at(x, y int) [2]int16 { return c.list[y*c.width+x] }

// spread is a pixel's chroma: of the nearest samples 9, 3, 3 and 1 of 16 parts.
func (c *chromas) spread(x, y int) (v [2]int16) {
	x0, x1 := x/c.sx, beside(x, c.sx, c.width)
	y0, y1 := y/c.sy, beside(y, c.sy, c.height)
	a, b, d, e := c.at(x0, y0), c.at(x1, y0), c.at(x0, y1), c.at(x1, y1)
	for i := range v {
		v[i] = int16((9*int32(a[i]) + 3*int32(b[i]) + 3*int32(d[i]) + int32(e[i]) + 8) >> 4)
	}
	return v
}

// beside is the other sample of n that pixel i lies between, where step pixels share
// one; the same where there is none.
func beside(i, step, n int) int {
	if step == 1 {
		return i
	}
	return min(max(i/2+2*(i&1)-1, 0), n-1)
}

// matrix is brightness of R, G and B, and they of two colour differences.
type matrix struct {
	kr, kg, kb int32
	rv, bu     float64
}

// add adds a pixel's colour differences to the sums that they belong to.
func (m *matrix) add(rgb []byte, whole, cut *[3]int32) {
	r, g, b := int32(rgb[0]), int32(rgb[1]), int32(rgb[2])
	luma := m.kr*r + m.kg*g + m.kb*b
	sum := whole
	if min(r, g, b) == 0 || max(r, g, b) == 255 {
		sum = cut
	}
	const shift = fixed - sharpness
	sum[0] += int32(float64((b<<fixed-luma)>>shift) / m.bu)
	sum[1] += int32(float64((r<<fixed-luma)>>shift) / m.rv)
	sum[2]++
}

// move gives a pixel another chroma.
func (m *matrix) move(rgb []byte, from, to [2]int16) {
	cb, cr := float64(to[0]-from[0])/(1<<sharpness), float64(to[1]-from[1])/(1<<sharpness)
	green := -(cb*m.bu*float64(m.kb) + cr*m.rv*float64(m.kr)) / float64(m.kg)
	rgb[0], rgb[1], rgb[2] = moved(rgb[0], cr*m.rv), moved(rgb[1], green), moved(rgb[2], cb*m.bu)
}

func moved(v byte, by float64) byte { return byte(max(0, min(255, float64(v)+by+0.5))) }
