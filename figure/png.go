package figure

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"math"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
)

const (
	// fine pixels a pixel of the figure, each way: letters of 12 are then as sharp as a
	// screen of today shows them.
	fine = 2
	// mostPixels of a picture; a larger figure has pixels of its own size.
	mostPixels = 32 << 20
)

// WritePNG draws the light colours. Its picture has twice the figure's pixels each way,
// so that print and fine screens show it well.
func (f *Figure) WritePNG(w io.Writer) error {
	scale := float64(fine)
	if f.width*f.height*fine*fine > mostPixels {
		scale = 1
	}
	c := &canvas{
		image: image.NewRGBA(image.Rect(0, 0, int(scale)*f.width, int(scale)*f.height)), scale: scale, faces: map[letters]font.Face{},
	}
	draw.Draw(c.image, c.image.Rect, image.NewUniform(rgb(f.paper.Light)), image.Point{}, draw.Src)
	for i := range f.marks {
		if err := c.draw(&f.marks[i]); err != nil {
			return err
		}
	}
	return png.Encode(w, c.image)
}

// canvas is a picture under way.
type canvas struct {
	image *image.RGBA
	scale float64
	faces map[letters]font.Face
	fill  vector.Rasterizer
}

// letters are a font at a size.
type letters struct {
	size float64
	bold bool
}

func (c *canvas) draw(m *mark) error {
	if m.words != "" {
		return c.write(m)
	}
	line := m.points
	closed := m.closed
	if m.radius > 0 {
		line, closed = ring(m.points[0], m.radius), true
	}
	if m.style.Fill != nil {
		c.paint(m.style.Fill, m.style.Opacity, [][]Point{line})
	}
	if m.style.Stroke != nil {
		if closed {
			line = append(line[:len(line):len(line)], line[0])
		}
		c.paint(m.style.Stroke, m.style.Opacity, outline(m.style, line))
	}
	return nil
}

// write letters words.
func (c *canvas) write(m *mark) error {
	l := m.lettering
	face, err := c.face(letters{l.Size, l.Bold})
	if err != nil {
		return err
	}
	d := font.Drawer{Dst: c.image, Src: image.NewUniform(rgb(l.Ink.Light)), Face: face}
	x := fixed.Int26_6(math.Round(64 * c.scale * m.points[0].X))
	switch l.Anchor {
	case Middle:
		x -= d.MeasureString(m.words) / 2
	case End:
		x -= d.MeasureString(m.words)
	}
	d.Dot = fixed.Point26_6{X: x, Y: fixed.Int26_6(math.Round(64 * c.scale * m.points[0].Y))}
	d.DrawString(m.words)
	return nil
}

func (c *canvas) face(l letters) (font.Face, error) {
	if f := c.faces[l]; f != nil {
		return f, nil
	}
	ttf := goregular.TTF
	if l.bold {
		ttf = gobold.TTF
	}
	parsed, err := opentype.Parse(ttf)
	if err != nil {
		return nil, fmt.Errorf("font: %w", err)
	}
	f, err := opentype.NewFace(parsed, &opentype.FaceOptions{Size: l.size * c.scale, DPI: 72})
	c.faces[l] = f
	return f, err
}

// paint fills shapes as one, so that where they overlap nothing shows.
func (c *canvas) paint(ink *Ink, opacity float64, shapes [][]Point) {
	at := c.bounds(shapes)
	if at.Empty() {
		return
	}
	c.fill.Reset(at.Dx(), at.Dy())
	for _, shape := range shapes {
		for i, p := range shape {
			x := within(float32(c.scale*p.X)-float32(at.Min.X), at.Dx())
			y := within(float32(c.scale*p.Y)-float32(at.Min.Y), at.Dy())
			if i == 0 {
				c.fill.MoveTo(x, y)
			} else {
				c.fill.LineTo(x, y)
			}
		}
		c.fill.ClosePath()
	}
	source := rgb(ink.Light)
	if opacity > 0 {
		source.A = uint8(math.Round(255 * opacity))
	}
	c.fill.Draw(c.image, at, image.NewUniform(source), image.Point{})
}

// bounds are the pixels that shapes touch.
func (c *canvas) bounds(shapes [][]Point) image.Rectangle {
	least, most := Point{math.Inf(1), math.Inf(1)}, Point{math.Inf(-1), math.Inf(-1)}
	for _, shape := range shapes {
		for _, p := range shape {
			least = Point{min(least.X, p.X), min(least.Y, p.Y)}
			most = Point{max(most.X, p.X), max(most.Y, p.Y)}
		}
	}
	if least.X > most.X {
		return image.Rectangle{}
	}
	r := image.Rect(int(math.Floor(c.scale*least.X)), int(math.Floor(c.scale*least.Y)), int(math.Ceil(c.scale*most.X)), int(math.Ceil(c.scale*most.Y)))
	return r.Inset(-1).Intersect(c.image.Rect)
}

// within keeps a corner in the picture: the rasterizer panics above it.
func within(v float32, size int) float32 { return max(0, min(v, float32(size))) }

// rgb is opaque.
func rgb(v uint32) color.NRGBA {
	return color.NRGBA{R: uint8(v >> 16), G: uint8(v >> 8), B: uint8(v), A: 255}
}
