// Package evaluate measures a model on a folder of pictures: accuracy where
// their names tell the class, agreement with a reference model, and which
// classes are taken for which.
package evaluate

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"

	"dynvit/camera"
	"dynvit/camera/files"
	"dynvit/engine"
	"dynvit/preprocess"
	"dynvit/vit"
)

// Picture is a file and the class that its name tells, -1 where it tells none.
type Picture struct {
	Path  string
	Class int
}

// List finds the pictures under dir, sorted by path. A picture's class is that of
// its folder (synset id, class number or label), or the number before the first _
// of its own name ("007_cock.jpg"), which comes first right under dir: what dir is
// called seldom is a class.
func List(dir string, class func(name string) int) ([]Picture, error) {
	var list []Picture
	top := dir + string(filepath.Separator) // else one that is named by a link is no folder
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !files.IsPicture(path) {
			return err
		}
		list = append(list, Picture{path, classOf(path, filepath.Dir(path) == filepath.Clean(dir), class)})
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s: no pictures (%s)", dir, files.Endings())
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Path < list[j].Path })
	return list, nil
}

func classOf(path string, top bool, class func(string) int) int {
	folder, own := class(filepath.Base(filepath.Dir(path))), prefixOf(filepath.Base(path), class)
	if own >= 0 && (top || folder < 0) {
		return own
	}
	return folder
}

// prefixOf is the class of the number before the first _ of a file's name.
func prefixOf(name string, class func(string) int) int {
	number, _, ok := strings.Cut(name, "_")
	n, err := strconv.Atoi(number)
	if err != nil || !ok {
		return -1
	}
	return class(strconv.Itoa(n)) // without leading zeros
}

// Spread takes limit pictures evenly over the list; 0 or more than there are
// takes all.
func Spread(list []Picture, limit int) []Picture {
	if limit <= 0 || limit >= len(list) {
		return list
	}
	out := make([]Picture, limit)
	for i := range out {
		out[i] = list[i*len(list)/limit]
	}
	return out
}

// Report is what a run found. Rates are 0 to 1.
type Report struct {
	Images        int // answered
	Skipped       int // unreadable or damaged
	Labelled      int // answered, with a known class
	Top1          float64
	Top5          float64
	Agree         float64 // same top-1 as the reference
	Refused       int     // labelled pictures that are none of the classes by a taught head's rule; they count as wrong
	Others        int     // answered, without a known class
	OthersRefused int     // of those, none of the classes
	Seconds       float64 // spent on the model under test, decoding included
	Tokens        []int
	// Confusion counts, for each pair (class, answer) of labelled pictures, but those
	// that are none of the classes.
	Confusion map[[2]int]int
}

// Options of a run.
type Options struct {
	Plan      vit.Plan
	Reference *engine.Engine // dense f32; nil: the model under test is its own
	Progress  func(done, total int)
	Failed    func(path string, err error)
}

// Run classifies the pictures one after the other. A picture that cannot be read
// or decoded is reported and skipped.
func Run(ctx context.Context, e *engine.Engine, pictures []Picture, o Options) (Report, error) {
	run := runner{e: e, o: o, report: Report{Confusion: map[[2]int]int{}}}
	if o.Reference != nil {
		info := o.Reference.Info()
		var err error
		if run.dense, err = vit.PlanFor(1, info.Patches, info.Stages); err != nil {
			return Report{}, err
		}
	}
	for i, p := range pictures {
		if err := ctx.Err(); err != nil {
			return Report{}, err
		}
		if err := run.picture(p); err != nil {
			run.report.Skipped++
			if o.Failed != nil {
				o.Failed(p.Path, err)
			}
		}
		if o.Progress != nil {
			o.Progress(i+1, len(pictures))
		}
	}
	return run.finish(), nil
}

type runner struct {
	e          *engine.Engine
	o          Options
	dense      vit.Plan
	frame      camera.Frame
	result     engine.Result
	reference  engine.Result
	report     Report
	hit1, hit5 int
	agree      int
}

func (r *runner) picture(p Picture) error {
	if err := files.ReadPicture(&r.frame, p.Path); err != nil {
		return err
	}
	start := time.Now()
	if err := r.e.Classify(&r.result, &r.frame, preprocess.Whole, r.o.Plan); err != nil {
		return err
	}
	r.report.Seconds += time.Since(start).Seconds()
	best := r.result.Top[0]
	expected := best
	if r.o.Reference != nil {
		if err := r.o.Reference.Classify(&r.reference, &r.frame, preprocess.Whole, r.dense); err != nil {
			return err
		}
		expected = r.reference.Top[0]
	}
	r.report.Images++
	r.report.Tokens = append(r.report.Tokens[:0], r.result.Tokens...)
	if expected == best {
		r.agree++
	}
	switch {
	case p.Class >= 0 && r.result.Unknown:
		r.report.Labelled++
		r.report.Refused++
	case p.Class >= 0:
		r.label(p.Class)
	default:
		r.report.Others++
		if r.result.Unknown {
			r.report.OthersRefused++
		}
	}
	return nil
}

func (r *runner) label(class int) {
	r.report.Labelled++
	r.report.Confusion[[2]int{class, r.result.Top[0]}]++
	for i, c := range r.result.Top {
		if c == class {
			r.hit5++
			if i == 0 {
				r.hit1++
			}
		}
	}
}

func (r *runner) finish() Report {
	share := func(n, of int) float64 {
		if of == 0 {
			return 0
		}
		return float64(n) / float64(of)
	}
	r.report.Top1 = share(r.hit1, r.report.Labelled)
	r.report.Top5 = share(r.hit5, r.report.Labelled)
	r.report.Agree = share(r.agree, r.report.Images)
	return r.report
}
