package vit

import (
	"fmt"

	"dynvit/backends"
)

// Result is what one frame gave. Its memory is reused by the next Run.
type Result struct {
	Logits []float32 // [C]
	Tokens []int     // alive, CLS included: before the first stage, and after each
	Kept   [][]int32 // ids 0…N-1 of the patches alive after each stage, ascending; only if WantKept

	WantKept bool // set before Run
}

// Session owns every activation of one frame, sized for the dense plan, so that
// any plan runs without allocating. One goroutine uses it, and its backend, at
// a time.
type Session struct {
	w          *Weights
	be         backends.Backend
	fuser      backends.Fuser // be, or nil
	scorer     Scorer
	recorder   backends.Recorder // be, or nil
	recordings []recording       // used last first

	pixels backends.Tensor    // [S·S, 3], conv stem only
	maps   [2]backends.Tensor // [S/2·S/2, channels], conv stem only
	strip  backends.Tensor    // [stripRows, kernel inputs], conv stem only
	patch  backends.Tensor    // [N+1, patch inputs]; row 0 stays zero

	tokens   [2]backends.Tensor // [N+1, D]; a frame begins in the first
	x, spare backends.Tensor    // the two of tokens, swapped at each Gather
	y        backends.Tensor    // [N+1, D] normalised tokens, then attention's answer
	att      backends.Tensor    // [N+1, D]
	qkv      backends.Tensor    // [N+1, 3D], where not all of it is the fuser's
	hidden   backends.Tensor    // [N+1, H], without a fuser
	half     backends.Tensor    // [N, D/2] predictor
	quarter  backends.Tensor    // [N, D/4] predictor
	score    backends.Tensor    // [N, 1]
	kept     []backends.Index

	aux    backends.Tensor // [N, C], aux head only
	auxMax backends.Tensor // [1, C], aux head only
	logits backends.Tensor // [1, C]

	rows   []int32                              // scratch of collect
	forced [][]int32                            // tests: absolute ids to keep instead of the scorer's
	probe  func(name string, t backends.Tensor) // tests: sees activations as they are made
}

// stripRows is how many output pixels of the conv stem are unfolded at once:
// 512 rows of 576 inputs are 1.2 MB, within an L2 of the machines we serve.
const stripRows = 512

// NewSession allocates for w on be. The scorer must be Predictor only where w
// has predictors.
func NewSession(be backends.Backend, w *Weights, scorer Scorer) (*Session, error) {
	if scorer == Predictor && !w.Predictors && len(w.PruneAt) > 0 {
		return nil, fmt.Errorf("scorer predictor: the model has no predictors")
	}
	s := &Session{w: w, be: be, scorer: scorer}
	s.fuser, _ = be.(backends.Fuser)
	s.recorder, _ = be.(backends.Recorder)
	a := allocator{be: be}
	n, d := w.Patches(), w.Width
	a.tensor(&s.patch, n+1, w.embedInputs())
	a.tensor(&s.tokens[0], n+1, d)
	a.tensor(&s.tokens[1], n+1, d)
	a.tensor(&s.y, n+1, d)
	a.tensor(&s.att, n+1, d)
	s.allocBlock(&a)
	a.tensor(&s.score, n, 1)
	a.tensor(&s.logits, 1, w.Classes)
	if w.Predictors {
		a.tensor(&s.half, n, d/2)
		a.tensor(&s.quarter, n, d/4)
	}
	if w.AuxHead {
		a.tensor(&s.aux, n, w.Classes)
		a.tensor(&s.auxMax, 1, w.Classes)
	}
	if w.ConvStem > 0 {
		s.allocStem(&a)
	}
	s.kept = make([]backends.Index, len(w.PruneAt))
	for i := range s.kept {
		a.index(&s.kept[i], n+1)
	}
	s.rows = make([]int32, n+1)
	return s, a.err
}

