package vit

import "dynvit/backends"

// classify reads the answer off what is left of the tokens: the sum of a head for each
// row of pooled, and for LV-ViT half the largest logit of the patches (it is the largest, however
// many a patch stands for).
func (s *Session) classify(alive int) {
	pooled := s.pool(alive)
	res := backends.Tensor{}
	if s.w.AuxHead {
		res = s.largestAux(alive)
	}
	for i, head := range s.w.heads {
		s.be.Linear(s.logits, pooled[i], head, backends.None, res)
		res = s.logits
	}
}

// pool returns what the heads read, a row [1, D] for each; a backbone's is
// Session.features.
func (s *Session) pool(alive int) [2]backends.Tensor {
	w := s.w
	switch {
	case w.Pooling() == PoolMean && w.NoNorm:
		return s.patchMean(s.x, w.lead(), alive)
	case w.Pooling() == PoolMean && w.FCNorm:
		s.patchMean(s.x, w.lead(), alive)
		return s.normalised(w.lead(), 1)
	case w.Pooling() == PoolMean:
		s.normalised(w.lead(), alive)
		return s.patchMean(s.y, 1, alive)
	case w.Pooling() == PoolBoth:
		pooled := s.normalised(0, w.Prefix()+alive)
		pooled[1] = s.patchMean(s.y, 1+w.Prefix(), alive)[0]
		return pooled
	case w.AuxHead:
		return s.normalised(0, 1+alive)
	case w.Distilled && w.Classes == 0:
		s.normalised(0, 2)
		return s.mean(s.y, 1, 2)
	}
	return s.normalised(0, w.read())
}

// normalised writes the last LayerNorm of n rows of s.x to s.y from row 1 on, and
// returns the first two.
func (s *Session) normalised(from, n int) (rows [2]backends.Tensor) {
	norm := s.w.norm
	s.be.LayerNorm(s.y.View(1, 1+n), s.x.View(from, from+n), norm.gamma, norm.beta, norm.eps)
	for i := range min(2, n) {
		rows[i] = s.y.View(1+i, 2+i)
	}
	return rows
}

// patchMean is mean of rows of patches, each of which counts as many as it stands for.
func (s *Session) patchMean(t backends.Tensor, from, n int) (rows [2]backends.Tensor) {
	if s.size.IsZero() {
		return s.mean(t, from, n)
	}
	s.weighted(t, from, n)
	rows[0] = t.View(from, from+1)
	return rows
}

// mean puts the mean of n rows of t, from 1 on or later, in place of the first of
// them. MeanHalf does it for the right halves of the columns; the left halves are
// right ones too, of rows that begin half a row earlier.
func (s *Session) mean(t backends.Tensor, from, n int) (rows [2]backends.Tensor) {
	d := t.Cols
	s.be.MeanHalf(t.View(from, from+n))
	halves := t.Reshape(2*t.Rows, d/2)
	s.be.MeanHalf(halves.View(2*from-1, 2*(from+n)-1).Reshape(n, d))
	rows[0] = t.View(from, from+1)
	return rows
}

// largestAux is the largest of the patches' logits in each class.
func (s *Session) largestAux(alive int) backends.Tensor {
	aux := s.aux.View(0, alive)
	s.be.Linear(aux, s.y.View(2, 2+alive), s.w.aux, backends.None, backends.Tensor{})
	s.be.MaxRows(s.auxMax, aux)
	return s.auxMax
}
