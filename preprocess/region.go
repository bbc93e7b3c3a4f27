package preprocess

import (
	"fmt"
	"math"
)

// Region is the part of a picture to look at, as fractions of its width and
// height: X0 < X1, Y0 < Y1, all within 0 to 1.
//
// Its edges are rounded to the nearest pixel edge, halves up, and it has at least
// one pixel; what lies outside has no influence on the result. Chroma that
// several pixels share stays where it is, wherever a region begins.
type Region struct{ X0, Y0, X1, Y1 float64 }

// Whole is the whole picture.
var Whole = Region{0, 0, 1, 1}

// Check reports a region that is empty or reaches outside the picture.
func (r Region) Check() error {
	if !(r.X0 >= 0 && r.X0 < r.X1 && r.X1 <= 1 && r.Y0 >= 0 && r.Y0 < r.Y1 && r.Y1 <= 1) {
		return fmt.Errorf("region [%v, %v, %v, %v]: want x0 < x1 and y0 < y1, all from 0 to 1", r.X0, r.Y0, r.X1, r.Y1)
	}
	return nil
}

// pixels is the region of a picture of w×h.
func (r Region) pixels(w, h int) box {
	x0, x1 := span(r.X0, r.X1, w)
	y0, y1 := span(r.Y0, r.Y1, h)
	return box{x0, y0, x1, y1}
}

func span(from, to float64, n int) (int, int) {
	a := min(int(math.Round(from*float64(n))), n-1)
	return a, max(a+1, int(math.Round(to*float64(n))))
}

// box is a rectangle of whole pixels; x1 and y1 lie outside.
type box struct{ x0, y0, x1, y1 int }

func (b box) width() int  { return b.x1 - b.x0 }
func (b box) height() int { return b.y1 - b.y0 }
