// Package stages finds the blocks in which a model's patches are best merged: those by which
// answers stay closest to the dense model's at equal work, on any pictures, without labels. What
// was measured with it is in docs/method.md.
package stages

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"dynvit/calibrate"
	"dynvit/vit"
)

// Options of a search.
type Options struct {
	Config vit.Config      // of the model: PruneAt are the stages that others are held against
	Ratios []float64       // at which, above 0 and below 1; each is as much work at all stages
	Frames int             // pictures that the target has, at least LeastFrames
	Group  calibrate.Group // of the target, which has a stage in each block (Every) and merges

	Progress func(Progress) // told after each picture; nil: nobody is
}

// Progress says how far a search is.
type Progress struct {
	Tried  int   // sets of stages so far
	Stages []int // the one in hand
}

// LeastFrames is the fewest pictures of which a search says something: a quarter of them is
// searched on.
const LeastFrames = 32

// Set is what was found of a set of stages.
type Set struct {
	Stages []int   `json:"stages"` // blocks, from 0
	Frames int     `json:"frames"` // on which it was judged
	Change float64 `json:"change"` // of KL, as a share of the usual stages', mean over ratios and frames: -0.25 is a quarter less
	Error  float64 `json:"error"`  // standard error of that, over frames
	Points []Point `json:"points"`
}

// Point is a set of stages at one ratio.
type Point struct {
	KeepRatio float64 `json:"keep_ratio"`
	Keep      []int   `json:"keep"`
	GMACs     float64 `json:"gmacs"`
	KL        float64 `json:"kl"`        // mean KL(dense ‖ merged) in nats
	Agreement float64 `json:"agreement"` // share of frames with the dense model's class
}

// Found is what a search ends with.
type Found struct {
	Usual Set   `json:"usual"` // the model's PruneAt
	Best  Set   `json:"best"`  // Usual where nothing was better beyond chance
	Tried []Set `json:"tried"` // all that were searched, each once, in order

	Finalists []Set `json:"finalists"` // what Best was chosen from
}

// Every is a stage in each block: with it a target runs any set of stages, as a stage that keeps
// all does nothing.
func Every(depth int) []int {
	all := make([]int, depth)
	for i := range all {
		all[i] = i
	}
	return all
}

// Search tries stages at even distances, then what differs by one block from the best, on a
// quarter of the pictures. The best of each number of stages, four at most, are held against the
// usual ones on the rest: what is found has the fewest stages of those whose KL is below the usual
// stages' by two standard errors and within one of the least. Each stage costs time besides its
// multiply-adds. The same pictures give the same answer. A cancelled ctx is an error.
func Search(ctx context.Context, t calibrate.Target, o Options) (Found, error) {
	if o.Frames < LeastFrames {
		return Found{}, fmt.Errorf("%d pictures: want at least %d", o.Frames, LeastFrames)
	}
	if len(o.Config.PruneAt) == 0 || o.Config.Depth < 4 {
		return Found{}, fmt.Errorf("a model of %d blocks that is never pruned has no other stages", o.Config.Depth)
	}
	o.Config.MergeAt = nil
	if err := t.Use(o.Group); err != nil {
		return Found{}, err
	}
	s := &search{ctx: ctx, target: t, o: o, answers: make([][]float32, o.Frames)}
	return s.run()
}

// finalists are judged on the pictures that were not searched on.
const finalists = 4

// rounds of looking at what differs by one block, at most: each takes as long as the beginning.
const rounds = 6

type search struct {
	ctx     context.Context
	target  calibrate.Target
	o       Options
	answers [][]float32 // of the dense model, by frame; nil: not yet asked for
	usual   *run        // on the pictures in hand
	tried   []Set
}

// run is a set of stages on some pictures.
type run struct {
	points []Point
	kl     [][]float64 // by ratio and frame
}

func (s *search) run() (Found, error) {
	quarter := s.o.Frames / 4
	if err := s.begin(0, quarter); err != nil {
		return Found{}, err
	}
	if err := s.tryAll(evenly(s.o.Config.Depth), quarter); err != nil {
		return Found{}, err
	}
	for range rounds {
		best := Ranked(s.tried)[0]
		if err := s.tryAll(neighbours(best.Stages, s.o.Config.Depth), quarter); err != nil {
			return Found{}, err
		}
		if slices.Equal(Ranked(s.tried)[0].Stages, best.Stages) {
			break
		}
	}
	return s.decide(quarter)
}

// begin judges the usual stages on pictures from..to, which others are then compared on.
func (s *search) begin(from, to int) (err error) {
	s.usual, err = s.judge(s.o.Config.PruneAt, from, to)
	return err
}

// tryAll judges the sets that are new and can be as little work, on the first pictures.
func (s *search) tryAll(sets [][]int, frames int) error {
	for _, at := range append([][]int{s.o.Config.PruneAt}, sets...) {
		if s.dear(at) || slices.ContainsFunc(s.tried, func(t Set) bool { return slices.Equal(t.Stages, at) }) {
			continue
		}
		set, err := s.compare(at, 0, frames)
		if err != nil {
			return err
		}
		s.tried = append(s.tried, set)
	}
	return nil
}

// dear reports whether stages come too late for a ratio: with one patch left the work is still
// more than that of the usual ones.
func (s *search) dear(at []int) bool {
	c, usual := s.o.Config, s.o.Config
	c.MergeAt, usual.MergeAt = at, nil
	return slices.ContainsFunc(s.o.Ratios, func(ratio float64) bool {
		plan, err := c.PlanFor(ratio, vit.Merge)
		most, of := usual.PlanFor(ratio, vit.Merge)
		return err != nil || of != nil || c.MACs(plan, vit.Merge) > usual.MACs(most, vit.Merge)
	})
}

