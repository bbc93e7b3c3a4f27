package vit

import (
	"slices"

	"dynvit/backends"
)

// drops is how many of alive patches are dropped where keep are to be left; the others
// are merged (docs/method.md, "Merging").
func drops(alive, keep int) int {
	gone := alive - keep
	return gone * gone / alive
}

// comparisons is how many pairs of patches a matching looks at (backends.Merger).
func comparisons(alive, keep int) int64 {
	left := alive - drops(alive, keep)
	return int64(left/2) * int64(left-left/2)
}

// allocMerging allocates what merging takes besides.
func (s *Session) allocMerging(a *allocator) {
	n := s.w.lead() + s.w.Patches()
	ones := make([]float32, n)
	for i := range ones {
		ones[i] = 1
	}
	for i := range s.sizes {
		a.tensor(&s.sizes[i], n, 1)
		if a.err != nil {
			return
		}
		s.be.Upload(s.sizes[i], ones)
		if a.err = s.be.Download(ones, s.sizes[i]); a.err != nil { // waits until ones was read
			return
		}
	}
	s.allocOrders(a)
	a.index(&s.whole, s.w.Patches())
	s.groups = make([]backends.Index, len(s.stages))
	for i := range s.groups {
		a.index(&s.groups[i], s.w.Patches())
	}
}

// allocOrders allocates the places of the patches alive, and has those of all uploaded.
func (s *Session) allocOrders(a *allocator) {
	grid := s.w.Grid()
	all := orders(grid, max(1, min(turns(grid), len(s.stages))))
	for i := range s.orders {
		a.tensor(&s.orders[i], 1+s.w.Patches(), len(all)/(1+s.w.Patches()))
	}
	if a.err == nil {
		s.be.Upload(s.orders[0], all)
		a.err = s.be.Download(all, s.orders[0]) // waits until all was read
	}
}

// merge leaves keep patches: by their scores some are dropped, the others go into those
// that are like them, by the keys of this block's attention.
func (s *Session) merge(stage, alive, keep int) {
	kept, groups := s.kept[stage].First(keep+1), s.groups[stage].First(alive)
	if s.forced != nil {
		s.force(kept, groups, stage)
	} else {
		prefix := s.w.Prefix()
		s.merger.Match(kept, groups, s.qkv.View(prefix, prefix+alive), s.w.Heads, s.patchScores(alive), s.scorer.predicts(), drops(alive, keep),
			s.order.View(1, 1+alive), s.turn%s.order.Cols)
	}
	s.nextTurn(kept, alive)
	lead, sizes := s.w.lead(), backends.Tensor{}
	if !s.size.IsZero() {
		sizes = s.patches(s.size, alive)
	}
	s.be.Gather(s.spare.View(0, lead), s.x.View(0, lead), s.same)
	s.merger.Merge(s.patches(s.spare, keep), s.patches(s.spareSize, keep), s.patches(s.x, alive), sizes, groups)
	s.x, s.spare = s.spare, s.x
	next := s.size
	if next.IsZero() {
		next = s.sizes[1]
	}
	s.size, s.spareSize = s.spareSize, next
}

// nextTurn leaves the places of the patches that are kept, for the next merge, whose partition is
// another.
func (s *Session) nextTurn(kept backends.Index, alive int) {
	next := s.orders[1+s.turn%2].View(0, kept.N)
	s.be.Gather(next, s.order.View(0, 1+alive), kept)
	s.order, s.turn = next, s.turn+1
}

// force is Match by what a test wants, in absolute ids.
func (s *Session) force(kept, groups backends.Index, stage int) {
	rows := s.forcedRows(stage, groups.N)
	places := make([]int32, groups.N)
	for row := range places {
		id := int32(row)
		if stage > 0 {
			id = s.forced[stage-1][row]
		}
		places[row] = int32(slices.Index(s.forced[stage], s.forcedGroups[stage][id]))
	}
	s.be.UploadIndex(kept, rows)
	s.be.UploadIndex(groups, places)
}

// sizesOf are the sizes of n tokens; none where nothing was merged.
func (s *Session) sizesOf(n int) backends.Tensor {
	if s.size.IsZero() {
		return s.size
	}
	first := s.w.lead() - s.w.Prefix()
	return s.size.View(first, first+n)
}

// weighted puts in place of the first of n rows of patches, which may stand for several each,
// the mean of those.
func (s *Session) weighted(t backends.Tensor, from, n int) {
	mean := s.att.View(0, 1)
	s.merger.Merge(mean, s.score.View(0, 1), t.View(from, from+n), s.patches(s.size, n), s.whole.First(n))
	s.be.Gather(t.View(from, from+1), mean, s.same.First(1))
}

// collectGroups composes the stages' groups into the ids of the patches that each lives on in.
func (s *Session) collectGroups(p Plan, r *Result) error {
	if cap(r.Groups) < len(p.Keep) {
		r.Groups = make([][]int32, len(p.Keep))
	}
	r.Groups = r.Groups[:len(p.Keep)]
	alive := s.w.Patches()
	for stage, keep := range p.Keep {
		own := r.Groups[stage][:0]
		for id := range s.w.Patches() {
			if stage > 0 {
				id = int(r.Groups[stage-1][id])
			}
			own = append(own, int32(id))
		}
		r.Groups[stage] = own
		if keep == alive {
			continue
		}
		groups := s.rows[:alive]
		if err := s.be.DownloadIndex(groups, s.groups[stage].First(alive)); err != nil {
			return err
		}
		s.place(r, stage)
		for i, id := range own {
			if id < 0 {
				continue
			}
			if own[i] = groups[s.places[id]]; own[i] >= 0 {
				own[i] = r.Kept[stage][own[i]]
			}
		}
		alive = keep
	}
	return nil
}

// place notes the row that each patch alive ahead of a stage has.
func (s *Session) place(r *Result, stage int) {
	for id := range s.places {
		s.places[id] = int32(id)
	}
	if stage > 0 {
		for row, id := range r.Kept[stage-1] {
			s.places[id] = int32(row)
		}
	}
}
