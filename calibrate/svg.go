package calibrate

import (
	"cmp"
	"fmt"
	"html"
	"io"
	"math"
	"slices"
	"strings"

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

// style follows the reader's choice of light or dark; the two colours of the
// axes differ in lightness too, for readers who do not see red and green.
const style = `<style>
svg{--paper:#fff;--ink:#1f2430;--soft:#5b6472;--grid:#e4e7ec;--time:#1f5fa8;--quality:#b45309;--budget:#c02626}
@media (prefers-color-scheme:dark){svg{--paper:#14171c;--ink:#e8eaee;--soft:#a3abb8;--grid:#2c323b;--time:#7ab8f5;--quality:#f0a84b;--budget:#ff8080}}
text{font:12px system-ui,sans-serif;fill:var(--ink)}.title{font-size:16px;font-weight:600}.name{font-size:13px;font-weight:600}.soft{fill:var(--soft)}
.paper{fill:var(--paper)}.grid{stroke:var(--grid)}.band{fill:var(--time);opacity:.22}.time{stroke:var(--time);fill:none;stroke-width:2}
.timetext{fill:var(--time)}.quality{stroke:var(--quality);fill:none;stroke-width:2;stroke-dasharray:1 4;stroke-linecap:round}.dot{fill:var(--quality)}.qualitytext{fill:var(--quality)}
.budget{stroke:var(--budget);stroke-width:1.5;stroke-dasharray:7 4}.budgettext{fill:var(--budget)}.chosen{stroke:var(--ink);fill:none;stroke-width:2}
.end{text-anchor:end}.middle{text-anchor:middle}
</style>
`

// WriteSVG draws the table: for each precision and thread count a panel with the
// latency band from p50 to p95 against the keep ratio, the budget, and the quality
// on the second axis. All panels share their scales.
func WriteSVG(w io.Writer, t *Table) error {
	c := newChart(t)
	c.head()
	for i, g := range c.groups {
		c.panel(i, g)
	}
	c.b.WriteString("</svg>\n")
	_, err := io.WriteString(w, c.b.String())
	return err
}

// chart is a drawing under way: the scales, and what was drawn.
type chart struct {
	t          *Table
	groups     []Group
	b          strings.Builder
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
	return c
}

func (c *chart) f(format string, args ...any) { fmt.Fprintf(&c.b, format, args...) }

func (c *chart) text(x, y float64, class, words string) {
	c.f(`<text x="%.1f" y="%.1f" class="%s">%s</text>`+"\n", x, y, class, html.EscapeString(printable.Line(words)))
}

// columns of panels: as square as they go, so that no row is left nearly empty.
func (c *chart) columns() int {
	return max(1, min(panelColumns, int(math.Ceil(math.Sqrt(float64(len(c.groups)))))))
}

// head opens the drawing and writes title and legend.
func (c *chart) head() {
	columns := c.columns()
	rows := (len(c.groups) + columns - 1) / columns
	width, height := max(panelWidth*columns, 640), headHeight+panelHeight*rows
	c.f(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">`+"\n", width, height, width, height)
	c.b.WriteString(style)
	c.f(`<rect class="paper" width="100%%" height="100%%"/>` + "\n")
	c.text(16, 26, "title", fmt.Sprintf("%s: whole-frame latency and %s by keep ratio", c.t.Model.Name, c.what))
	c.text(16, 45, "soft", c.t.summary())
	c.f(`<rect class="band" x="16" y="56" width="22" height="12"/><path class="time" d="M16 68h22"/>`)
	c.text(44, 66, "", "p50 to p95 (ms, left)")
	c.f(`<path class="quality" d="M186 62h22"/><circle class="dot" cx="197" cy="62" r="3"/>`)
	c.text(214, 66, "", c.what+" (%, right)")
	c.f(`<path class="budget" d="M356 62h22"/>`)
	c.text(384, 66, "", fmt.Sprintf("budget %s ms at p%s", short(c.t.BudgetMS), short(c.t.Percentile)))
	c.f(`<circle class="chosen" cx="560" cy="62" r="6"/>`)
	c.text(572, 66, "", "chosen")
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
	c.text(float64(c.originX), float64(c.y-10), "name", g.String())
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
		c.f(`<path class="grid" d="M%.1f %.1fH%.1f"/>`, left, y, right)
		c.text(left-7, y+4, "timetext end", short(ms))
	}
	for tenth := 10; tenth >= int(math.Round(c.worst*10)); tenth -= tenths(c.worst) {
		c.text(right+7, c.good(float64(tenth)/10)+4, "qualitytext", fmt.Sprint(10*tenth))
	}
	for tenth := 10; tenth >= int(math.Round(c.least*10)); tenth -= tenths(c.least) {
		x := c.x(float64(tenth) / 10)
		c.f(`<path class="grid" d="M%.1f %.1fv5"/>`, x, bottom)
		c.text(x, bottom+18, "soft middle", short(float64(tenth)/10))
	}
	c.text((left+right)/2, bottom+35, "soft middle", "keep ratio")
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
	if c.t.BudgetMS > c.longest {
		c.text(float64(c.originX+areaWidth-4), float64(c.y+14), "budgettext end", "budget "+short(c.t.BudgetMS)+" ms ↑")
		return
	}
	c.f(`<path class="budget" d="M%d %.1fh%d"/>`+"\n", c.originX, c.time(c.t.BudgetMS), areaWidth)
}

// band is the area between p50 and p95 with p50 as a line.
func (c *chart) band(points []Measured) {
	var p50, outline strings.Builder
	for i, p := range points {
		fmt.Fprintf(&p50, "%c%.1f %.1f", "ML"[min(i, 1)], c.x(p.KeepRatio), c.time(p.P50))
	}
	outline.WriteString(p50.String())
	for _, p := range slices.Backward(points) {
		fmt.Fprintf(&outline, "L%.1f %.1f", c.x(p.KeepRatio), c.time(p.P95))
	}
	c.f(`<path class="band" d="%sZ"/><path class="time" d="%s"/>`+"\n", outline.String(), p50.String())
	for _, p := range points { // a lone point has no area
		c.f(`<path class="time" d="M%.1f %.1fV%.1f" opacity=".5"/>`, c.x(p.KeepRatio), c.time(p.P50), c.time(p.P95))
	}
}

func (c *chart) quality(points []Measured) {
	var line strings.Builder
	for _, p := range points {
		if p.Judged == 0 {
			continue
		}
		x, y := c.x(p.KeepRatio), c.good(p.Value())
		fmt.Fprintf(&line, "%c%.1f %.1f", "ML"[min(line.Len(), 1)], x, y)
		c.f(`<circle class="dot" cx="%.1f" cy="%.1f" r="3"/>`, x, y)
	}
	c.f(`<path class="quality" d="%s"/>`+"\n", line.String())
}

// chosen rings both values of the chosen point where it lies in the panel.
func (c *chart) chosen(g Group) {
	p := c.t.Chosen
	if p == nil || p.Group != g {
		return
	}
	for _, y := range []float64{c.time(p.P95), c.good(p.Value())} {
		c.f(`<circle class="chosen" cx="%.1f" cy="%.1f" r="6"/>`, c.x(p.KeepRatio), y)
	}
	c.b.WriteString("\n")
}
