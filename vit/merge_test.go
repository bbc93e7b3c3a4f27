package vit

import (
	"math/rand/v2"
	"slices"
	"testing"

	"dynvit/backends"
)

// level is a model whose patches have all the same position.
type level struct {
	Tensors
	config Config
}

func (l level) Float32In(memory []float32, name string) ([]float32, []int, error) {
	data, shape, err := l.Tensors.Float32In(memory, name)
	if name == "pos_embed" && err == nil {
		patches := l.config.Patches() * l.config.Width
		clear(data[len(data)-patches:])
	}
	return data, shape, err
}

// TestMergedAsDense: patches that are alike, merged at once or in two steps, answer as if each
// were still there: attention, the mean of patches and the largest of them count what a
// patch stands for.
func TestMergedAsDense(t *testing.T) {
	groups := [][]int32{ // of 16 patches, which come in runs of 1, 2, 3 and 4 that are alike
		{0, 2, 2, 5, 5, 5, 6, 8, 8, 9, 10, 12, 12, 13, 15, 15},
		{0, 2, 2, 5, 5, 5, 9, 9, 9, 9, 10, 12, 12, 13, 15, 15},
	}
	likes := []int{0, 1, 1, 2, 2, 2, 3, 3, 3, 3, 4, 5, 5, 6, 7, 7}
	tried := 0
	eachKind(t, func(t *testing.T, k kind, _ [2][]float32) {
		if k.config.ConvStem > 0 || k.config.Patches() != len(likes) || len(k.config.PruneAt) != len(groups) {
			t.Skip("patches that are alike can't be made of pixels")
		}
		be := openBackend(t, backends.Portable)
		s := sessionOf(t, be, k.config, level{k.file, k.config}, backends.F32, Merge)
		input := alike(k.config, likes)
		dense := run(t, s, input, k.plan(t, 1)).Logits
		for _, want := range [][][]int32{{groups[0], groups[0]}, {groups[1], groups[1]}, groups} {
			var plan Plan
			s.forced, s.forcedGroups = nil, want
			for _, of := range want {
				s.forced = append(s.forced, slices.Compact(slices.Sorted(slices.Values(of))))
				plan.Keep = append(plan.Keep, len(s.forced[len(plan.Keep)]))
			}
			r := run(t, s, input, plan)
			if e := far(r.Logits, dense); !(e < 1e-5) {
				t.Errorf("merged %v, dense %v: off by %.2g", r.Logits, dense, e)
			}
			if !slices.EqualFunc(r.Groups, want, slices.Equal) {
				t.Errorf("groups %v, want %v", r.Groups, want)
			}
			tried++
		}
	})
	if tried < 3*10 {
		t.Errorf("%d plans were tried", tried)
	}
}

// alike is an input whose patches are random, those of one number the same.
func alike(c Config, numbers []int) []float32 {
	input, n := make([]float32, c.InputLen()), c.InputLen()/len(numbers)
	for i, number := range numbers {
		rng := rand.New(rand.NewPCG(5, uint64(number)))
		for j := range n {
			input[i*n+j] = float32(rng.NormFloat64())
		}
	}
	return input
}

// TestGroups: each patch lives on in one that is there, itself if it is, or is dropped; as many
// are dropped as the rule says, and what a patch stands for is never lost before it is.
func TestGroups(t *testing.T) {
	eachSmall(t, func(t *testing.T, be backends.Backend, c Config, scorer Scorer) {
		s := session(t, be, c, scorer)
		for frame, p := range plans {
			r := run(t, s, wave(c, frame), p)
			if !scorer.Merges() {
				if len(r.Groups) != 0 {
					t.Errorf("%v gives groups %v", scorer, r.Groups)
				}
				continue
			}
			alive, before := c.Patches(), ids(c.Patches())
			for stage, keep := range p.Keep {
				groups, kept := r.Groups[stage], r.Kept[stage]
				there := slices.Compact(slices.Sorted(slices.Values(groups)))
				there = slices.DeleteFunc(there, func(id int32) bool { return id < 0 })
				if !slices.Equal(there, kept) || len(kept) != keep {
					t.Errorf("keep %v, stage %d: kept %v, groups %v", p, stage, kept, groups)
				}
				for _, id := range kept {
					if groups[id] != id {
						t.Errorf("keep %v, stage %d: %d is kept and lives on in %d", p, stage, id, groups[id])
					}
				}
				lost := 0 // of those that stood for patches
				for _, id := range before {
					if groups[id] < 0 {
						lost++
					}
				}
				if lost != drops(alive, keep) {
					t.Errorf("keep %v, stage %d: %d dropped, want %d", p, stage, lost, drops(alive, keep))
				}
				alive, before = keep, kept
			}
		}
	})
}

