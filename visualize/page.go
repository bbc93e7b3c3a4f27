package visualize

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"image/jpeg"
	"io"
	"path/filepath"

	"dynvit/printable"
)

//go:embed page.html
var pageHTML string

// Page is a folder's looks on one page that needs nothing else: no script, no
// file, no network.
type Page struct {
	Title    string // the folder
	Subtitle string // what looked at it
	Tally    Tally
	Tokens   []int // alive before the first stage and after each, CLS included
	Skipped  int
	pictures []picture
}

// picture is a look as the page's template wants it.
type picture struct {
	Name, Label, Score, Size string
	ID                       string
	JPEG                     template.URL // a data: URL made here
	Side                     int
	Panels                   []panel
}

// panel is a stage of a picture: its dropped patches, and what is merged, as paths of an SVG.
type panel struct {
	Caption string
	Dropped string
	Areas   []area // where patches are merged
	Edges   string // of those
}

// quality of the pictures on a page, 0 to 100.
const quality = 85

// Show puts a look on the page, after those before.
func (p *Page) Show(l *Look) error {
	var data bytes.Buffer
	if err := jpeg.Encode(&data, l.Crop, &jpeg.Options{Quality: quality}); err != nil {
		return fmt.Errorf("%s: %w", l.Path, err)
	}
	shown := picture{
		Name: printable.Line(p.name(l.Path)), Label: printable.Line(l.Label), Score: fmt.Sprintf("%.1f\u00a0%%", 100*l.Score),
		Size: fmt.Sprintf("%d × %d", l.Width, l.Height), ID: fmt.Sprintf("p%d", len(p.pictures)), Side: l.Crop.Rect.Dx(),
		JPEG: template.URL("data:image/jpeg;base64," + base64.StdEncoding.EncodeToString(data.Bytes())),
	}
	for stage := range l.Kept {
		shown.Panels = append(shown.Panels, panel{
			fmt.Sprintf("stage %d: %s", stage+1, l.share(stage)), l.squares(l.gone(stage)), l.areas(stage), l.edges(stage),
		})
	}
	p.pictures = append(p.pictures, shown)
	return nil
}

// name is a picture's path within the folder.
func (p *Page) name(path string) string {
	if name, err := filepath.Rel(p.Title, path); err == nil {
		return name
	}
	return path
}

// position is one square of a stage's map.
type position struct {
	X, Y  int
	Fill  string
	Share string
}

// kept is a stage's map as the template wants it.
type kept struct {
	Caption, Ratio string
	Grid           int
	Positions      []position
}

// Write writes the page.
func (p *Page) Write(w io.Writer) error {
	t, err := template.New("page").Parse(pageHTML)
	if err != nil {
		return err
	}
	return t.Execute(w, map[string]any{
		"Title": printable.Line(p.Title), "Subtitle": printable.Line(p.Subtitle), "Looks": p.Tally.Looks, "Skipped": p.Skipped,
		"Shown": len(p.pictures), "Pictures": p.pictures, "Maps": p.maps(), "Legend": legend(),
	})
}

func (p *Page) maps() []kept {
	var list []kept
	for i, s := range p.Tally.Stages() {
		m := kept{Caption: fmt.Sprintf("stage %d", i+1), Ratio: s.String(), Grid: p.Tally.Grid}
		for j, share := range s.Map {
			m.Positions = append(m.Positions, position{j % p.Tally.Grid, j / p.Tally.Grid, shade(share), fmt.Sprintf("%.0f %%", 100*share)})
		}
		list = append(list, m)
	}
	return list
}

// legend is the scale of the maps.
func legend() []position {
	var list []position
	for i := range 11 {
		share := float64(i) / 10
		list = append(list, position{i, 0, shade(share), fmt.Sprintf("%.0f %%", 100*share)})
	}
	return list
}

// shade is the colour of a share: dark blue for 0 over green to yellow for 1 (five
// points of viridis, which keeps its order in grey and for the colour-blind).
func shade(share float64) string {
	points := [][3]float64{{68, 1, 84}, {59, 82, 139}, {33, 145, 140}, {94, 201, 98}, {253, 231, 37}}
	at := min(max(share, 0), 1) * float64(len(points)-1)
	i := min(int(at), len(points)-2)
	f := at - float64(i)
	mix := func(c int) int { return int((1-f)*points[i][c] + f*points[i+1][c] + 0.5) }
	return fmt.Sprintf("#%02x%02x%02x", mix(0), mix(1), mix(2))
}
