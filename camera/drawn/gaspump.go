package drawn

// drawForecourt is concrete before a low building and a bright sky.
func drawForecourt(c *canvas, v variation) {
	seed := uint32(v)
	c.fill(func(x, y float32) rgb {
		sky := mix(hex(0x8fb8dd), hex(0xe4edf3), smooth(-1, 0.1, y))
		trees := mix(hex(0x3c5230), hex(0x6d8450), clouds(x*8, y*8, 3, seed))
		line := -0.12 - 0.18*clouds(x*2.5, 1, 3, seed+3)
		back := mix(sky, trees, smooth(line-0.02, line+0.02, y))
		ground := mix(hex(0x8d8b86), hex(0xb3b0a8), clouds(x*6, y*16, 4, seed+1))
		return mix(back, ground, smooth(0.32, 0.35, y))
	})
}

// drawGasPump is a red pump of the old kind: round shoulders, a white face with
// counters, a hose with its nozzle at the side.
func drawGasPump(c *canvas, p pose, v variation) {
	x, y, s := p.x-0.05*p.scale, p.y, p.scale
	red := hex(0xc8281f)
	c.slab(x, y+0.86*s, 0.5*s, 0.07*s, 0.02*s, hex(0xa8a59c))
	c.slab(x, y, 0.36*s, 0.82*s, 0.08*s, red)
	c.slab(x, y-0.45*s, 0.30*s, 0.27*s, 0.03*s, hex(0xf2efe6))
	drawCounters(c, x, y-0.45*s, s)
	c.slab(x, y-0.06*s, 0.30*s, 0.05*s, 0.015*s, hex(0xe9e4d6))
	c.slab(x, y+0.36*s, 0.29*s, 0.30*s, 0.02*s, red.lit(0.86))
	drawHose(c, x, y, s)
}

// slab is a block with round corners, lit from the left as if it bulged.
func (c *canvas) slab(x, y, rx, ry, corner float32, colour rgb) {
	c.paint(around(x, y, rx, ry), func(px, py float32) (rgb, float32) {
		d := blockDistance(px-x, py-y, rx, ry, corner)
		u := (px - x) / rx
		light := 1.04 - 0.22*u*u - 0.1*u - 0.12*smooth(-0.02, 0, d)
		return colour.lit(light), c.cover(d)
	})
}

// drawCounters are the two windows with digits and a row of grades.
func drawCounters(c *canvas, x, y, s float32) {
	for i := range 2 {
		wy := y - 0.13*s + float32(i)*0.15*s
		c.slab(x, wy, 0.22*s, 0.052*s, 0.01*s, hex(0x17181a))
		for k := range 5 {
			drawDigit(c, x+(float32(k)-2)*0.08*s, wy, s, scatter(uint32(k), uint32(i)))
		}
	}
	for k := range 3 {
		colours := [...]rgb{hex(0x2c62b4), hex(0xe3b42c), hex(0x2f8a4c)}
		c.slab(x+(float32(k)-1)*0.15*s, y+0.18*s, 0.06*s, 0.045*s, 0.01*s, colours[k])
	}
}

// drawDigit is one of seven segments, some of which are on.
func drawDigit(c *canvas, x, y, s float32, on uint32) {
	w, h := 0.02*s, 0.032*s
	c.shape(around(x, y, 2*w, 2*h), hex(0xf3f0e0), func(px, py float32) float32 {
		d := float32(1)
		for k, seg := range [...][4]float32{
			{-w, -h, w, -h}, {-w, 0, w, 0}, {-w, h, w, h}, {-w, -h, -w, 0}, {w, -h, w, 0}, {-w, 0, -w, h}, {w, 0, w, h},
		} {
			if on>>k&1 == 0 {
				d = min(d, strokeDistance(px-x, py-y, seg[0], seg[1], seg[2], seg[3], 0.011*s))
			}
		}
		return d
	})
}

// drawHose hangs in a bow from the pump's side up to the nozzle in its holder.
func drawHose(c *canvas, x, y, s float32) {
	black := hex(0x1c1c1e)
	cx, cy := x+0.47*s, y+0.15*s
	c.shape(around(cx, cy+0.2*s, 0.2*s, 0.75*s), black, func(px, py float32) float32 {
		low := cy + 0.32*s
		bow := abs(hypot(px-cx, py-low)-0.1*s) - 0.024*s
		if py < low {
			bow = 1
		}
		left := strokeDistance(px, py, cx-0.1*s, cy+0.1*s, cx-0.1*s, low, 0.048*s)
		right := strokeDistance(px, py, cx+0.1*s, cy-0.45*s, cx+0.1*s, low, 0.048*s)
		return min(bow, min(left, right))
	})
	c.slab(x+0.42*s, cy-0.42*s, 0.05*s, 0.13*s, 0.02*s, hex(0x55585c))
	c.shape(around(cx, cy-0.5*s, 0.25*s, 0.25*s), black, func(px, py float32) float32 {
		grip := strokeDistance(px, py, cx+0.1*s, cy-0.4*s, cx+0.09*s, cy-0.58*s, 0.08*s)
		spout := strokeDistance(px, py, cx+0.08*s, cy-0.58*s, cx-0.07*s, cy-0.5*s, 0.045*s)
		return min(grip, spout)
	})
}
