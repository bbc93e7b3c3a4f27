package teach

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sync"
)

// grid are the strengths of L2 that are tried, the strongest first: of features scaled to
// a mean square of 1, so that one grid serves every backbone.
var grid = []float64{10, 3, 1, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001, 0.00001}

// trial is the examples parted into folds.
type trial struct {
	regression
	s     *sight
	mean  []float64 // of the rows, taken off
	scale float64   // the rows were divided by it
	fold  []int     // of each picture
	folds int
}

// newTrial centres and scales the rows of s, in place.
func newTrial(s *sight, fold []int, folds int) *trial {
	t := &trial{s: s, fold: fold, folds: folds, mean: make([]float64, s.width)}
	n := float64(len(s.x) / s.width)
	for row := range slices.Chunk(s.x, s.width) {
		for i, v := range row {
			t.mean[i] += v / n
		}
	}
	for row := range slices.Chunk(s.x, s.width) {
		for i := range row {
			row[i] -= t.mean[i]
		}
	}
	if t.scale = math.Sqrt(dot(s.x, s.x) / float64(len(s.x))); t.scale == 0 {
		t.scale = 1
	}
	for i := range s.x {
		s.x[i] /= t.scale
	}
	t.regression = regression{classes: len(s.Labels), rows: s.rows, width: s.width, shares: s.shares(), x: s.x}
	for _, p := range s.Pictures {
		t.class = append(t.class, p.Class)
	}
	return t
}

// outside reports the pictures of a fold, to be left out.
func (t *trial) outside(fold int) func(int) bool {
	return func(picture int) bool { return t.fold[picture] == fold }
}

// held are logits of held-out pictures, [pictures, plans, classes]: each by a fit that
// has not seen it.
type held []float64

// at are the logits of a picture under a plan.
func (t *trial) at(h held, picture, plan int) []float64 {
	i := (picture*len(t.s.ratios) + plan) * t.classes
	return h[i : i+t.classes]
}

// judge writes what parameters say of the pictures of a fold.
func (t *trial) judge(h held, fold int, p []float64) {
	plans := len(t.s.ratios)
	for picture, f := range t.fold {
		if f == fold {
			n := picture * plans * t.classes
			t.logits(h[n:n+plans*t.classes], t.block(picture)[:plans*t.width], p)
		}
	}
}

// each does all folds, so many at a time.
func (t *trial) each(ctx context.Context, threads int, do func(fold int)) error {
	var wait sync.WaitGroup
	slots := make(chan struct{}, max(1, threads))
	for fold := range t.folds {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			if ctx.Err() == nil {
				do(fold)
			}
		})
	}
	wait.Wait()
	return ctx.Err()
}

// choose fits each fold at each strength of the grid and returns the strongest whose
// held-out loss, at a temperature of its own, is the least one's but for a standard error of
// their difference (Breiman et al. 1984), with what it says of the held-out pictures. Of
// few pictures the losses are flat, and the least is anywhere: with five of each class
// of Imagenette it is 0.4 points worse.
func (t *trial) choose(ctx context.Context, o Options) (l2 float64, best held, err error) {
	all := make([]held, len(grid))
	for i := range all {
		all[i] = make(held, len(t.s.Pictures)*len(t.s.ratios)*t.classes)
	}
	tick := o.clock("folds", t.folds*len(grid))
	err = t.each(ctx, o.Threads, func(fold int) {
		weight := t.balanced(t.outside(fold))
		var p []float64
		for i, strength := range grid { // each begins where a stronger one ended
			if ctx.Err() != nil {
				return
			}
			p = t.fit(weight, strength, p)
			t.judge(all[i], fold, p)
			tick()
		}
	})
	if err != nil {
		return 0, nil, err
	}
	losses := make([][]float64, len(grid))
	for i, h := range all {
		losses[i] = t.heldLosses(h, t.temperature(h))
	}
	at := strongest(losses)
	return grid[at], all[at], nil
}

