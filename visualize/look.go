package visualize

import (
	"fmt"
	"image"
	"math"
	"path/filepath"
	"slices"

	"golang.org/x/image/draw"

	"dynvit/camera"
	"dynvit/camera/files"
	"dynvit/engine"
	"dynvit/preprocess"
	"dynvit/printable"
	"dynvit/vit"
)

// Look is what a model made of one picture, and the picture as it is shown.
type Look struct {
	Path          string
	Width, Height int               // of the picture
	Area          preprocess.Region // of the picture that the model sees
	Whole         *image.RGBA       // the picture, in its own shape
	Crop          *image.RGBA       // what the model sees, side by side
	Grid          int               // patches a side
	Kept          [][]int32         // patches alive after each stage, ascending
	Groups        [][]int32         // the patch that each lives on in after each stage, -1: dropped; none where none are merged
	Result        engine.Result     // Kept and Groups are not valid any more
	Label         string            // of the best class
	Score         float32           // its score
}

// Viewer looks at pictures with one model. One goroutine uses it at a time.
type Viewer struct {
	engine *engine.Engine
	plan   vit.Plan
	input  preprocess.Spec
	grid   int // patches a side
	cell   int // pixels of a patch's side where it is shown
	crop   *preprocess.Preprocessor
	whole  *preprocess.Preprocessor
	frame  camera.Frame
	pixels []float32 // what Render wants and nobody needs
}

// panelSide is about the side of a panel, in pixels: a whole number a patch.
const panelSide = 336

// NewViewer prepares to look with an opened model, which stays the caller's.
func NewViewer(e *engine.Engine, plan vit.Plan) (*Viewer, error) {
	grid := int(math.Sqrt(float64(e.Info().Patches)))
	v := &Viewer{engine: e, plan: plan, input: e.Input(), grid: grid, cell: (panelSide + grid - 1) / grid}
	side := grid * v.cell
	shown := v.input // the same geometry in more pixels
	shown.Layout, shown.Scaled = preprocess.Pixels, false
	shown.Size, shown.Resize = side, (v.input.Resize*side+v.input.Size/2)/v.input.Size
	var err error
	if v.crop, err = preprocess.New(shown); err != nil {
		return nil, err
	}
	shown.Size, shown.Resize = 2*side, 0
	if v.whole, err = preprocess.New(shown); err != nil {
		return nil, err
	}
	v.pixels = make([]float32, v.whole.Len())
	return v, nil
}

// Look reads a picture, has the model look at it, and renders it for the eye.
func (v *Viewer) Look(path string) (*Look, error) {
	l, err := v.see(path)
	if err != nil {
		return nil, err
	}
	return l, v.show(l)
}

// see is Look without what is shown.
func (v *Viewer) see(path string) (*Look, error) {
	if err := files.ReadPicture(&v.frame, path); err != nil {
		return nil, err
	}
	l := &Look{Path: path, Grid: v.grid, Result: engine.Result{WantKept: true}}
	if err := v.engine.Classify(&l.Result, &v.frame, preprocess.Whole, v.plan); err != nil {
		return nil, err
	}
	for _, kept := range l.Result.Kept {
		l.Kept = append(l.Kept, slices.Clone(kept)) // the next look overwrites it
	}
	for _, groups := range l.Result.Groups {
		l.Groups = append(l.Groups, slices.Clone(groups))
	}
	l.Result.Kept, l.Result.Groups = nil, nil
	best := l.Result.Top[0]
	l.Label, l.Score = v.engine.Label(best), l.Result.Scores[best]
	return l, nil
}

// show renders the picture in hand.
func (v *Viewer) show(l *Look) error {
	var err error
	if l.Crop, err = v.render(v.crop, v.grid*v.cell); err != nil {
		return err
	}
	warped, err := v.render(v.whole, 2*v.grid*v.cell)
	if err != nil {
		return err
	}
	if l.Width, l.Height, err = v.whole.Size(); err != nil {
		return err
	}
	l.Area = v.input.Crop(l.Width, l.Height)
	l.Whole = image.NewRGBA(fit(l.Width, l.Height, 2*v.grid*v.cell, v.grid*v.cell))
	draw.CatmullRom.Scale(l.Whole, l.Whole.Rect, warped, warped.Rect, draw.Src, nil)
	return nil
}

// render is the frame through a preprocessor, as a picture.
func (v *Viewer) render(p *preprocess.Preprocessor, side int) (*image.RGBA, error) {
	if err := p.Do(v.pixels[:p.Len()], &v.frame, preprocess.Whole); err != nil {
		return nil, err
	}
	img, rgb := image.NewRGBA(image.Rect(0, 0, side, side)), p.RGB()
	for i := range side * side {
		copy(img.Pix[4*i:], rgb[3*i:3*i+3])
		img.Pix[4*i+3] = 255
	}
	return img, nil
}

// fit is the largest size of the shape w×h within maxW×maxH, at least a pixel.
func fit(w, h, maxW, maxH int) image.Rectangle {
	scale := min(float64(maxW)/float64(w), float64(maxH)/float64(h))
	side := func(n int) int { return max(1, int(math.Round(scale*float64(n)))) }
	return image.Rect(0, 0, side(w), side(h))
}

// Name is the file's name, fit to be shown.
func (l *Look) Name() string { return printable.Line(filepath.Base(l.Path)) }

// gone are the patches that nothing is left of after a stage.
func (l *Look) gone(stage int) (list []int) {
	for i := range l.Grid * l.Grid {
		there := slices.Contains(l.Kept[stage], int32(i))
		if len(l.Groups) > 0 {
			there = l.Groups[stage][i] >= 0
		}
		if !there {
			list = append(list, i)
		}
	}
	return list
}

// share says how many patches a stage keeps.
func (l *Look) share(stage int) string {
	n, of := len(l.Kept[stage]), l.Grid*l.Grid
	if len(l.Groups) > 0 {
		gone := len(l.gone(stage))
		return fmt.Sprintf("%d of %d patches, %d dropped, %d merged", n, of, gone, of-n-gone)
	}
	return fmt.Sprintf("%d of %d patches (%.0f\u00a0%%)", n, of, 100*float64(n)/float64(of))
}
