package visualize

import (
	"fmt"
	"image"
	"image/color"
	"unicode/utf8"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// fonts are the sizes that a strip is lettered in.
type fonts struct{ title, caption, note font.Face }

func newFonts() (fonts, error) {
	title, err1 := face(gobold.TTF, 24)
	caption, err2 := face(gobold.TTF, 15)
	note, err3 := face(goregular.TTF, 14)
	for _, err := range []error{err1, err2, err3} {
		if err != nil {
			return fonts{}, err
		}
	}
	return fonts{title, caption, note}, nil
}

// face is a font at so many pixels.
func face(ttf []byte, size float64) (font.Face, error) {
	f, err := opentype.Parse(ttf)
	if err != nil {
		return nil, fmt.Errorf("font: %w", err)
	}
	return opentype.NewFace(f, &opentype.FaceOptions{Size: size, DPI: 72, Hinting: font.HintingFull})
}

// letter writes s with its baseline at y, cut where it would be wider than width.
func letter(dst *image.RGBA, f font.Face, c color.Color, x, y, width int, s string) {
	d := font.Drawer{Dst: dst, Src: image.NewUniform(c), Face: f, Dot: fixed.P(x, y)}
	d.DrawString(cut(f, s, width))
}

// cut shortens s to a width in pixels.
func cut(f font.Face, s string, width int) string {
	if font.MeasureString(f, s).Ceil() <= width {
		return s
	}
	for s != "" {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
		if font.MeasureString(f, s+"…").Ceil() <= width {
			break
		}
	}
	return s + "…"
}
