package vit

import (
	"fmt"

	"dynvit/backends"
)

// Result is what one frame gave. Its memory is reused by the next Run.
type Result struct {
	Logits []float32 // [C], or the features [D] of a backbone
	Tokens []int     // alive, those ahead of the patches included: before the first stage, and after each
	Kept   [][]int32 // ids 0…N-1 of the patches alive after each stage, ascending; only if WantKept
	Groups [][]int32 // the id that each of the N patches lives on in after each stage, -1 where it is dropped; only if WantKept and the scorer merges

	Features []float32 // [Config.Features] what the head has read, after the last norm; only if WantFeatures

	WantKept, WantFeatures bool // set before Run
}

// Session owns every activation of one frame, sized for the dense plan, so that
// any plan runs without allocating. One goroutine uses it, and its backend, at
// a time.
type Session struct {
	w          *Weights
	be         backends.Backend
	fuser      backends.Fuser  // be, or nil
	merger     backends.Merger // be, or nil
	scorer     Scorer
	stages     []int             // blocks, of the scorer
	recorder   backends.Recorder // be, or nil
	recordings []recording       // used last first

	pixels backends.Tensor    // [S·S, 3], conv stem only
	maps   [2]backends.Tensor // [S/2·S/2, channels], conv stem only
	strip  backends.Tensor    // [stripRows, kernel inputs], conv stem only
	patch  backends.Tensor    // [P+N, patch inputs] (at least one row ahead of N here and below); the first P stay zero

	tokens   [2]backends.Tensor // [P+N, D]; a frame begins in the first
	x, spare backends.Tensor    // the two of tokens, swapped at each Gather
	y        backends.Tensor    // [P+N+1, D] normalised tokens, then attention's answer
	att      backends.Tensor    // [P+N, D]
	qkv      backends.Tensor    // [P+N, 3D], where not all of it is the fuser's
	hidden   backends.Tensor    // [P+N, H], where the fuser has no such MLP
	half     backends.Tensor    // [N, D/2] predictor
	quarter  backends.Tensor    // [N, D/4] predictor
	score    backends.Tensor    // [P-1+N, 1]
	kept     []backends.Index
	same     backends.Index // 0…P-1: the rows ahead of the patches, which stay

	sizes           [2]backends.Tensor // [P+N, 1] how many patches each row stands for; the first P stay 1; merging only
	size, spareSize backends.Tensor    // of s.x, none until it was merged, and what the next sizes are written to
	orders          [3]backends.Tensor // [1+N, turns] where patches are in the picture (orders), behind CLS; a frame begins with the first; merging only
	order           backends.Tensor    // of the patches alive
	turn            int                // how often a frame has merged so far
	groups          []backends.Index   // the place among kept that each row alive goes to, -1: dropped; merging only
	whole           backends.Index     // [N] zeros: all patches one group; merging only

	aux    backends.Tensor // [N, C], aux head only
	auxMax backends.Tensor // [1, C], aux head only
	logits backends.Tensor // [1, C]
	answer backends.Tensor // logits, or the pooled row of a backbone

	rows         []int32                              // scratch of collect
	places       []int32                              // scratch of collect
	forced       [][]int32                            // tests: absolute ids to keep instead of the scorer's
	forcedGroups [][]int32                            // tests: with forced, the id that each patch lives on in, or -1
	probe        func(name string, t backends.Tensor) // tests: sees activations as they are made
}

// stripRows is how many output pixels of the conv stem are unfolded at once:
// 512 rows of 576 inputs are 1.2 MB, within an L2 of the machines we serve.
const stripRows = 512

