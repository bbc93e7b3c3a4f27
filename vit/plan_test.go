package vit

import (
	"slices"
	"testing"
)

// TestPlanFor: counts as Python's int(N * r**k) gives them.
func TestPlanFor(t *testing.T) {
	for _, c := range []struct {
		patches int
		ratio   float64
		want    []int
	}{
		{196, 0.7, []int{137, 96, 67}}, {196, 0.5, []int{98, 49, 24}}, {196, 0.9, []int{176, 158, 142}},
		{196, 0.8, []int{156, 125, 100}}, {196, 0.6, []int{117, 70, 42}}, {196, 1, []int{196, 196, 196}},
		{100, 0.7, []int{70, 48, 34}}, {576, 0.7, []int{403, 282, 197}}, {4, 0.1, []int{1, 1, 1}},
	} {
		p, err := PlanFor(c.ratio, c.patches, 3)
		if err != nil || !slices.Equal(p.Keep, c.want) {
			t.Errorf("%d patches at %v: %v, want %v (%v)", c.patches, c.ratio, p.Keep, c.want, err)
		}
		if err := p.Check(c.patches, 3); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []float64{0, -1, 1.01} {
		if _, err := PlanFor(bad, 196, 3); err == nil {
			t.Errorf("ratio %v: no error", bad)
		}
	}
}

func TestParseKeep(t *testing.T) {
	for text, want := range map[string]string{"auto": "auto", "": "auto", "0.7": "0.7", "1": "1", "127,95,63": "127,95,63", "5": "5"} {
		k, err := ParseKeep(text)
		if err != nil || k.String() != want {
			t.Errorf("%q: %v %v, want %s", text, k, err, want)
		}
	}
	for _, bad := range []string{"0", "-0.5", "1.5", "a", "3,,4", "3,0", "NaN"} {
		if k, err := ParseKeep(bad); err == nil {
			t.Errorf("%q: %v, want an error", bad, k)
		}
	}
	for _, bad := range [][]int{{5, 6, 7}, {197, 1, 1}, {1, 1}, {5, 5, 0}} {
		if err := (Plan{bad}).Check(196, 3); err == nil {
			t.Errorf("%v: no error", bad)
		}
	}
}

// TestMACs: the published figures, less the last-block shortcut.
func TestMACs(t *testing.T) {
	c, err := Named("deit_small")
	if err != nil {
		t.Fatal(err)
	}
	dense, _ := PlanFor(1, 196, 3)
	pruned, _ := PlanFor(0.7, 196, 3)
	// Dense DeiT-S is 4.599 GMAC; the last block without the answers of 196 patches saves
	// 196·(2·197·384 + 384² + 8·384²) = 0.290.
	if got := float64(c.MACs(dense, Predictor)) / 1e9; got < 4.30 || got > 4.32 {
		t.Errorf("dense %.3f GMAC", got)
	}
	if got := float64(c.MACs(pruned, Predictor)) / 1e9; got < 2.86 || got > 2.98 {
		t.Errorf("keep 0.7 %.3f GMAC", got)
	}
}

// TestPlanAtStages: where Merge has stages of its own, a ratio is the counts of one share a stage
// that take as much work as that ratio does at the usual stages, and counts say which ratio they
// are; other scorers know nothing of them.
func TestPlanAtStages(t *testing.T) {
	usual, err := Named("deit_tiny")
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range [][]int{{3, 4, 6, 8, 10}, {3, 4, 5, 6, 7, 8, 9, 10}, {3, 7}, {3, 6, 9}} {
		c := usual
		c.MergeAt = at
		if err := c.Check(); err != nil {
			t.Fatal(err)
		}
		for _, ratio := range []float64{1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4} {
			want, _ := usual.PlanFor(ratio, Merge)
			p, err := c.PlanFor(ratio, Merge)
			if err != nil || p.Check(196, len(at)) != nil || p.Dense(196) != (ratio == 1) {
				t.Errorf("%v at %v: %v, %v", ratio, at, p, err)
			}
			work := float64(c.MACs(p, Merge)) / float64(usual.MACs(want, Merge))
			if work > 1 || work < 0.985 {
				t.Errorf("%v at %v: %v takes %.3f of the work of %v", ratio, at, p, work, want)
			}
			if got := c.RatioOf(p, Merge); got > ratio || got < ratio-0.015 {
				t.Errorf("%v at %v is taken for %v", p, at, got)
			}
			for _, s := range []Scorer{Attention, Predictor, PredictorMerge} {
				if p, _ := c.PlanFor(ratio, s); !slices.Equal(p.Keep, want.Keep) || len(c.Stages(s)) != 3 {
					t.Errorf("%v by %v: %v, want %v", ratio, s, p, want)
				}
			}
		}
	}
	c := usual
	c.MergeAt = []int{10} // cannot be as fast as 0.4 at three stages
	if p, err := c.PlanFor(0.4, Merge); err != nil || !slices.Equal(p.Keep, []int{1}) {
		t.Errorf("%v, %v, want the least", p, err)
	}
	if _, err := c.PlanFor(0, Merge); err == nil {
		t.Error("a ratio of nothing passes")
	}
	for _, bad := range [][]int{{3, 3}, {12}, {-1}} {
		c.MergeAt = bad
		if err := c.Check(); err == nil || len(err.Error()) > 80 {
			t.Errorf("merge_at %v: %v", bad, err)
		}
	}
}