// allocBlock allocates what lies between a block's operations. A fuser sets that aside
// itself, but for what scores come of.
func (s *Session) allocBlock(a *allocator) {
	w := s.w
	n := w.Patches() + 1
	if s.fuser == nil {
		a.tensor(&s.hidden, n, w.Hidden)
	} else if a.err == nil {
		a.err = s.fuser.Reserve(backends.Block{Tokens: n, Width: w.Width, Hidden: w.Hidden, Heads: w.Heads})
	}
	if s.fuser == nil || s.scorer != Predictor {
		a.tensor(&s.qkv, n, 3*w.Width)
	}
}

func (s *Session) allocStem(a *allocator) {
	w := s.w
	half := w.ImageSize / 2
	a.tensor(&s.pixels, w.ImageSize*w.ImageSize, 3)
	a.tensor(&s.maps[0], half*half, w.ConvStem)
	a.tensor(&s.maps[1], half*half, w.ConvStem)
	a.tensor(&s.strip, stripRows, max(7*7*3, 3*3*w.ConvStem))
}

type allocator struct {
	be  backends.Backend
	err error
}

func (a *allocator) tensor(t *backends.Tensor, rows, cols int) {
	if a.err == nil {
		*t, a.err = a.be.Alloc(rows, cols)
	}
}

func (a *allocator) index(x *backends.Index, n int) {
	if a.err == nil {
		*x, a.err = a.be.AllocIndex(n)
	}
}

// Run computes the logits of one normalised input (Config.InputLen elements:
// patch matrix, or pixels for a conv stem) under a plan that fits the model.
// After the first call with a Result it allocates nothing.
func (s *Session) Run(input []float32, p Plan, r *Result) error {
	if len(input) != s.w.InputLen() {
		return fmt.Errorf("vit: input of %d numbers, the model takes %d", len(input), s.w.InputLen())
	}
	if err := p.Check(s.w.Patches(), len(s.w.PruneAt)); err != nil {
		return err
	}
	s.be.Upload(s.input(), input)
	if s.recorder == nil || s.forced != nil || s.probe != nil {
		s.forward(p)
	} else {
		s.recording(p).Replay()
	}
	return s.collect(p, r)
}

// input is where a frame's input goes.
func (s *Session) input() backends.Tensor {
	if s.w.ConvStem > 0 {
		return s.pixels
	}
	return s.patch.View(1, s.patch.Rows)
}

// collect waits for the backend and copies the answers out.
func (s *Session) collect(p Plan, r *Result) error {
	if cap(r.Logits) < s.w.Classes {
		r.Logits = make([]float32, s.w.Classes)
	}
	r.Logits = r.Logits[:s.w.Classes]
	if err := s.be.Download(r.Logits, s.logits); err != nil {
		return err
	}
	r.Tokens = append(r.Tokens[:0], s.w.Patches()+1)
	for _, k := range p.Keep {
		r.Tokens = append(r.Tokens, k+1)
	}
	if !r.WantKept {
		r.Kept = r.Kept[:0]
		return nil
	}
	return s.collectKept(p, r)
}

// collectKept composes the stages' row numbers into ids of the input's patches.
func (s *Session) collectKept(p Plan, r *Result) error {
	if cap(r.Kept) < len(p.Keep) {
		r.Kept = make([][]int32, len(p.Keep))
	}
	r.Kept = r.Kept[:len(p.Keep)]
	alive := s.w.Patches()
	for stage, keep := range p.Keep {
		ids := r.Kept[stage][:0]
		rows := s.rows[:keep+1]
		if keep < alive {
			if err := s.be.DownloadIndex(rows, s.kept[stage].First(keep+1)); err != nil {
				return err
			}
		} else {
			for i := range rows {
				rows[i] = int32(i)
			}
		}
		for _, row := range rows[1:] {
			id := row - 1
			if stage > 0 {
				id = r.Kept[stage-1][id]
			}
			ids = append(ids, id)
		}
		r.Kept[stage] = ids
		alive = keep
	}
	return nil
}