// strongest is the first of lists whose mean exceeds the least mean by no more than a
// standard error of the difference.
func strongest(losses [][]float64) int {
	least := slices.MinFunc(losses, func(a, b []float64) int { return cmp.Compare(average(a), average(b)) })
	n := float64(len(least))
	return slices.IndexFunc(losses, func(list []float64) bool {
		difference, squares := average(list)-average(least), 0.0
		for i, v := range list {
			d := v - least[i] - difference
			squares += d * d
		}
		return difference <= math.Sqrt(squares/(n*max(1, n-1)))
	})
}

func average(list []float64) (sum float64) {
	for _, v := range list {
		sum += v
	}
	return sum / float64(len(list))
}

// heldLosses are the surprises of held-out pictures at a temperature, over all plans, classes
// weighted alike.
func (t *trial) heldLosses(h held, temperature float64) []float64 {
	losses := t.balanced(func(int) bool { return false })
	row := make([]float64, t.classes)
	for picture, w := range losses {
		sum := 0.0
		for plan := range t.s.ratios {
			for i, v := range t.at(h, picture, plan) {
				row[i] = v / temperature
			}
			sum += t.smoothed(row, t.class[picture])
		}
		losses[picture] = w * sum / float64(len(t.s.ratios))
	}
	return losses
}

// heldLoss is their mean.
func (t *trial) heldLoss(h held, temperature float64) float64 {
	return average(t.heldLosses(h, temperature))
}

// smoothed is the surprise at a class that is certain but for one picture more than there
// are, Platt's correction (1999): where all held-out pictures are right, no
// temperature would be low enough.
func (t *trial) smoothed(logits []float64, class int) float64 {
	doubt := 1 / float64(len(t.s.Pictures)+2)
	mean := 0.0
	for _, v := range logits {
		mean += v / float64(len(logits))
	}
	own := logits[class]
	return surprise(logits, class) + doubt*(own-mean)
}

// temperature is that of the least held-out loss, by golden section over its logarithm.
func (t *trial) temperature(h held) float64 {
	const golden = 0.6180339887498949
	lo, hi := math.Log(0.005), math.Log(20)
	for hi-lo > 1e-3 {
		a, b := hi-golden*(hi-lo), lo+golden*(hi-lo)
		if t.heldLoss(h, math.Exp(a)) <= t.heldLoss(h, math.Exp(b)) {
			hi = b
		} else {
			lo = a
		}
	}
	return math.Exp((lo + hi) / 2)
}

// accepted is the share of taught pictures that the rule for none of these is to accept.
const accepted = 0.95

// threshold is the distance within which a picture that was not seen is with that
// share, and at least as far as rounding moves a picture: by the folds, or by stretches of
// time where it is farther by these. Of three films, taught on the earlier part, folds alone
// refuse 2 to 6 % of the later part.
func (t *trial) threshold() float64 {
	return max(1e-4, t.farthest(t.fold), t.farthest(t.stretches()))
}

// farthest is within what distance the accepted share of held-out pictures is, under all plans
// together (split conformal: one more picture counts as beyond all). By the plan
// where they are farthest it accepts 99 % instead of 97, and refuses 64 % of untaught classes
// instead of 96 (five of Imagenette's classes, 10 pictures each, DeiT-Tiny, three draws).
func (t *trial) farthest(folds []int) float64 {
	var list []float64
	for fold := range t.folds {
		centres := t.centres(func(picture int) bool { return folds[picture] == fold })
		for picture, f := range folds {
			if f != fold {
				continue
			}
			for plan := range t.s.ratios {
				list = append(list, t.distance(centres, picture, plan))
			}
		}
	}
	slices.Sort(list)
	n := len(list)
	return list[min(n, int(math.Ceil(accepted*float64(n+1))))-1]
}