// NewSession allocates for w on be. The scorer must be Predictor only where w
// has predictors.
func NewSession(be backends.Backend, w *Weights, scorer Scorer) (*Session, error) {
	if scorer.predicts() && !w.Predictors && len(w.PruneAt) > 0 {
		return nil, fmt.Errorf("scorer %v: the model has no predictors", scorer)
	}
	if scorer == CLSAttention && w.NoCLS {
		return nil, fmt.Errorf("scorer cls-attention: the model has no CLS token")
	}
	s := &Session{w: w, be: be, scorer: scorer, stages: w.Stages(scorer)}
	if s.merger, _ = be.(backends.Merger); s.merger == nil && scorer.Merges() {
		return nil, fmt.Errorf("scorer %v: the backend %s merges no patches (use %v)", scorer, be.Facts().Name, scorer.Dropping())
	}
	s.fuser, _ = be.(backends.Fuser)
	s.recorder, _ = be.(backends.Recorder)
	a := allocator{be: be}
	n, d := w.Patches(), w.Width
	all := w.lead() + n
	a.tensor(&s.patch, all, w.embedInputs())
	a.tensor(&s.tokens[0], all, d)
	a.tensor(&s.tokens[1], all, d)
	a.tensor(&s.y, all+1, d)
	a.tensor(&s.att, all, d)
	s.allocBlock(&a)
	a.tensor(&s.score, all-1, 1)
	s.allocAnswer(&a)
	if w.Predictors {
		a.tensor(&s.half, n, d/2)
		a.tensor(&s.quarter, n, d/4)
	}
	if w.ConvStem > 0 {
		s.allocStem(&a)
	}
	s.kept = make([]backends.Index, len(s.stages))
	for i := range s.kept {
		a.index(&s.kept[i], n+1)
	}
	s.rows, s.places = make([]int32, n+1), make([]int32, n)
	s.allocSame(&a)
	if scorer.Merges() {
		s.allocMerging(&a)
	}
	return s, a.err
}

// allocAnswer allocates what classify writes. A backbone's answer is what a head
// would read, always the same row.
func (s *Session) allocAnswer(a *allocator) {
	w := s.w
	if w.AuxHead {
		a.tensor(&s.aux, w.Patches(), w.Classes)
		a.tensor(&s.auxMax, 1, w.Classes)
	}
	if w.Classes > 0 {
		a.tensor(&s.logits, 1, w.Classes)
		s.answer = s.logits
	} else if a.err == nil {
		s.answer = s.y.View(1, 2)
	}
}

// allocSame fills s.same.
func (s *Session) allocSame(a *allocator) {
	others := s.w.lead()
	a.index(&s.same, others)
	if a.err != nil {
		return
	}
	rows := make([]int32, others)
	for i := range rows {
		rows[i] = int32(i)
	}
	s.be.UploadIndex(s.same, rows)
	a.err = s.be.DownloadIndex(rows, s.same) // waits until rows was read
}

// allocBlock allocates what lies between a block's operations. A fuser sets that aside
// itself, but for what scores come of.
func (s *Session) allocBlock(a *allocator) {
	w := s.w
	n := w.lead() + w.Patches()
	if !s.fusesMLP() {
		a.tensor(&s.hidden, n, w.Hidden)
	}
	if s.fuser != nil && a.err == nil {
		a.err = s.fuser.Reserve(backends.Block{Tokens: n, Width: w.Width, Hidden: w.Hidden, Heads: w.Heads, Precision: w.Precision})
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
	if err := p.Check(s.w.Patches(), len(s.stages)); err != nil {
		return err
	}
	s.be.Upload(s.Input(), input)
	return s.run(p, r)
}

// RunPrepared is Run of what was written to Input.
func (s *Session) RunPrepared(p Plan, r *Result) error {
	if err := p.Check(s.w.Patches(), len(s.stages)); err != nil {
		return err
	}
	return s.run(p, r)
}

func (s *Session) run(p Plan, r *Result) error {
	if s.recorder == nil || s.forced != nil || s.probe != nil {
		s.forward(p)
	} else {
		s.recording(p).Replay()
	}
	return s.collect(p, r)
}

// Input is where a frame's input goes, for a backend that makes it itself. It stays the same.
func (s *Session) Input() backends.Tensor {
	if s.w.ConvStem > 0 {
		return s.pixels
	}
	return s.patch.View(s.w.lead(), s.patch.Rows)
}

// collect waits for the backend and copies the answers out.
func (s *Session) collect(p Plan, r *Result) error {
	outputs, prefix := s.w.Outputs(), s.w.Prefix()
	if cap(r.Logits) < outputs {
		r.Logits = make([]float32, outputs)
	}
	r.Logits = r.Logits[:outputs]
	if err := s.be.Download(r.Logits, s.answer); err != nil {
		return err
	}
	r.Tokens = append(r.Tokens[:0], s.w.Patches()+prefix)
	for _, k := range p.Keep {
		r.Tokens = append(r.Tokens, k+prefix)
	}
	r.Features, r.Kept, r.Groups = r.Features[:0], r.Kept[:0], r.Groups[:0]
	if r.WantFeatures {
		if err := s.collectFeatures(p, r); err != nil {
			return err
		}
	}
	if !r.WantKept {
		return nil
	}
	if err := s.collectKept(p, r); err != nil || !s.scorer.Merges() {
		return err
	}
	return s.collectGroups(p, r)
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
