package calibrate

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"

	"dynvit/figure"
	"dynvit/printable"
)

// Sizes in pixels of a panel's drawing area and what surrounds it.
const (
	areaWidth, areaHeight = 340, 220
	marginLeft            = 56
	marginRight           = 52
	marginTop             = 34
	marginBottom          = 44
	headHeight            = 74
	panelWidth            = marginLeft + areaWidth + marginRight
	panelHeight           = marginTop + areaHeight + marginBottom
	panelColumns          = 3
)

// The colours. Those of the two axes differ in lightness too, for readers who do not
// see red and green; their lines differ in kind.
var (
	paperInk   = figure.Ink{Light: 0xffffff, Dark: 0x14171c}
	textInk    = figure.Ink{Light: 0x1f2430, Dark: 0xe8eaee}
	softInk    = figure.Ink{Light: 0x5b6472, Dark: 0xa3abb8}
	gridInk    = figure.Ink{Light: 0xe4e7ec, Dark: 0x2c323b}
	timeInk    = figure.Ink{Light: 0x1f5fa8, Dark: 0x7ab8f5}
	qualityInk = figure.Ink{Light: 0xb45309, Dark: 0xf0a84b}
	budgetInk  = figure.Ink{Light: 0xc02626, Dark: 0xff8080}
)

var (
	gridStyle    = figure.Style{Name: "grid", Stroke: &gridInk, Width: 1}
	bandStyle    = figure.Style{Name: "band", Fill: &timeInk, Opacity: 0.22}
	timeStyle    = figure.Style{Name: "time", Stroke: &timeInk, Width: 2}
	barStyle     = figure.Style{Name: "bar", Stroke: &timeInk, Width: 2, Opacity: 0.5}
	qualityStyle = figure.Style{Name: "quality", Stroke: &qualityInk, Width: 2, Dash: []float64{1, 4}, Round: true}
	dotStyle     = figure.Style{Name: "dot", Fill: &qualityInk}
	budgetStyle  = figure.Style{Name: "budget", Stroke: &budgetInk, Width: 2, Dash: []float64{7, 4}}
	chosenStyle  = figure.Style{Name: "chosen", Stroke: &textInk, Width: 2}
)

var (
	titleWords   = figure.Lettering{Name: "title", Ink: textInk, Size: 16, Bold: true}
	nameWords    = figure.Lettering{Name: "name", Ink: textInk, Size: 13, Bold: true}
	plainWords   = figure.Lettering{Name: "plain", Ink: textInk, Size: 12}
	softWords    = figure.Lettering{Name: "soft", Ink: softInk, Size: 12}
	axisWords    = figure.Lettering{Name: "soft", Ink: softInk, Size: 12, Anchor: figure.Middle}
	timeWords    = figure.Lettering{Name: "timetext", Ink: timeInk, Size: 12, Anchor: figure.End}
	qualityWords = figure.Lettering{Name: "qualitytext", Ink: qualityInk, Size: 12}
	budgetWords  = figure.Lettering{Name: "budgettext", Ink: budgetInk, Size: 12, Anchor: figure.End}
)

// WriteSVG draws the table: for each precision and thread count a panel with the
// latency band from p50 to p95 against the keep ratio, the budget, and the quality
// on the second axis. All panels share their scales.
func WriteSVG(w io.Writer, t *Table) error { return plot(t).WriteSVG(w) }

// WritePNG draws the same, on light paper.
func WritePNG(w io.Writer, t *Table) error { return plot(t).WritePNG(w) }

func plot(t *Table) *figure.Figure {
	c := newChart(t)
	c.head()
	for i, g := range c.groups {
		c.panel(i, g)
	}
	return c.f
}

// chart is a drawing under way: the scales, and what was drawn.
type chart struct {
	t          *Table
	groups     []Group
	f          *figure.Figure
	least      float64 // keep ratio at the left
	longest    float64 // milliseconds at the top
	worst      float64 // quality at the bottom
	what       string  // the quality's name
	originX, y int     // of the panel in hand: left and top of its area
}

func newChart(t *Table) *chart {
	c := &chart{t: t, least: 1, worst: 1, what: t.Quality()}
	for _, p := range t.Points {
		if !slices.Contains(c.groups, p.Group) {
			c.groups = append(c.groups, p.Group)
		}
		c.least, c.longest = min(c.least, p.KeepRatio), max(c.longest, p.P95)
		if p.Judged > 0 {
			c.worst = min(c.worst, p.Value())
		}
	}
	if t.BudgetMS <= 1.5*c.longest { // a budget far above would flatten the bands
		c.longest = max(c.longest, t.BudgetMS)
	}
	c.longest *= 1.06
	c.least = min(0.9, math.Floor(c.least*10-0.1)/10)
	c.worst = max(0, min(0.9, math.Floor(c.worst*10-0.1)/10))
	columns := c.columns()
	rows := (len(c.groups) + columns - 1) / columns
	c.f = figure.New(max(panelWidth*columns, 640), headHeight+panelHeight*rows, paperInk)
	return c
}

func (c *chart) words(l figure.Lettering, x, y float64, words string) {
	c.f.Words(l, figure.Point{X: x, Y: y}, printable.Line(words))
}

func (c *chart) line(s figure.Style, x0, y0, x1, y1 float64) {
	c.f.Line(s, figure.Point{X: x0, Y: y0}, figure.Point{X: x1, Y: y1})
}

func (c *chart) circle(s figure.Style, x, y, radius float64) {
	c.f.Circle(s, figure.Point{X: x, Y: y}, radius)
}

// columns of panels: as square as they go, so that no row is left nearly empty.
func (c *chart) columns() int {
	return max(1, min(panelColumns, int(math.Ceil(math.Sqrt(float64(len(c.groups)))))))
}

