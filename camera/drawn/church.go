package drawn

// drawMeadow is grass under a summer sky, with trees at the horizon.
func drawMeadow(c *canvas, v variation) {
	seed := uint32(v)
	c.fill(func(x, y float32) rgb {
		sky := mix(hex(0x3f7ac2), hex(0xbcd8ee), smooth(-1, 0.45, y))
		sky = mix(sky, hex(0xffffff), 0.7*smooth(0.5, 0.8, clouds(x*1.4, y*2.6, 4, seed)))
		horizon := 0.42 - 0.2*clouds(x*3.2, 0, 3, seed+4)
		trees := mix(hex(0x1f3a1a), hex(0x4a6b34), clouds(x*14, y*14, 3, seed+5))
		land := mix(sky, trees, smooth(horizon-0.01, horizon+0.01, y))
		grass := mix(hex(0x4c7a2c), hex(0x88ac4e), clouds(x*22, y*30, 3, seed+6))
		return mix(land, grass, smooth(0.5, 0.53, y))
	})
}

// drawChurch is a white wooden church with a steeple, seen from the front.
func drawChurch(c *canvas, p pose, v variation) {
	x, foot, s := p.x, p.y+0.62*p.scale, 0.86*p.scale
	wall, roof := hex(0xf3f1ea), hex(0x4b4a50)
	nave := 0.46 * s
	// The nave with its gable, then the tower before it.
	c.clad(x, foot-0.24*s, nave, 0.24*s, wall)
	c.gable(x, foot-0.80*s, nave+0.06*s, 0.34*s, roof)
	c.gable(x, foot-0.75*s, nave-0.02*s, 0.29*s, wall)
	c.clad(x, foot-0.50*s, 0.17*s, 0.50*s, wall.lit(0.97))
	c.clad(x, foot-1.09*s, 0.125*s, 0.1*s, wall)
	c.gable(x, foot-1.72*s, 0.15*s, 0.54*s, roof)
	drawCross(c, x, foot-1.78*s, s)
	for _, side := range [...]float32{-1, 1} {
		c.arch(x+side*0.31*s, foot-0.22*s, 0.05*s, 0.13*s, hex(0x2b3440))
	}
	c.arch(x, foot-0.68*s, 0.055*s, 0.12*s, hex(0x2b3440))
	c.arch(x, foot-1.09*s, 0.05*s, 0.07*s, hex(0x20242c))
	c.arch(x, foot-0.16*s, 0.085*s, 0.16*s, hex(0x6a3322))
}

// clad is a wall of boards, lit from the left.
func (c *canvas) clad(x, y, rx, ry float32, colour rgb) {
	c.paint(around(x, y, rx, ry), func(px, py float32) (rgb, float32) {
		board := (py - y) * 26
		groove := smooth(0.82, 1, board-floor(board))
		light := 1 - 0.14*smooth(-rx, rx, px-x) - 0.09*groove
		return colour.lit(light), c.cover(blockDistance(px-x, py-y, rx, ry, 0))
	})
}

// gable is a triangle with its top at (x, y).
func (c *canvas) gable(x, y, w, h float32, colour rgb) {
	c.paint(box{x - w, y, x + w, y + h}, func(px, py float32) (rgb, float32) {
		light := 1.05 - 0.25*smooth(-0.2*w, 0.2*w, px-x)
		return colour.lit(light), c.cover(gableDistance(px-x, py-y, w, h))
	})
}

// arch is a window or door with a round top and a light frame, of half width rx.
func (c *canvas) arch(x, y, rx, ry float32, colour rgb) {
	distance := func(px, py float32) float32 {
		round := discDistance(px-x, py-(y-ry+rx), rx)
		return min(round, blockDistance(px-x, py-y-rx/2, rx, ry-rx/2, 0))
	}
	b := around(x, y, rx+0.02, ry+0.02)
	c.paint(b, func(px, py float32) (rgb, float32) { return hex(0xd8d4c8), c.cover(distance(px, py) - 0.012) })
	c.paint(b, func(px, py float32) (rgb, float32) {
		return colour.lit(1 + 0.4*smooth(ry, -ry, py-y)), c.cover(distance(px, py))
	})
}

func drawCross(c *canvas, x, y, s float32) {
	c.shape(around(x, y, 0.06*s, 0.1*s), hex(0x3a3a3e), func(px, py float32) float32 {
		up := blockDistance(px-x, py-y, 0.009*s, 0.085*s, 0)
		return min(up, blockDistance(px-x, py-y+0.025*s, 0.04*s, 0.009*s, 0))
	})
}
