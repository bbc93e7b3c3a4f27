package drawn

// drawLawn is mown grass in the sun, darker and softer towards the horizon.
func drawLawn(c *canvas, v variation) {
	seed := uint32(v)
	c.fill(func(x, y float32) rgb {
		depth := smooth(-1, 1, y)
		blades := clouds(x*30, y*(14+6*depth), 3, seed)
		patches := clouds(x*2, y*4, 2, seed+9)
		green := mix(hex(0x2f5a1c), hex(0x7fae45), 0.25+0.5*patches)
		return green.lit(0.75 + 0.55*(blades-0.5)*(0.4+depth) + 0.15*depth)
	})
}

// drawGolfBall is a white ball with dimples, lit from above left, and its shadow.
func drawGolfBall(c *canvas, p pose, v variation) {
	r := 0.52 * p.scale
	c.paint(around(p.x+0.1, p.y+r*0.92, 1.3*r, 0.4*r), func(x, y float32) (rgb, float32) {
		d := ovalDistance(x-p.x-0.1, y-p.y-r*0.92, 1.0*r, 0.22*r)
		return hex(0x12240a), 0.75 * (1 - smooth(-0.2, 0.12, d))
	})
	turn := v.pick(3, 0, 3) + 0.6*p.x
	c.paint(around(p.x, p.y, r, r), func(x, y float32) (rgb, float32) {
		dx, dy := (x-p.x)/r, (y-p.y)/r
		cover := c.cover(discDistance(x-p.x, y-p.y, r))
		if cover == 0 {
			return rgb{}, 0
		}
		return golfBallColour(dx, dy, turn), cover
	})
}

// golfBallColour shades a point of the unit disc as that of a dimpled sphere.
func golfBallColour(dx, dy, turn float32) rgb {
	dz := sqrt(max(0, 1-dx*dx-dy*dy))
	nx, ny, nz := dimple(dx, dy, dz, turn)
	light := clamp(-0.45*nx - 0.62*ny + 0.64*nz)
	shine := light * light * light * light
	shade := 0.34 + 0.58*light + 0.12*shine*shine
	edge := smooth(0, 0.5, dz)
	ground := smooth(0.2, 1, dy) * 0.28
	white := mix(hex(0xc9d2da), hex(0xffffff), light)
	return mix(white, hex(0x86a860), ground).lit(shade * (0.72 + 0.28*edge))
}

// dimple bends the normal of a sphere at the dimples' walls. They lie on turned
// rings of latitude, every other one shifted by half a dimple.
func dimple(x, y, z, turn float32) (nx, ny, nz float32) {
	const rings = 15
	// Turned towards the viewer, so that the rings' pole stays out of sight.
	px, py, pz := x, 0.8*y-0.6*z, 0.6*y+0.8*z
	lat := atan2(py, hypot(px, pz))
	ring := floor(lat*rings/3.1416 + 0.5)
	latC := ring * 3.1416 / rings
	count := max(1, floor(2*rings*cos(latC)+0.5))
	lon := atan2(px, pz) + turn + 3.1416*float32(int(ring)&1)/count
	step := 6.2832 / count
	lonC := (floor(lon/step) + 0.5) * step
	dLat, dLon := lat-latC, (lon-lonC)*cos(latC)
	const radius = 0.088
	d := hypot(dLat, dLon) / radius
	if d >= 1 {
		return x, y, z
	}
	bend := 0.75 * d * (1 - smooth(0.75, 1, d)) / max(d, 0.01)
	// Along the surface: to the right and down, as seen.
	nx, ny, nz = x-bend*dLon/radius, y-bend*dLat/radius, z
	k := 1 / max(0.01, sqrt(nx*nx+ny*ny+nz*nz))
	return nx * k, ny * k, nz * k
}