// ids are those of n patches.
func ids(n int) []int32 {
	list := make([]int32, n)
	for i := range list {
		list[i] = int32(i)
	}
	return list
}

// unmerging is a backend that is no Merger.
type unmerging struct{ backends.Backend }

// TestMergingIsRefused: by a backend that cannot merge, in a line that says what to use.
func TestMergingIsRefused(t *testing.T) {
	be, c := unmerging{openBackend(t, backends.Portable)}, small["deit"]
	w, err := Load(be, c, Random{Config: c, Seed: 3}, backends.F32)
	if err != nil {
		t.Fatal(err)
	}
	for scorer, want := range map[Scorer]string{
		Merge:          "scorer merge: the backend portable merges no patches (use attention)",
		PredictorMerge: "scorer predictor+merge: the backend portable merges no patches (use predictor)",
	} {
		if _, err := NewSession(be, w, scorer); err == nil || err.Error() != want {
			t.Errorf("%v: %v", scorer, err)
		}
	}
	if _, err := NewSession(be, w, Attention); err != nil {
		t.Error(err)
	}
}

// TestMergeAt: stages of Merge's own do what those do at prune_at, and a stage that keeps all is
// as if it were not there.
func TestMergeAt(t *testing.T) {
	c := Config{
		Architecture: "vit", ImageSize: 64, PatchSize: 8, Width: 32, Depth: 5, Heads: 2, Hidden: 64, Classes: 7, Eps: 1e-6, SkipLam: 1,
		QKVBias: true, PruneAt: []int{1, 2, 3}, Resize: 64, Interpolation: "bicubic", Std: [3]float32{1, 1, 1},
	}
	input := alike(c, slices.Repeat([]int{1, 2, 3, 4, 5, 6, 7, 8}, 8))
	be := openBackend(t, backends.Portable)
	answer := func(c Config, keep ...int) Result {
		return run(t, sessionOf(t, be, c, Random{Config: c, Seed: 3}, backends.F32, Merge), input, Plan{keep})
	}
	want := answer(c, 50, 40, 20)
	apart := c
	apart.MergeAt, apart.PruneAt = c.PruneAt, []int{2}
	every := c
	every.MergeAt = []int{0, 1, 2, 3, 4}
	for name, got := range map[string]Result{"apart": answer(apart, 50, 40, 20), "with idle stages": answer(every, 64, 50, 40, 20, 20)} {
		if !slices.Equal(got.Logits, want.Logits) {
			t.Errorf("%s: %v, want %v", name, got.Logits, want.Logits)
		}
	}
	if r := answer(every, 64, 50, 40, 20, 20); len(r.Groups) != 5 || !slices.Equal(r.Groups[3], want.Groups[2]) || !slices.Equal(r.Groups[4], want.Groups[2]) {
		t.Errorf("groups %v, want %v", r.Groups, want.Groups)
	}
	s := sessionOf(t, be, every, Random{Config: every, Seed: 3}, backends.F32, Merge)
	s.be.Upload(s.Input(), input)
	var prepared Result
	if err := s.RunPrepared(Plan{[]int{64, 50, 40, 20, 20}}, &prepared); err != nil || !slices.Equal(prepared.Logits, want.Logits) {
		t.Errorf("of what lies there: %v, %v, want %v", prepared.Logits, err, want.Logits)
	}
	if r := run(t, sessionOf(t, be, every, Random{Config: every, Seed: 3}, backends.F32, Attention), input, Plan{[]int{50, 40, 20}}); len(r.Kept) != 3 {
		t.Errorf("attention has %d stages, want prune_at's", len(r.Kept))
	}
}
