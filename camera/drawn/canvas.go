package drawn

import "math"

// rgb is a colour as a screen shows it, each part 0 to 1.
type rgb struct{ r, g, b float32 }

// hex is a colour as the web writes it, 0xRRGGBB.
func hex(v uint32) rgb {
	return rgb{float32(v>>16&255) / 255, float32(v>>8&255) / 255, float32(v&255) / 255}
}

// mix goes from a (t = 0) to b (t = 1).
func mix(a, b rgb, t float32) rgb {
	return rgb{a.r + (b.r-a.r)*t, a.g + (b.g-a.g)*t, a.b + (b.b-a.b)*t}
}

// lit is a colour under more (k > 1) or less light.
func (c rgb) lit(k float32) rgb { return rgb{c.r * k, c.g * k, c.b * k} }

// box is a rectangle in canvas units.
type box struct{ x0, y0, x1, y1 float32 }

// around is the box of half sides rx and ry about a point.
func around(x, y, rx, ry float32) box { return box{x - rx, y - ry, x + rx, y + ry} }

// canvas is a picture being drawn. Its units do not depend on the size in pixels:
// the origin is the centre, y points down, and the short side goes from -1 to 1.
type canvas struct {
	width, height int   // pixels
	pix           []rgb // [height, width]
	unit          float32
}

func newCanvas(width, height int) *canvas {
	return &canvas{
		width: width, height: height,
		pix:  make([]rgb, width*height),
		unit: 2 / float32(min(width, height)),
	}
}

// x and y are the place of a pixel's centre.
func (c *canvas) x(i int) float32 { return (float32(i) + 0.5 - float32(c.width)/2) * c.unit }
func (c *canvas) y(i int) float32 { return (float32(i) + 0.5 - float32(c.height)/2) * c.unit }

// fill gives every pixel a colour.
func (c *canvas) fill(colour func(x, y float32) rgb) {
	for j := range c.height {
		y, row := c.y(j), c.pix[j*c.width:][:c.width]
		for i := range row {
			row[i] = colour(c.x(i), y)
		}
	}
}

// paint lays a colour of some opacity, 0 to 1, over each pixel of a box.
func (c *canvas) paint(b box, brush func(x, y float32) (rgb, float32)) {
	i0, i1 := c.span(b.x0, b.x1, c.width)
	j0, j1 := c.span(b.y0, b.y1, c.height)
	for j := j0; j < j1; j++ {
		y, row := c.y(j), c.pix[j*c.width:][:c.width]
		for i := i0; i < i1; i++ {
			if colour, opacity := brush(c.x(i), y); opacity > 0 {
				row[i] = mix(row[i], colour, min(opacity, 1))
			}
		}
	}
}

// span is the pixels that a range of canvas units touches, with one on each side
// for soft edges.
func (c *canvas) span(from, to float32, n int) (int, int) {
	half := float32(n) / 2
	return max(0, int(from/c.unit+half)-1), min(n, int(to/c.unit+half)+2)
}

// cover is how much of a pixel a shape covers, from the distance to its edge,
// negative inside.
func (c *canvas) cover(distance float32) float32 {
	return clamp(0.5 - distance/(1.5*c.unit))
}

// shape paints one colour inside a distance function.
func (c *canvas) shape(b box, colour rgb, distance func(x, y float32) float32) {
	c.paint(b, func(x, y float32) (rgb, float32) { return colour, c.cover(distance(x, y)) })
}

// write stores the canvas as RGB24 in dst, [height, width, 3], with the noise of
// a sensor, which frame makes different each time.
func (c *canvas) write(dst []byte, frame uint32) {
	for i, p := range c.pix {
		n := noiseLevel * (float32(scatter(uint32(i), frame)&0xffff)/0x8000 - 1)
		dst[3*i] = level(p.r + n)
		dst[3*i+1] = level(p.g + n)
		dst[3*i+2] = level(p.b + n)
	}
}

// noiseLevel is the largest change by noise: two and a half levels of 255.
const noiseLevel = 0.01

func level(v float32) byte { return byte(clamp(v)*255 + 0.5) }

func clamp(v float32) float32 { return max(0, min(v, 1)) }

// smooth goes from 0 at a to 1 at b without corners.
func smooth(a, b, v float32) float32 {
	t := clamp((v - a) / (b - a))
	return t * t * (3 - 2*t)
}

func sqrt(v float32) float32 { return float32(math.Sqrt(float64(v))) }
func sin(v float32) float32  { return float32(math.Sin(float64(v))) }
func cos(v float32) float32  { return float32(math.Cos(float64(v))) }
func abs(v float32) float32  { return max(v, -v) }
func floor(v float32) float32 {
	return float32(math.Floor(float64(v)))
}
func hypot(x, y float32) float32 { return sqrt(x*x + y*y) }
func atan2(y, x float32) float32 { return float32(math.Atan2(float64(y), float64(x))) }
func asin(v float32) float32     { return float32(math.Asin(float64(v))) }
