package visualize

import (
	"fmt"
	"image"
	"image/color"
	"math"

	"golang.org/x/image/draw"

	"dynvit/printable"
)

// The layout of a strip, in pixels.
const (
	margin  = 28
	gap     = 18 // between panels
	heading = 92 // above the panels
	footing = 62 // below them
)

func paper() color.RGBA { return color.RGBA{0xff, 0xff, 0xff, 0xff} }
func ink() color.RGBA   { return color.RGBA{0x1f, 0x23, 0x28, 0xff} }
func faint() color.RGBA { return color.RGBA{0x65, 0x6d, 0x76, 0xff} }
func frame() color.RGBA { return color.RGBA{0xff, 0xb0, 0x00, 0xff} } // round what the model sees

// Strip is the picture with a panel for each stage, in which the patches that were
// dropped are dimmed and those that were merged have one colour. subtitle says what looked at it.
func (l *Look) Strip(subtitle string) (*image.RGBA, error) {
	f, err := newFonts()
	if err != nil {
		return nil, err
	}
	side := l.Crop.Rect.Dx()
	width := 2*margin + max(l.Whole.Rect.Dx(), captionWidth) + len(l.Kept)*(side+gap)
	dst := image.NewRGBA(image.Rect(0, 0, width, heading+side+footing))
	draw.Draw(dst, dst.Rect, image.NewUniform(paper()), image.Point{}, draw.Src)
	letter(dst, f.title, ink(), margin, margin+20, width-2*margin, fmt.Sprintf("%s  %.1f %%", printable.Line(l.Label), 100*l.Score))
	letter(dst, f.note, faint(), margin, margin+44, width-2*margin, l.Name()+" — "+printable.Line(subtitle))

	x := margin
	l.original(dst, f, x, side)
	x += max(l.Whole.Rect.Dx(), captionWidth) + gap
	for stage := range l.Kept {
		draw.Draw(dst, image.Rect(x, heading, x+side, heading+side), l.Panel(stage), image.Point{}, draw.Src)
		caption(dst, f, x, side, fmt.Sprintf("stage %d", stage+1), l.share(stage))
		x += side + gap
	}
	return dst, nil
}

// captionWidth is what a caption needs below the narrowest picture.
const captionWidth = 180

// original draws the whole picture, with a frame round what the model sees of it.
func (l *Look) original(dst *image.RGBA, f fonts, x, side int) {
	size := l.Whole.Rect.Size()
	at := image.Pt(x, heading+(side-size.Y)/2)
	draw.Draw(dst, image.Rectangle{at, at.Add(size)}, l.Whole, image.Point{}, draw.Src)
	outline(dst, l.seen(size).Add(at))
	caption(dst, f, x, max(size.X, captionWidth), "picture", fmt.Sprintf("%d × %d", l.Width, l.Height))
}

// seen is what the model sees of the picture where that is shown in a size.
func (l *Look) seen(size image.Point) image.Rectangle {
	scaled := func(share float64, n int) int { return int(math.Round(share * float64(n))) }
	return image.Rect(scaled(l.Area.X0, size.X), scaled(l.Area.Y0, size.Y), scaled(l.Area.X1, size.X), scaled(l.Area.Y1, size.Y))
}

func caption(dst *image.RGBA, f fonts, x, width int, title, note string) {
	y := dst.Rect.Dy() - footing
	letter(dst, f.caption, ink(), x, y+22, width, title)
	letter(dst, f.note, faint(), x, y+42, width, note)
}

// outline draws a frame two pixels wide just within r.
func outline(dst *image.RGBA, r image.Rectangle) {
	c := image.NewUniform(frame())
	in := r.Inset(2)
	for _, edge := range []image.Rectangle{
		{r.Min, image.Pt(r.Max.X, in.Min.Y)}, {image.Pt(r.Min.X, in.Max.Y), r.Max},
		{r.Min, image.Pt(in.Min.X, r.Max.Y)}, {image.Pt(in.Max.X, r.Min.Y), r.Max},
	} {
		draw.Draw(dst, edge, c, image.Point{}, draw.Src)
	}
}

// Panel is what the model sees, with the patches dimmed that are gone after a
// stage, 0 being the first. Where patches are merged, those that live on in one have the mean of
// their colours, and a border (as in ToMe's pictures, Bolya et al., ICLR 2023).
func (l *Look) Panel(stage int) *image.RGBA {
	dst := image.NewRGBA(l.Crop.Rect)
	copy(dst.Pix, l.Crop.Pix)
	l.colour(dst, stage)
	for _, i := range l.gone(stage) {
		dim(dst, l.square(i))
	}
	l.outlineRegions(dst, stage)
	return dst
}

// dim takes the colour and most of the light out of a patch.
func dim(img *image.RGBA, r image.Rectangle) {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		row := img.Pix[img.PixOffset(r.Min.X, y):img.PixOffset(r.Max.X, y)]
		for p := 0; p < len(row); p += 4 {
			grey := (299*int(row[p]) + 587*int(row[p+1]) + 114*int(row[p+2])) / 1000
			shade := byte(18 + grey*24/100)
			if y == r.Min.Y || p == 0 { // a grid, so that a dark patch is not taken for a dropped one
				shade += 22
			}
			row[p], row[p+1], row[p+2] = shade, shade, shade
		}
	}
}
