package ref

import "dynvit/backends"

// resizing implements backends.Resizing.
type resizing struct{ backends.Resize }

func (z *resizing) Len() int { return 3 * z.Size * z.Size }

// PrepareResize implements backends.Resizer.
func (*ref) PrepareResize(z backends.Resize) (backends.Resizing, error) {
	need("PrepareResize", len(z.Across.Taps) == z.Across.Out && len(z.Down.Taps) == z.Down.Out, "as many taps as pixels are wanted")
	need("PrepareResize", z.Across.Pad+z.Across.Out <= z.Size && z.Down.Pad+z.Down.Out <= z.Size, "more pixels than the input has")
	return &resizing{z}, nil
}

// Resize implements backends.Resizer.
func (*ref) Resize(dst backends.Tensor, from backends.Pixels, by backends.Resizing) {
	z := by.(*resizing)
	need("Resize", len(dst.Host) == z.Len(), "length differs")
	need("Resize", from.X+z.Width <= from.Width && from.Y+z.Height <= from.Height, "the frame is smaller")
	need("Resize", len(from.Data) >= from.Format.Bytes(from.Width, from.Height), "too few bytes")
	p := window(from, z.Width, z.Height)
	if z.DownFirst {
		p = p.turned().resized(z.Down).turned().resized(z.Across)
	} else {
		p = p.resized(z.Across).turned().resized(z.Down).turned()
	}
	for y := range z.Size {
		for x := range z.Size {
			var c colour // black
			if px, py := x-z.Across.Pad, y-z.Down.Pad; px >= 0 && px < p.width && py >= 0 && py < p.height {
				c = p.at(px, py)
			}
			for i, v := range c {
				dst.Host[z.place(x, y, i)] = z.Table[i][v]
			}
		}
	}
}

// place is where channel c of pixel (x, y) of the input lies.
func (z *resizing) place(x, y, c int) int {
	side := z.Patch
	if side == 0 {
		return 3*(y*z.Size+x) + c
	}
	patch := y/side*(z.Size/side) + x/side
	return (3*patch+c)*side*side + y%side*side + x%side
}

type colour [3]byte

// picture is rows of pixels from the top.
type picture struct {
	width, height int
	pixels        []colour
}

func (p picture) at(x, y int) colour { return p.pixels[y*p.width+x] }

// made is a picture of w×h by a function for its pixels.
func made(w, h int, at func(x, y int) colour) picture {
	p := picture{w, h, make([]colour, 0, w*h)}
	for y := range h {
		for x := range w {
			p.pixels = append(p.pixels, at(x, y))
		}
	}
	return p
}

// turned has rows for columns.
func (p picture) turned() picture {
	return made(p.height, p.width, func(x, y int) colour { return p.at(y, x) })
}

// resized is each row resized.
func (p picture) resized(by backends.Pass) picture {
	return made(by.Out, p.height, func(x, y int) (c colour) {
		first, count, weights := int(by.Taps[x][0]), int(by.Taps[x][1]), by.Weights[by.Taps[x][2]:]
		for i := range c {
			sum := int32(1 << 21)
			for j := range count {
				sum += int32(p.at(first+j, y)[i]) * weights[j]
			}
			c[i] = clamped(sum >> 22)
		}
		return c
	})
}

func clamped(v int32) byte { return byte(max(0, min(255, v))) }

// window is the pixels from the first that is looked at on, as RGB.
func window(from backends.Pixels, w, h int) picture {
	return made(w, h, func(x, y int) colour { return pixel(from, from.X+x, from.Y+y) })
}

func pixel(p backends.Pixels, x, y int) colour {
	d, half, i := p.Data, (p.Width+1)/2, y*p.Width+x
	switch p.Format {
	case backends.Grey:
		return colour{d[i], d[i], d[i]}
	case backends.YUYV:
		pair := d[4*(half*y+x/2):]
		return studio(pair[2*(x%2)], pair[1], pair[3])
	case backends.NV12:
		uv := d[p.Width*p.Height+2*(half*(y/2)+x/2):]
		return studio(d[i], uv[0], uv[1])
	case backends.I420:
		u := p.Width*p.Height + half*(y/2) + x/2
		return studio(d[i], d[u], d[u+half*((p.Height+1)/2)])
	}
	return colour(d[3*i:][:3])
}

// studio is BT.601's limited range in fixed point with 16 fractional bits.
func studio(y, u, v byte) colour {
	luma, cb, cr := 76309*(int32(y)-16)+1<<15, int32(u)-128, int32(v)-128
	return colour{clamped((luma + 104597*cr) >> 16), clamped((luma - 25675*cb - 53279*cr) >> 16), clamped((luma + 132201*cb) >> 16)}
}
