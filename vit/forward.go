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
		if stage < len(s.stages) && s.stages[stage] == i {
			keep, at = p.Keep[stage], stage
			stage++
		}
		s.block(i, at, alive, keep)
		alive = keep
	}
	s.classify(alive)
}

// embed turns the input into tokens: x = patches·Wᵀ + position, what is ahead of the
// patches coming of position alone.
func (s *Session) embed() {
	w := s.w
	s.x, s.spare = s.tokens[0], s.tokens[1]
	s.size, s.spareSize = backends.Tensor{}, s.sizes[0]
	s.order, s.turn = s.orders[0], 0
	if w.ConvStem > 0 {
		s.runStem(s.patch.View(w.lead(), s.patch.Rows))
	}
	s.be.Linear(s.x, s.patch, w.embed, backends.None, w.position)
	if w.PreNorm {
		s.be.LayerNorm(s.x, s.x, w.preNorm.gamma, w.preNorm.beta, w.preNorm.eps)
	}
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

// block runs block i over alive patches; stage, if not -1, leaves keep of them.
func (s *Session) block(i, stage, alive, keep int) {
	w, be, b := s.w, s.be, &s.w.blocks[i]
	drops := keep < alive
	if drops && s.scorer.predicts() {
		s.predict(stage, alive)
	}
	if drops && s.scorer == Predictor {
		s.drop(stage, alive, keep)
		alive, drops = keep, false
	}
	n := alive + w.Prefix()
	answers := n
	if w.shortcut(i, s.scorer, drops) {
		answers = w.read()
	}
	x, y := s.alive(n), s.y.View(0, n)
	att := s.att.View(0, answers)
	be.LayerNorm(y, x, b.norm1.gamma, b.norm1.beta, b.norm1.eps)
	s.attention(att, y, b.qkv, drops)
	x = s.alive(answers)
	be.Linear(x, att, b.proj, backends.None, x)
	if drops {
		s.leave(stage, alive, keep)
		answers = keep + w.Prefix()
		x = s.alive(answers)
	}
	y = s.y.View(0, answers)
	be.LayerNorm(y, x, b.norm2.gamma, b.norm2.beta, b.norm2.eps)
	s.mlp(x, y, b)
	if s.probe != nil {
		s.probe(fmt.Sprintf("block.%02d", i), x)
	}
}

// alive is the first n tokens.
func (s *Session) alive(n int) backends.Tensor {
	first := s.w.lead() - s.w.Prefix()
	return s.x.View(first, first+n)
}

// attention answers the first rows of y. Where patches are to leave, s.qkv and what is not
// scored yet of the patches are made, too.
func (s *Session) attention(dst, y backends.Tensor, w backends.Weight, leaves bool) {
	heads, products, sizes := s.w.Heads, s.w.side, s.sizesOf(y.Rows)
	if s.fuser != nil && !leaves {
		s.fuser.SelfAttention(dst, y, w, sizes, heads, products)
		return
	}
	score, by := backends.Tensor{}, backends.NoScore
	if leaves && !s.scorer.predicts() {
		score, by = s.score.View(0, y.Rows-min(1, s.w.Prefix())), s.scorer.score()
	}
	qkv := s.qkv.View(0, y.Rows)
	s.be.Linear(qkv, y, w, backends.None, backends.Tensor{})
	s.be.Attention(dst, qkv, sizes, heads, products, score, by)
}

// mlp adds to x what the block's MLP makes of y.
func (s *Session) mlp(x, y backends.Tensor, b *block) {
	if s.fusesMLP() {
		s.fuser.MLP(x, y, b.fc1, b.fc2)
		return
	}
	hidden := s.hidden.View(0, y.Rows)
	s.be.Linear(hidden, y, b.fc1, s.w.act(), backends.Tensor{})
	s.be.Linear(x, hidden, b.fc2, backends.None, x)
}

// fusesMLP: a fuser's MLP knows the exact GELU alone.
func (s *Session) fusesMLP() bool { return s.fuser != nil && s.w.Activation() == ActGELU }

// act is what the MLP applies between its layers.
func (c Config) act() backends.Act {
	switch c.Activation() {
	case ActQuick:
		return backends.QuickGELU
	case ActTanh:
		return backends.TanhGELU
	}
	return backends.GELU
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
	score := s.patchScores(alive)
	be.LayerNorm(y, s.patches(s.x, alive), p.norm.gamma, p.norm.beta, p.norm.eps)
	be.Linear(wide, y, p.in, backends.GELU, backends.Tensor{})
	be.MeanHalf(wide)
	be.Linear(half, wide, p.out0, backends.GELU, backends.Tensor{})
	be.Linear(quarter, half, p.out2, backends.GELU, backends.Tensor{})
	be.Linear(score, quarter, p.out4, backends.None, backends.Tensor{})
	if s.probe != nil {
		s.probe(fmt.Sprintf("score.%d", stage), score)
	}
}

// patches are the rows of the alive patches in a matrix of tokens.
func (s *Session) patches(t backends.Tensor, alive int) backends.Tensor {
	return t.View(s.w.lead(), s.w.lead()+alive)
}

// patchScores are the patches' own: Attention scores all tokens but the first.
func (s *Session) patchScores(alive int) backends.Tensor {
	return s.score.View(s.w.lead()-1, s.w.lead()-1+alive)
}

// leave drops patches, or merges them.
func (s *Session) leave(stage, alive, keep int) {
	if s.scorer.Merges() {
		s.merge(stage, alive, keep)
		return
	}
	s.drop(stage, alive, keep)
}

// drop keeps what is ahead of the patches, and the best patches by s.score.
func (s *Session) drop(stage, alive, keep int) {
	be := s.be
	kept := s.kept[stage].First(keep + 1)
	if s.forced != nil {
		be.UploadIndex(kept, s.forcedRows(stage, alive))
	} else {
		be.TopK(kept, s.patchScores(alive))
	}
	first := s.w.lead() - 1 // of the rows that kept counts from
	be.Gather(s.spare.View(first, first+keep+1), s.x.View(first, first+alive+1), kept)
	if first > 0 {
		be.Gather(s.spare.View(0, first), s.x.View(0, first), s.same.First(first))
	}
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
