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
	w      *Weights
	be     backends.Backend
	fuser  backends.Fuser // be, or nil
	scorer Scorer

	pixels backends.Tensor    // [S·S, 3], conv stem only
	maps   [2]backends.Tensor // [S/2·S/2, channels], conv stem only
	strip  backends.Tensor    // [stripRows, kernel inputs], conv stem only
	patch  backends.Tensor    // [N+1, patch inputs]; row 0 stays zero

	x, spare backends.Tensor // [N+1, D] tokens; swapped at each Gather
	y        backends.Tensor // [N+1, D] normalised tokens, then attention's answer
	att      backends.Tensor // [N+1, D]
	qkv      backends.Tensor // [N+1, 3D]
	hidden   backends.Tensor // [N+1, H]; with a fuser it only says how much MLP needs
	half     backends.Tensor // [N, D/2] predictor
	quarter  backends.Tensor // [N, D/4] predictor
	score    backends.Tensor // [N, 1]
	kept     []backends.Index
	dropped  []bool // stages that dropped something in this frame

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
	a := allocator{be: be}
	n, d := w.Patches(), w.Width
	a.tensor(&s.patch, n+1, w.embedInputs())
	a.tensor(&s.x, n+1, d)
	a.tensor(&s.spare, n+1, d)
	a.tensor(&s.y, n+1, d)
	a.tensor(&s.att, n+1, d)
	a.tensor(&s.qkv, n+1, 3*d)
	a.tensor(&s.hidden, n+1, w.Hidden)
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
	s.dropped = make([]bool, len(s.kept))
	s.rows = make([]int32, n+1)
	return s, a.err
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
	s.embed(input)
	alive := s.w.Patches()
	stage := 0
	for i := range s.w.blocks {
		keep, at := alive, -1
		if stage < len(s.w.PruneAt) && s.w.PruneAt[stage] == i {
			keep, at = p.Keep[stage], stage
			s.dropped[at] = keep < alive
			stage++
		}
		s.block(i, at, alive, keep)
		alive = keep
	}
	s.classify(alive)
	return s.collect(p, r)
}

// embed turns the input into tokens: x = patches·Wᵀ + position, CLS in row 0.
func (s *Session) embed(input []float32) {
	w, be := s.w, s.be
	body := be.View(s.patch, 1, s.patch.Rows)
	if w.ConvStem == 0 {
		be.Upload(body, input)
	} else {
		be.Upload(s.pixels, input)
		s.runStem(body)
	}
	be.Linear(s.x, s.patch, w.embed, backends.None, w.position)
	if s.probe != nil {
		s.probe("embed", s.x)
	}
}

// runStem is LV-ViT's stem: each convolution as unfold and Linear, in strips.
func (s *Session) runStem(patches backends.Tensor) {
	be, src := s.be, s.pixels
	for i, c := range s.w.stem {
		dst := s.maps[i%2]
		_, in := c.weight.Dims()
		strip := backends.Tensor{Rows: s.strip.Rows, Cols: in, Host: s.strip.Host, Dev: s.strip.Dev}
		if strip.Host != nil {
			strip.Host = strip.Host[:strip.Rows*in]
		}
		for from := 0; from < dst.Rows; from += stripRows {
			to := min(from+stripRows, dst.Rows)
			part := be.View(strip, 0, to-from)
			be.Unfold(part, src, c.geometry, from)
			be.Linear(be.View(dst, from, to), part, c.weight, backends.ReLU, backends.Tensor{})
		}
		src = dst
	}
	half, k := s.w.ImageSize/2, s.w.PatchSize/2
	be.Unfold(patches, src, backends.Conv{H: half, W: half, Kernel: k, Stride: k}, 0)
}

