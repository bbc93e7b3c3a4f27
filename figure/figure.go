// Package figure draws lines, areas, circles and words, and writes them as SVG or as PNG.
//
// SVG comes in plain colours as attributes, which every viewer shows; where the reader
// asks for dark, and the viewer heeds it, a style sheet changes them. A PNG has the light
// ones, by golang.org/x/image/vector.
package figure

// Ink is a colour on light paper and on dark, as 0xRRGGBB each.
type Ink struct{ Light, Dark uint32 }

// Style is how a mark looks. Name is its class in SVG, and one style's alone.
type Style struct {
	Name    string
	Fill    *Ink // nil: none
	Stroke  *Ink // nil: none. Corners are round
	Width   float64
	Dash    []float64 // drawn and left out in turns; none: all drawn
	Round   bool      // ends, of dashes too, are round
	Opacity float64   // 0: 1
}

// Lettering is how words look.
type Lettering struct {
	Name   string
	Ink    Ink
	Size   float64 // pixels
	Bold   bool
	Anchor Anchor
}

// Anchor is where words stand to their point.
type Anchor string

// Where the words' point is.
const (
	Start  Anchor = "start"
	Middle Anchor = "middle"
	End    Anchor = "end"
)

// Point is in pixels, right and down from the left upper corner.
type Point struct{ X, Y float64 }

// Figure is a drawing. What is drawn later lies above.
type Figure struct {
	width, height int
	paper         Ink
	marks         []mark
}

// mark is a path, a circle, or words.
type mark struct {
	style  Style
	points []Point // of a path; else one
	closed bool
	radius float64 // of a circle; 0: none

	words     string
	lettering Lettering
}

// New is an empty figure of so many pixels.
func New(width, height int, paper Ink) *Figure {
	return &Figure{width: width, height: height, paper: paper}
}

// Line draws through points.
func (f *Figure) Line(s Style, points ...Point) {
	f.marks = append(f.marks, mark{style: s, points: points})
}

// Area draws around points.
func (f *Figure) Area(s Style, points ...Point) {
	f.marks = append(f.marks, mark{style: s, points: points, closed: true})
}

// Circle draws around a centre.
func (f *Figure) Circle(s Style, centre Point, radius float64) {
	f.marks = append(f.marks, mark{style: s, points: []Point{centre}, radius: radius})
}

// Words writes one line, its baseline at a point. It is the caller's to see that they are
// printable.
func (f *Figure) Words(l Lettering, at Point, words string) {
	f.marks = append(f.marks, mark{points: []Point{at}, words: words, lettering: l})
}