// Ranked is a copy of sets, the best first.
func Ranked(sets []Set) []Set {
	return slices.SortedStableFunc(slices.Values(sets), func(a, b Set) int { return cmp.Compare(a.Change, b.Change) })
}

// decide judges the best on the pictures from one on.
func (s *search) decide(from int) (Found, error) {
	if err := s.begin(from, s.o.Frames); err != nil {
		return Found{}, err
	}
	usual, err := s.compare(s.o.Config.PruneAt, from, s.o.Frames)
	if err != nil {
		return Found{}, err
	}
	found := Found{Usual: usual, Best: usual, Tried: s.tried}
	for _, set := range s.finalists() {
		again, err := s.compare(set.Stages, from, s.o.Frames)
		if err != nil {
			return Found{}, err
		}
		found.Finalists = append(found.Finalists, again)
	}
	found.Best = choose(usual, found.Finalists)
	return found, nil
}

// finalists are the best of each number of stages, the best of these first.
func (s *search) finalists() (best []Set) {
	for _, set := range Ranked(s.tried) {
		if !slices.ContainsFunc(best, func(b Set) bool { return len(b.Stages) == len(set.Stages) }) {
			best = append(best, set)
		}
	}
	return best[:min(finalists, len(best))]
}

// choose takes the fewest stages that are as good as the best, as far as one can tell.
func choose(usual Set, sets []Set) Set {
	least := usual
	for _, s := range sets {
		if s.Change+2*s.Error < 0 && s.Change < least.Change {
			least = s
		}
	}
	best := least
	for _, s := range sets {
		if s.Change+2*s.Error < 0 && s.Change <= least.Change+least.Error && len(s.Stages) < len(best.Stages) {
			best = s
		}
	}
	return best
}

// compare judges a set against the usual one on the same pictures.
func (s *search) compare(at []int, from, to int) (Set, error) {
	r := s.usual
	if !slices.Equal(at, s.o.Config.PruneAt) {
		var err error
		if r, err = s.judge(at, from, to); err != nil {
			return Set{}, err
		}
	}
	set := Set{Stages: at, Frames: to - from, Points: r.points}
	set.Change, set.Error = s.change(r)
	return set, nil
}

// change is by how much a run's KL differs from the usual one's: of each ratio as a share of its
// mean there, so that the ratios at which all is worse do not decide alone.
func (s *search) change(r *run) (mean, deviation float64) {
	n := float64(len(r.kl[0]))
	var sum, squares float64
	for f := range r.kl[0] {
		of := 0.0
		for i, p := range s.usual.points {
			if p.KL > 0 {
				of += (r.kl[i][f] - s.usual.kl[i][f]) / p.KL / float64(len(r.kl))
			}
		}
		sum, squares = sum+of, squares+of*of
	}
	mean = sum / n
	return mean, math.Sqrt(max(0, squares/n-mean*mean) / n)
}

// judge runs a set of stages at all ratios on pictures from..to.
func (s *search) judge(at []int, from, to int) (*run, error) {
	r := &run{kl: make([][]float64, len(s.o.Ratios))}
	c := s.o.Config
	c.MergeAt = at
	for i, ratio := range s.o.Ratios {
		plan, err := c.PlanFor(ratio, vit.Merge)
		if err != nil {
			return nil, err
		}
		p := Point{KeepRatio: ratio, Keep: plan.Keep, GMACs: float64(c.MACs(plan, vit.Merge)) / 1e9}
		if r.kl[i], err = s.frames(&p, at, from, to); err != nil {
			return nil, err
		}
		r.points = append(r.points, p)
	}
	return r, nil
}

// frames runs a point on pictures from..to, and returns the KL of each.
func (s *search) frames(p *Point, at []int, from, to int) ([]float64, error) {
	list := make([]float64, 0, to-from)
	plan := calibrate.Plan{KeepRatio: p.KeepRatio, Keep: spread(at, p.Keep, s.o.Config)}
	for f := from; f < to; f++ {
		dense, err := s.dense(f)
		if err != nil {
			return nil, err
		}
		logits, err := s.answer(plan, f)
		if err != nil {
			return nil, err
		}
		kl, agrees, ok := calibrate.Compare(dense, logits)
		if !ok {
			return nil, fmt.Errorf("picture %d: logits that are no numbers", f)
		}
		if list = append(list, kl); agrees {
			p.Agreement += 1 / float64(to-from)
		}
		p.KL += kl / float64(to-from)
		s.report(at)
	}
	return list, nil
}

func (s *search) report(at []int) {
	if s.o.Progress != nil {
		s.o.Progress(Progress{Tried: len(s.tried), Stages: at})
	}
}

// dense is the dense model's answer, asked for once.
func (s *search) dense(frame int) ([]float32, error) {
	if s.answers[frame] == nil {
		c := s.o.Config
		logits, err := s.answer(calibrate.Plan{KeepRatio: 1, Keep: slices.Repeat([]int{c.Patches()}, c.Depth)}, frame)
		if err != nil {
			return nil, err
		}
		s.answers[frame] = slices.Clone(logits)
	}
	return s.answers[frame], nil
}

func (s *search) answer(p calibrate.Plan, frame int) ([]float32, error) {
	if err := s.ctx.Err(); err != nil {
		return nil, err
	}
	out, err := s.target.Run(calibrate.Point{Plan: p, Group: s.o.Group}, frame)
	return out.Logits, err
}

// spread are the counts of a set of stages as those of a stage in each block.
func spread(at, keep []int, c vit.Config) []int {
	all, alive, stage := make([]int, c.Depth), c.Patches(), 0
	for i := range all {
		if stage < len(at) && at[stage] == i {
			alive = keep[stage]
			stage++
		}
		all[i] = alive
	}
	return all
}
