package vit

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"dynvit/backends"
	"dynvit/modelfile"
)

// Features is the number of elements of Result.Features: D, or 2D where the head reads
// CLS and the mean of the patches side by side.
func (c Config) Features() int {
	if c.Pooling() == PoolBoth {
		return 2 * c.Width
	}
	return c.Width
}

// features are the rows [1, D] that the heads have read of a frame under a plan, still
// there behind forward: a backbone's own answer, a model's with a head likewise.
func (s *Session) features(p Plan) [2]backends.Tensor {
	w := s.w
	row := func(t backends.Tensor, at int) backends.Tensor { return t.View(at, at+1) }
	switch {
	case w.NoNorm:
		return [2]backends.Tensor{row(s.last(p), w.lead())}
	case w.Pooling() == PoolBoth:
		return [2]backends.Tensor{row(s.y, 1), row(s.y, 1+w.Prefix())}
	case w.Distilled && w.Classes > 0:
		return [2]backends.Tensor{row(s.y, 1), row(s.y, 2)}
	}
	return [2]backends.Tensor{row(s.y, 1)}
}

// last is which of the two token buffers a frame under a plan ends in: each drop moves
// to the other. A replay does not set s.x.
func (s *Session) last(p Plan) backends.Tensor {
	drops, alive := 0, s.w.Patches()
	for _, keep := range p.Keep {
		if keep < alive {
			drops++
		}
		alive = keep
	}
	return s.tokens[drops%2]
}

// collectFeatures copies the features out: side by side where one head reads two rows,
// their mean where each has a head of its own.
func (s *Session) collectFeatures(p Plan, r *Result) error {
	d, n := s.w.Width, s.w.Features()
	if cap(r.Features) < 2*d {
		r.Features = make([]float32, 2*d)
	}
	r.Features = r.Features[:2*d]
	for i, row := range s.features(p) {
		if row.Rows == 0 {
			break
		}
		if err := s.be.Download(r.Features[i*d:(i+1)*d], row); err != nil {
			return err
		}
	}
	if s.w.Distilled && s.w.Classes > 0 {
		for i := range d {
			r.Features[i] = (r.Features[i] + r.Features[d+i]) / 2
		}
	}
	r.Features = r.Features[:n]
	return nil
}

// BackboneSum is the SHA-256, in hex, of what lies between pixels and features: names,
// types, shapes and bytes of all tensors of a model file but classifiers and predictors,
// which may be others without another meaning of the features. It reads the whole file.
func BackboneSum(f *modelfile.File) string {
	sum := sha256.New()
	for _, name := range f.Names() {
		if aside(name) {
			continue
		}
		t, _ := f.Tensor(name)
		fmt.Fprintf(sum, "%s %s %v\n", name, t.DType, t.Shape)
		sum.Write(t.Data) // a hash takes all
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// aside are the tensors that features do not come of.
func aside(name string) bool {
	for _, prefix := range []string{"head.", "head_dist.", "aux_head.", "score_predictor."} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
