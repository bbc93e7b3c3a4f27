package visualize

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"strings"
)

// region is the patches that live on in one of them.
type region struct {
	patches []int
	colour  color.RGBA // the mean of theirs
}

// regions are those after a stage where patches are merged, else none.
func (l *Look) regions(stage int) []region {
	if len(l.Groups) == 0 {
		return nil
	}
	members := make([][]int, l.Grid*l.Grid)
	for i, id := range l.Groups[stage] {
		if id >= 0 {
			members[id] = append(members[id], i)
		}
	}
	var list []region
	for _, patches := range members {
		if len(patches) > 0 {
			list = append(list, region{patches, l.mean(patches)})
		}
	}
	return list
}

// mean is the mean colour of patches.
func (l *Look) mean(patches []int) color.RGBA {
	var sums [3]int
	cell := l.Crop.Rect.Dx() / l.Grid
	for _, i := range patches {
		for y := range cell {
			at := l.Crop.PixOffset(i%l.Grid*cell, i/l.Grid*cell+y)
			for p := at; p < at+4*cell; p += 4 {
				for c := range sums {
					sums[c] += int(l.Crop.Pix[p+c])
				}
			}
		}
	}
	n := len(patches) * cell * cell
	return color.RGBA{byte((sums[0] + n/2) / n), byte((sums[1] + n/2) / n), byte((sums[2] + n/2) / n), 255}
}

// square is where a patch is shown.
func (l *Look) square(i int) image.Rectangle {
	cell := l.Crop.Rect.Dx() / l.Grid
	at := image.Pt(i%l.Grid*cell, i/l.Grid*cell)
	return image.Rectangle{at, at.Add(image.Pt(cell, cell))}
}

// borders are the lines between patches of different regions, a pixel wide.
func (l *Look) borders(stage int) []image.Rectangle {
	if len(l.Groups) == 0 {
		return nil
	}
	var lines []image.Rectangle
	of := l.Groups[stage]
	for i := range of {
		r := l.square(i)
		if i%l.Grid > 0 && of[i] != of[i-1] {
			lines = append(lines, image.Rect(r.Min.X, r.Min.Y, r.Min.X+1, r.Max.Y))
		}
		if i >= l.Grid && of[i] != of[i-l.Grid] {
			lines = append(lines, image.Rect(r.Min.X, r.Min.Y, r.Max.X, r.Min.Y+1))
		}
	}
	return lines
}

// colour fills the regions of a stage on a panel; outlining comes when all else is drawn.
func (l *Look) colour(dst *image.RGBA, stage int) {
	for _, r := range l.regions(stage) {
		for _, i := range r.patches {
			draw.Draw(dst, l.square(i), image.NewUniform(r.colour), image.Point{}, draw.Src)
		}
	}
}

func (l *Look) outlineRegions(dst *image.RGBA, stage int) {
	for _, line := range l.borders(stage) {
		draw.Draw(dst, line, image.NewUniform(ink()), image.Point{}, draw.Src)
	}
}

// area is a region as the page's template wants it.
type area struct{ Fill, Path string }

func (l *Look) areas(stage int) []area {
	var list []area
	for _, r := range l.regions(stage) {
		list = append(list, area{fmt.Sprintf("#%02x%02x%02x", r.colour.R, r.colour.G, r.colour.B), l.squares(r.patches)})
	}
	return list
}

// squares draws patches as the path of an SVG.
func (l *Look) squares(patches []int) string {
	var path strings.Builder
	for _, i := range patches {
		r := l.square(i)
		fmt.Fprintf(&path, "M%d %dh%dv%dh-%dz", r.Min.X, r.Min.Y, r.Dx(), r.Dx(), r.Dx())
	}
	return path.String()
}

// edges draws the borders as the path of an SVG.
func (l *Look) edges(stage int) string {
	var path strings.Builder
	for _, r := range l.borders(stage) {
		fmt.Fprintf(&path, "M%d %dh%dv%dh-%dz", r.Min.X, r.Min.Y, r.Dx(), r.Dy(), r.Dx())
	}
	return path.String()
}