// stretches are folds of each class's pictures in their order, which is that of time where their
// names are: what comes next is as far from what was seen as a stretch is from the others.
func (t *trial) stretches() []int {
	total, seen, folds := t.s.counts(), make([]int, t.classes), make([]int, len(t.class))
	for i, class := range t.class {
		folds[i] = seen[class] * t.folds / total[class]
		seen[class]++
	}
	return folds
}

// features are those of a row as the backbone gave them.
func (t *trial) features(picture, row int) []float64 {
	x := slices.Clone(t.s.row(picture, row))
	for i := range x {
		x[i] = x[i]*t.scale + t.mean[i]
	}
	return x
}

// centres are the mean directions of the classes, [classes][width], of all rows of the pictures
// that are not left out.
func (t *trial) centres(out func(int) bool) [][]float64 {
	centres := make([][]float64, t.classes)
	for class := range centres {
		centres[class] = make([]float64, t.width)
	}
	for picture, class := range t.class {
		if out(picture) {
			continue
		}
		for row := range t.s.rows {
			for i, v := range direction(t.features(picture, row)) {
				centres[class][i] += v
			}
		}
	}
	for class, sum := range centres {
		centres[class] = direction(sum)
	}
	return centres
}

// distance is how far a picture under a plan is from the nearest centre.
func (t *trial) distance(centres [][]float64, picture, plan int) float64 {
	unit, nearest := direction(t.features(picture, plan)), math.Inf(1)
	for _, c := range centres {
		nearest = min(nearest, 1-dot(unit, c))
	}
	return nearest
}

// Point is a point of the learning curve.
type Point struct {
	Pictures int     `json:"pictures"` // of all classes, learned from
	Accuracy float64 `json:"accuracy"` // of held-out ones
}

// curve judges fits on a quarter and a half of what each fold learns from.
func (t *trial) curve(ctx context.Context, l2 float64, whole held, o Options) ([]Point, error) {
	var points []Point
	shares := []int{4, 2}
	tick := o.clock("curve", len(shares)*t.folds)
	for _, part := range shares {
		h := make(held, len(whole))
		learned := make([]int, t.folds)
		err := t.each(ctx, o.Threads, func(fold int) {
			out := t.part(fold, part)
			for i := range t.s.Pictures {
				if !out(i) {
					learned[fold]++
				}
			}
			t.judge(h, fold, t.fit(t.balanced(out), min(l2*float64(part), grid[0]), nil))
			tick()
		})
		if err != nil {
			return nil, err
		}
		points = append(points, Point{mean(learned), t.accuracy(h, 0)})
	}
	n := len(t.s.Pictures)
	last := Point{n - n/t.folds, t.accuracy(whole, 0)}
	points = slices.DeleteFunc(points, func(p Point) bool { return p.Pictures >= last.Pictures }) // of very few pictures
	return append(points, last), nil
}

// part leaves a fold out, and of the others' pictures of each class all but every so
// many-th, at least one.
func (t *trial) part(fold, every int) func(int) bool {
	in, seen := make([]bool, len(t.s.Pictures)), make([]int, t.classes)
	for i, class := range t.class {
		if t.fold[i] == fold {
			continue
		}
		in[i] = seen[class]%every == 0
		seen[class]++
	}
	return func(i int) bool { return !in[i] }
}

// accuracy is the share of held-out pictures whose class is the best under a plan.
func (t *trial) accuracy(h held, plan int) float64 {
	right := 0
	for i, class := range t.class {
		if best(t.at(h, i, plan)) == class {
			right++
		}
	}
	return float64(right) / float64(len(t.class))
}

// best is the first of the largest numbers.
func best(v []float64) int {
	return slices.IndexFunc(v, func(x float64) bool { return x == slices.MaxFunc(v, cmp.Compare[float64]) })
}

func mean(v []int) int {
	sum := 0
	for _, n := range v {
		sum += n
	}
	return sum / max(1, len(v))
}
