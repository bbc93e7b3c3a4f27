package drawn

// drawSky is a blue sky with thin clouds.
func drawSky(c *canvas, v variation) {
	seed := uint32(v)
	c.fill(func(x, y float32) rgb {
		sky := mix(hex(0x3f7fc9), hex(0xa9cdee), smooth(-1.1, 1.1, y))
		wisp := smooth(0.52, 0.85, clouds(x*1.3+3, y*2.2, 4, seed))
		return mix(sky, hex(0xf4f8fc), 0.55*wisp)
	})
}

// drawParachute is a round canopy of coloured gores over a jumper.
func drawParachute(c *canvas, p pose, v variation) {
	s := p.scale
	top, rim := p.y-0.62*s, p.y-0.05*s
	w, h := 0.62*s, rim-top
	drawLines(c, p, w, rim)
	a, b := canopyColours(v)
	c.paint(box{p.x - w, top, p.x + w, rim + 0.12*s}, func(x, y float32) (rgb, float32) {
		return canopy((x-p.x)/w, (y-rim)/h, a, b, c.unit/h)
	})
	drawJumper(c, p.x, p.y+0.62*s, s)
}

func canopyColours(v variation) (a, b rgb) {
	pairs := [...][2]rgb{
		{hex(0xd6342c), hex(0xf6f2ea)},
		{hex(0xe8862a), hex(0xfaf4e6)},
		{hex(0x2a55b0), hex(0xf4d23a)},
	}
	pair := pairs[scatter(uint32(v), 5)%uint32(len(pairs))]
	return pair[0], pair[1]
}

// canopy is the dome: x from -1 to 1, y from -1 at the top to 0 at the rim, soft
// over so many units.
func canopy(x, y float32, a, b rgb, unit float32) (rgb, float32) {
	gores := float32(10)
	// The rim hangs in scallops, a gore wide each.
	angle := asin(max(-1, min(x, 1)))
	gore := (angle/3.1416 + 0.5) * gores
	part := gore - floor(gore)
	scallop := 0.1 * 4 * part * (1 - part) * (1 - 0.6*x*x)
	dome := hypot(x, min(y, 0)) - 1
	d := max(dome, y-scallop+0.02)
	cover := clamp(0.5 - d/(1.5*unit))
	if cover == 0 {
		return rgb{}, 0
	}
	// A gore narrows towards the top.
	width := sqrt(max(0.0001, 1-min(y, 0)*min(y, 0)))
	gore = (asin(max(-1, min(x/width, 1)))/3.1416 + 0.5) * gores
	part = gore - floor(gore)
	colour := a
	if int(gore)&1 == 1 {
		colour = b
	}
	bulge := 0.8 + 0.2*4*part*(1-part)
	light := 0.78 + 0.3*clamp(-0.5*x-0.75*y)
	return colour.lit(bulge * light), cover
}

// drawLines joins the rim with the jumper.
func drawLines(c *canvas, p pose, w, rim float32) {
	const lines = 9
	foot := p.y + 0.5*p.scale
	for i := range lines {
		x := p.x + w*sin((float32(i)/(lines-1)-0.5)*3)
		b := box{min(x, p.x) - 0.02, rim, max(x, p.x) + 0.02, foot}
		c.paint(b, func(px, py float32) (rgb, float32) {
			d := strokeDistance(px, py, x, rim, p.x, foot, 0.006)
			return hex(0x4a4d55), 0.75 * c.cover(d)
		})
	}
}

// drawJumper hangs in the harness.
func drawJumper(c *canvas, x, y, s float32) {
	dark := hex(0x22252e)
	c.shape(around(x, y-0.1*s, 0.05*s, 0.05*s), hex(0x30333c), func(px, py float32) float32 {
		return discDistance(px-x, py-y+0.1*s, 0.035*s)
	})
	c.shape(around(x, y, 0.06*s, 0.1*s), hex(0x3a4a6a), func(px, py float32) float32 {
		return blockDistance(px-x, py-y, 0.045*s, 0.075*s, 0.03*s)
	})
	for _, side := range [...]float32{-1, 1} {
		c.shape(box{x - 0.1*s, y - 0.2*s, x + 0.1*s, y + 0.25*s}, dark, func(px, py float32) float32 {
			leg := strokeDistance(px, py, x+side*0.02*s, y+0.06*s, x+side*0.045*s, y+0.2*s, 0.035*s)
			arm := strokeDistance(px, py, x+side*0.04*s, y-0.05*s, x+side*0.05*s, y-0.17*s, 0.022*s)
			return min(leg, arm)
		})
	}
}
