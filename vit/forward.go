package vit

import (
	"fmt"

	"dynvit/backends"
)

// forward does all operations from the input to the logits under a plan: the same ones,
// on the same tensors, whenever it is called with that plan.
func (s *Session) forward(p Plan) {
	s.embed()
	alive := s.w.Patches()
	stage := 0
	for i := range s.w.blocks {
		keep, at := alive, -1
		if stage < len(s.w.PruneAt) && s.w.PruneAt[stage] == i {
			keep, at = p.Keep[stage], stage
			stage++
		}
		s.block(i, at, alive, keep)
		alive = keep
	}
	s.classify(alive)
}

// embed turns the input into tokens: x = patches·Wᵀ + position, CLS in row 0.
func (s *Session) embed() {
	w := s.w
	s.x, s.spare = s.tokens[0], s.tokens[1]
	if w.ConvStem > 0 {
		s.runStem(s.patch.View(1, s.patch.Rows))
	}
	s.be.Linear(s.x, s.patch, w.embed, backends.None, w.position)
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
		strip := s.strip.Reshape(s.strip.Rows, in)
		for from := 0; from < dst.Rows; from += stripRows {
			to := min(from+stripRows, dst.Rows)
			part := strip.View(0, to-from)
			be.Unfold(part, src, c.geometry, from)
			be.Linear(dst.View(from, to), part, c.weight, backends.ReLU, backends.Tensor{})
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
	x, y := s.x.View(0, n), s.y.View(0, n)
	att := s.att.View(0, answers)
	be.LayerNorm(y, x, b.norm1.gamma, b.norm1.beta, b.norm1.eps)
	s.attention(att, y, b.qkv, drops)
	x = s.x.View(0, answers)
	be.Linear(x, att, b.proj, backends.None, x)
	if drops {
		s.drop(stage, alive, keep)
		answers = keep + 1
		x = s.x.View(0, answers)
	}
	y = s.y.View(0, answers)
	be.LayerNorm(y, x, b.norm2.gamma, b.norm2.beta, b.norm2.eps)
	s.mlp(x, y, b)
	if s.probe != nil {
		s.probe(fmt.Sprintf("block.%02d", i), x)
	}
}

// attention answers the first rows of y, and scores the patches where it is asked to.
func (s *Session) attention(dst, y backends.Tensor, w backends.Weight, scored bool) {
	heads, products := s.w.Heads, s.w.side
	if s.fuser != nil && !scored {
		s.fuser.SelfAttention(dst, y, w, heads, products)
		return
	}
	score, by := backends.Tensor{}, backends.NoScore
	if scored {
		score, by = s.score.View(0, y.Rows-1), s.scorer.score()
	}
	qkv := s.qkv.View(0, y.Rows)
	s.be.Linear(qkv, y, w, backends.None, backends.Tensor{})
	s.be.Attention(dst, qkv, heads, products, score, by)
}

// mlp adds to x what the block's MLP makes of y.
func (s *Session) mlp(x, y backends.Tensor, b *block) {
	if s.fuser != nil {
		s.fuser.MLP(x, y, b.fc1, b.fc2)
		return
	}
	hidden := s.hidden.View(0, y.Rows)
	s.be.Linear(hidden, y, b.fc1, backends.GELU, backends.Tensor{})
	s.be.Linear(x, hidden, b.fc2, backends.None, x)
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
	y, wide := s.y.View(0, alive), s.att.View(0, alive)
	half, quarter := s.half.View(0, alive), s.quarter.View(0, alive)
	score := s.score.View(0, alive)
	be.LayerNorm(y, s.x.View(1, alive+1), p.norm.gamma, p.norm.beta, p.norm.eps)
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
		be.TopK(kept, s.score.View(0, alive))
	}
	be.Gather(s.spare.View(0, keep+1), s.x.View(0, alive+1), kept)
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
	y := s.y.View(0, rows)
	be.LayerNorm(y, s.x.View(0, rows), w.norm.gamma, w.norm.beta, w.norm.eps)
	res := backends.Tensor{}
	if w.AuxHead {
		aux := s.aux.View(0, alive)
		be.Linear(aux, s.y.View(1, rows), w.aux, backends.None, res)
		be.MaxRows(s.auxMax, aux)
		res = s.auxMax
	}
	be.Linear(s.logits, s.y.View(0, 1), w.head, backends.None, res)
}
