package teach

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"dynvit/camera"
	"dynvit/camera/files"
	"dynvit/engine"
	"dynvit/preprocess"
	"dynvit/tuning"
	"dynvit/vit"
)

// Looker is what pictures are looked at with: *engine.Engine, opened for features.
type Looker interface {
	Info() engine.Info
	Plan(vit.Keep) (vit.Plan, error)
	Ratio(vit.Keep, vit.Plan) float64
	Features(dst []float32, f *camera.Frame, v engine.View, plans []vit.Plan) ([]float32, error)
}

// Progress is how far a phase is.
type Progress struct {
	Phase       string // "pictures", "folds"
	Done, Total int
	Left        time.Duration // as far as can be told by what is done
}

// sight are the features of examples: for each picture the whole of it under each of the
// plans, the dense one first, then other views of it.
type sight struct {
	Examples
	ratios []float64 // of the plans
	rows   int       // of a picture
	width  int
	x      []float64 // [pictures · rows, width]
}

// row is row i of a picture.
func (s *sight) row(picture, i int) []float64 {
	at := (picture*s.rows + i) * s.width
	return s.x[at : at+s.width]
}

// wholeShare is what the whole picture, dense, has in a picture's loss; the other rows
// share the rest. With five pictures a class of Imagenette 0.3, 0.5 and 0.7 give 97.2, 97.3
// and 97.3 % dense, 95.1, 95.2 and 95.0 at keep 0.5 (DeiT-Tiny, five draws).
const wholeShare = 0.5

// shares are those of the rows.
func (s *sight) shares() []float64 {
	list := make([]float64, s.rows)
	for i := range list {
		list[i] = (1 - wholeShare) / float64(max(1, s.rows-1))
	}
	list[0] = wholeShare
	return list
}

// views are those besides the whole picture, each under the dense plan and another one:
// the mirror image, and two crops, one of them mirrored.
var views = []engine.View{
	{Region: preprocess.Whole, Mirrored: true},
	{Region: preprocess.Region{X0: 0, Y0: 0.1, X1: 0.85, Y1: 0.95}},
	{Region: preprocess.Region{X0: 0.15, Y0: 0.05, X1: 1, Y1: 0.9}, Mirrored: true},
}

// plansOf are those that a calibration may choose, the dense one first, and their ratios.
func plansOf(l Looker) (plans []vit.Plan, ratios []float64, err error) {
	seen := map[string]bool{}
	for _, keep := range tuning.Keeps() {
		p, err := l.Plan(keep)
		if err != nil {
			return nil, nil, err
		}
		if seen[p.String()] {
			continue
		}
		seen[p.String()] = true
		plans, ratios = append(plans, p), append(ratios, l.Ratio(keep, p))
	}
	return plans, ratios, nil
}

// look takes the features of examples. A picture that cannot be read is left out, and
// failed told of it.
func look(ctx context.Context, l Looker, e Examples, o Options) (*sight, int, error) {
	plans, ratios, err := plansOf(l)
	if err != nil {
		return nil, 0, err
	}
	width := l.Info().Features
	few := min(2, len(plans))
	s := &sight{Examples: Examples{Labels: e.Labels}, ratios: ratios, width: width, rows: len(plans) + few*len(views)}
	s.x = make([]float64, 0, len(e.Pictures)*s.rows*width)
	var row []float32
	var frame camera.Frame
	tick := o.clock("pictures", len(e.Pictures))
	for i, p := range e.Pictures {
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		err := files.ReadPicture(&frame, p.Path)
		if err == nil {
			row, err = lookAt(row[:0], l, &frame, plans, i)
		}
		if err != nil {
			o.failed(p.Path, err)
		} else {
			s.Pictures = append(s.Pictures, p)
			for _, v := range row {
				s.x = append(s.x, float64(v))
			}
		}
		tick()
	}
	if err := s.check(); err != nil {
		return nil, 0, fmt.Errorf("of what could be read: %w", err)
	}
	return s, len(e.Pictures) - len(s.Pictures), nil
}

// lookAt takes the rows of picture i.
func lookAt(row []float32, l Looker, f *camera.Frame, plans []vit.Plan, i int) ([]float32, error) {
	row, err := l.Features(row, f, engine.View{Region: preprocess.Whole}, plans)
	for k, v := range views {
		some := plans[:1]
		if len(plans) > 1 {
			some = []vit.Plan{plans[0], plans[1+(i+2*k)%(len(plans)-1)]}
		}
		if err == nil {
			row, err = l.Features(row, f, v, some)
		}
	}
	for _, x := range row {
		if err == nil && (math.IsNaN(float64(x)) || math.IsInf(float64(x), 0)) {
			err = errors.New("its features are no numbers: the model overflows at this precision")
		}
	}
	return row, err
}