// head writes title and legend.
func (c *chart) head() {
	c.words(titleWords, 16, 26, fmt.Sprintf("%s: whole-frame latency and %s by keep ratio", c.t.Model.Name, c.what))
	c.words(softWords, 16, 45, c.t.summary())
	c.f.Area(bandStyle, figure.Point{X: 16, Y: 56}, figure.Point{X: 38, Y: 56}, figure.Point{X: 38, Y: 68}, figure.Point{X: 16, Y: 68})
	c.line(timeStyle, 16, 68, 38, 68)
	c.words(plainWords, 44, 66, "p50 to p95 (ms, left)")
	c.line(qualityStyle, 186, 62, 208, 62)
	c.circle(dotStyle, 197, 62, 3)
	c.words(plainWords, 214, 66, c.what+" (%, right)")
	c.line(budgetStyle, 356, 62, 378, 62)
	c.words(plainWords, 384, 66, fmt.Sprintf("budget %s ms at p%s", short(c.t.BudgetMS), short(c.t.Percentile)))
	c.circle(chosenStyle, 560, 62, 6)
	c.words(plainWords, 572, 66, "chosen")
}

func (c *chart) x(ratio float64) float64 {
	return float64(c.originX) + areaWidth*(ratio-c.least)/(1-c.least)
}

func (c *chart) time(ms float64) float64 {
	return float64(c.y) + areaHeight*(1-min(1, ms/c.longest))
}

func (c *chart) good(v float64) float64 {
	return float64(c.y) + areaHeight*(1-max(0, v-c.worst)/(1-c.worst))
}

func (c *chart) panel(i int, g Group) {
	columns := c.columns()
	c.originX = i%columns*panelWidth + marginLeft
	c.y = headHeight + i/columns*panelHeight + marginTop
	c.words(nameWords, float64(c.originX), float64(c.y-10), g.String())
	c.axes()
	c.budget()
	points := make([]Measured, 0, len(c.t.Points))
	for _, k := range c.t.Group(g) {
		points = append(points, c.t.Points[k])
	}
	slices.SortStableFunc(points, func(a, b Measured) int { return cmp.Compare(a.KeepRatio, b.KeepRatio) })
	c.band(points)
	c.quality(points)
	c.chosen(g)
}

func (c *chart) axes() {
	left, right, bottom := float64(c.originX), float64(c.originX+areaWidth), float64(c.y+areaHeight)
	for _, ms := range ticks(c.longest) {
		y := c.time(ms)
		c.line(gridStyle, left, y, right, y)
		c.words(timeWords, left-7, y+4, short(ms))
	}
	for tenth := 10; tenth >= int(math.Round(c.worst*10)); tenth -= tenths(c.worst) {
		c.words(qualityWords, right+7, c.good(float64(tenth)/10)+4, fmt.Sprint(10*tenth))
	}
	for tenth := 10; tenth >= int(math.Round(c.least*10)); tenth -= tenths(c.least) {
		x := c.x(float64(tenth) / 10)
		c.line(gridStyle, x, bottom, x, bottom+5)
		c.words(axisWords, x, bottom+18, short(float64(tenth)/10))
	}
	c.words(axisWords, (left+right)/2, bottom+35, "keep ratio")
}

// tenths between the labels of an axis from low to 1: six labels at most.
func tenths(low float64) int {
	if low < 0.5 {
		return 2
	}
	return 1
}

// ticks are round numbers from 0 to most, four to eight of them.
func ticks(most float64) []float64 {
	if !(most > 0) {
		return nil
	}
	step := math.Pow(10, math.Floor(math.Log10(most/4)))
	for _, factor := range []float64{5, 2} {
		if most/(step*factor) >= 4 {
			step *= factor
			break
		}
	}
	var list []float64
	for i := 0; float64(i)*step <= most && i < 10; i++ {
		list = append(list, float64(i)*step)
	}
	return list
}

func (c *chart) budget() {
	left, right := float64(c.originX), float64(c.originX+areaWidth)
	if c.t.BudgetMS > c.longest {
		c.words(budgetWords, right-4, float64(c.y+14), "budget "+short(c.t.BudgetMS)+" ms ↑")
		return
	}
	y := c.time(c.t.BudgetMS)
	c.line(budgetStyle, left, y, right, y)
}

// band is the area between p50 and p95 with p50 as a line.
func (c *chart) band(points []Measured) {
	var p50, outline []figure.Point
	for _, p := range points {
		p50 = append(p50, figure.Point{X: c.x(p.KeepRatio), Y: c.time(p.P50)})
	}
	outline = slices.Clone(p50)
	for _, p := range slices.Backward(points) {
		outline = append(outline, figure.Point{X: c.x(p.KeepRatio), Y: c.time(p.P95)})
	}
	c.f.Area(bandStyle, outline...)
	c.f.Line(timeStyle, p50...)
	for _, p := range points { // a lone point has no area
		x := c.x(p.KeepRatio)
		c.line(barStyle, x, c.time(p.P50), x, c.time(p.P95))
	}
}

func (c *chart) quality(points []Measured) {
	var line []figure.Point
	for _, p := range points {
		if p.Judged == 0 {
			continue
		}
		line = append(line, figure.Point{X: c.x(p.KeepRatio), Y: c.good(p.Value())})
	}
	c.f.Line(qualityStyle, line...)
	for _, at := range line {
		c.f.Circle(dotStyle, at, 3)
	}
}

// chosen rings both values of the chosen point where it lies in the panel.
func (c *chart) chosen(g Group) {
	p := c.t.Chosen
	if p == nil || p.Group != g {
		return
	}
	for _, y := range []float64{c.time(p.P95), c.good(p.Value())} {
		c.circle(chosenStyle, c.x(p.KeepRatio), y, 6)
	}
}
