package drawn

// drawShelf is a wooden board before a plain wall.
func drawShelf(c *canvas, v variation) {
	seed := uint32(v)
	c.fill(func(x, y float32) rgb {
		wall := mix(hex(0xd9d3c6), hex(0xc2bbad), smooth(-1, 1, hypot(x, y)))
		grain := clouds(x*1.5, y*22, 4, seed)
		wood := mix(hex(0x7a5230), hex(0xa97a48), grain)
		return mix(wall, wood, smooth(0.5, 0.52, y))
	})
}

// drawCassettePlayer is a portable recorder: a deck with the tape behind glass, a
// speaker beside it, keys above, a dial.
func drawCassettePlayer(c *canvas, p pose, v variation) {
	x, y, s := p.x, p.y, p.scale
	body := hex(0x33353a)
	c.slab(x, y+0.5*s, 0.86*s, 0.06*s, 0.05*s, hex(0x1c1410))
	c.slab(x, y, 0.86*s, 0.5*s, 0.05*s, body)
	c.slab(x, y, 0.82*s, 0.46*s, 0.03*s, hex(0xd2d4d6))
	drawSpeaker(c, x-0.46*s, y+0.08*s, 0.30*s)
	drawDeck(c, x+0.3*s, y+0.13*s, s)
	drawKeys(c, x+0.3*s, y-0.3*s, s)
}

// drawSpeaker is a grille of holes over a cone.
func drawSpeaker(c *canvas, x, y, r float32) {
	c.paint(around(x, y, r, r), func(px, py float32) (rgb, float32) {
		d := discDistance(px-x, py-y, r)
		gx, gy := (px-x)*26, (py-y)*26
		hole := smooth(0.42, 0.3, hypot(gx-floor(gx)-0.5, gy-floor(gy)-0.5))
		ring := smooth(-0.05, -0.03, d)
		return mix(mix(hex(0x6c6f74), hex(0x111214), hole), hex(0x8d9096), ring), c.cover(d)
	})
}

// drawDeck is the window with the two reels of a tape.
func drawDeck(c *canvas, x, y, s float32) {
	c.slab(x, y, 0.42*s, 0.27*s, 0.03*s, hex(0x202226))
	c.slab(x, y-0.01*s, 0.36*s, 0.21*s, 0.02*s, hex(0xe8e2d0))
	c.slab(x, y-0.13*s, 0.32*s, 0.05*s, 0.01*s, hex(0xc84a32))
	c.slab(x, y+0.03*s, 0.27*s, 0.085*s, 0.07*s, hex(0x3a2a20))
	for _, side := range [...]float32{-1, 1} {
		drawReel(c, x+side*0.17*s, y+0.03*s, 0.07*s)
	}
}

func drawReel(c *canvas, x, y, r float32) {
	c.shape(around(x, y, r, r), hex(0xf4f2ec), func(px, py float32) float32 {
		dx, dy := px-x, py-y
		ring := abs(hypot(dx, dy)-0.75*r) - 0.25*r
		teeth := max(hypot(dx, dy)-0.6*r, abs(sin(3*atan2(dy, dx)))*r-0.35*r)
		return min(ring, max(teeth, 0.3*r-hypot(dx, dy)))
	})
}

// drawKeys are the row of keys and the tuning scale above the deck.
func drawKeys(c *canvas, x, y, s float32) {
	for k := range 6 {
		kx := x + (float32(k)-2.5)*0.13*s
		colour := hex(0x2a2c30)
		if k == 0 {
			colour = hex(0xb03024)
		}
		c.slab(kx, y, 0.055*s, 0.07*s, 0.012*s, colour)
	}
	c.slab(x-0.76*s, y, 0.3*s, 0.07*s, 0.015*s, hex(0x15171a))
	for k := range 9 {
		c.slab(x-0.76*s+(float32(k)-4)*0.06*s, y, 0.004*s, 0.03*s, 0, hex(0xd8d4b8))
	}
	c.slab(x-0.7*s, y, 0.006*s, 0.06*s, 0, hex(0xe04030))
}