// block runs block i over alive patches; stage, if not -1, drops to keep.
func (s *Session) block(i, stage, alive, keep int) {
	w, be, b := s.w, s.be, &s.w.blocks[i]
	drops := keep < alive
	if drops && s.scorer == Predictor {
		s.predict(stage, alive)
		s.drop(stage, alive, keep)
		alive, drops = keep, false
	}
	n := alive + 1
	answers := n
	if w.shortcut(i, s.scorer, drops) {
		answers = 1
	}
	x, y := be.View(s.x, 0, n), be.View(s.y, 0, n)
	qkv, att := be.View(s.qkv, 0, n), be.View(s.att, 0, answers)
	be.LayerNorm(y, x, b.norm1.gamma, b.norm1.beta, b.norm1.eps)
	if s.fuser != nil && !drops {
		s.fuser.SelfAttention(att, y, b.qkv, w.Heads, w.side)
	} else {
		score, by := backends.Tensor{}, backends.NoScore
		if drops {
			score, by = be.View(s.score, 0, alive), s.scorer.score()
		}
		be.Linear(qkv, y, b.qkv, backends.None, backends.Tensor{})
		be.Attention(att, qkv, w.Heads, w.side, score, by)
	}
	x = be.View(s.x, 0, answers)
	be.Linear(x, att, b.proj, backends.None, x)
	if drops {
		s.drop(stage, alive, keep)
		answers = keep + 1
		x = be.View(s.x, 0, answers)
	}
	y = be.View(s.y, 0, answers)
	be.LayerNorm(y, x, b.norm2.gamma, b.norm2.beta, b.norm2.eps)
	if s.fuser != nil {
		s.fuser.MLP(x, y, b.fc1, b.fc2)
	} else {
		hidden := be.View(s.hidden, 0, answers)
		be.Linear(hidden, y, b.fc1, backends.GELU, backends.Tensor{})
		be.Linear(x, hidden, b.fc2, backends.None, x)
	}
	if s.probe != nil {
		s.probe(fmt.Sprintf("block.%02d", i), x)
	}
}

func (s Scorer) score() backends.Score {
	if s == CLSAttention {
		return backends.CLS
	}
	return backends.Received
}

// predict scores the alive patches by the stage's predictor (models/dyvit.py,
// PredictorLG).
func (s *Session) predict(stage, alive int) {
	be, p := s.be, &s.w.predictors[stage]
	y, wide := be.View(s.y, 0, alive), be.View(s.att, 0, alive)
	half, quarter := be.View(s.half, 0, alive), be.View(s.quarter, 0, alive)
	score := be.View(s.score, 0, alive)
	be.LayerNorm(y, be.View(s.x, 1, alive+1), p.norm.gamma, p.norm.beta, p.norm.eps)
	be.Linear(wide, y, p.in, backends.GELU, backends.Tensor{})
	be.MeanHalf(wide)
	be.Linear(half, wide, p.out0, backends.GELU, backends.Tensor{})
	be.Linear(quarter, half, p.out2, backends.GELU, backends.Tensor{})
	be.Linear(score, quarter, p.out4, backends.None, backends.Tensor{})
	if s.probe != nil {
		s.probe(fmt.Sprintf("score.%d", stage), score)
	}
}

// drop keeps CLS and the best patches by s.score.
func (s *Session) drop(stage, alive, keep int) {
	be := s.be
	kept := s.kept[stage].First(keep + 1)
	if s.forced != nil {
		be.UploadIndex(kept, s.forcedRows(stage, alive))
	} else {
		be.TopK(kept, be.View(s.score, 0, alive))
	}
	be.Gather(be.View(s.spare, 0, keep+1), be.View(s.x, 0, alive+1), kept)
	s.x, s.spare = s.spare, s.x
}

// forcedRows turns the absolute ids that a test wants into row numbers among
// those alive.
func (s *Session) forcedRows(stage, alive int) []int32 {
	before := s.rows[:0]
	if stage > 0 {
		before = s.forced[stage-1]
	}
	rows := []int32{0}
	for _, id := range s.forced[stage] {
		row := int(id)
		if stage > 0 {
			for row = 0; before[row] != id; row++ {
			}
		}
		rows = append(rows, int32(row+1))
	}
	return rows
}

// classify reads the logits off CLS and, for LV-ViT, half the largest logit of
// the patches.
func (s *Session) classify(alive int) {
	be, w := s.be, s.w
	rows := 1
	if w.AuxHead {
		rows = alive + 1
	}
	y := be.View(s.y, 0, rows)
	be.LayerNorm(y, be.View(s.x, 0, rows), w.norm.gamma, w.norm.beta, w.norm.eps)
	res := backends.Tensor{}
	if w.AuxHead {
		aux := be.View(s.aux, 0, alive)
		be.Linear(aux, be.View(s.y, 1, rows), w.aux, backends.None, res)
		be.MaxRows(s.auxMax, aux)
		res = s.auxMax
	}
	be.Linear(s.logits, be.View(s.y, 0, 1), w.head, backends.None, res)
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
	for stage, keep := range p.Keep {
		ids := r.Kept[stage][:0]
		rows := s.rows[:keep+1]
		if s.dropped[stage] {
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
	}
	return nil
}
