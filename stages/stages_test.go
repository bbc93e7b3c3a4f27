package stages

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"dynvit/calibrate"
	"dynvit/vit"
)

// made is a target whose answers suffer by what is removed in a block, times what that block
// costs, and more than in proportion: many small stages are better than a few large ones.
type made struct {
	costs  map[int]float64 // by block
	other  float64         // what the others cost
	noise  float64         // by plan and frame
	asked  int
	fails  int // at that question, if not 0
	broken bool
	cancel func() // at the hundredth question
}

func (m *made) Use(calibrate.Group) error { return nil }

func (m *made) Run(p calibrate.Point, frame int) (calibrate.Outcome, error) {
	if m.asked++; m.asked == m.fails {
		return calibrate.Outcome{}, errors.New("picture 3: damaged")
	}
	if m.cancel != nil && m.asked == 100 {
		m.cancel()
	}
	alive, damage := 196, 0.0
	for block, keep := range p.Keep {
		cost, is := m.costs[block]
		if !is {
			cost = m.other
		}
		removed := math.Log(float64(alive) / float64(keep))
		damage += cost * removed * removed
		alive = keep
	}
	if len(p.Keep) != 12 {
		panic("a plan of another number of blocks")
	}
	if damage > 0 {
		random := rand.New(rand.NewPCG(uint64(frame), uint64(1e9*damage)))
		damage += m.noise * random.ExpFloat64()
	}
	x := 5 + 0.1*float64(frame%7) - damage
	if m.broken {
		x = math.NaN()
	}
	return calibrate.Outcome{Logits: []float32{float32(x), 0, 1}}, nil
}

func tiny(t *testing.T) Options {
	t.Helper()
	c, err := vit.Named("deit_tiny")
	if err != nil {
		t.Fatal(err)
	}
	return Options{Config: c, Ratios: []float64{0.8, 0.6, 0.4}, Frames: 40, Group: calibrate.Group{Precision: "f32", Threads: 1}}
}

// TestSearch: what costs least is found, by the same path each time, and each set is as much work
// as the usual one.
func TestSearch(t *testing.T) {
	o := tiny(t)
	good := made{costs: map[int]float64{3: 0.1, 5: 0.1, 6: 0.1, 8: 0.1}, other: 20, noise: 0.1}
	first, second := good, good
	found, err := Search(t.Context(), &first, o)
	if err != nil {
		t.Fatal(err)
	}
	if b := found.Best; !slices.Equal(b.Stages, []int{3, 5, 6, 8}) || b.Change > -0.5 || b.Change+2*b.Error > 0 || b.Frames != 30 {
		t.Errorf("found %v, %.3f of %d pictures", b.Stages, b.Change, b.Frames)
	}
	if u := found.Usual; !slices.Equal(u.Stages, []int{3, 6, 9}) || u.Change != 0 || len(u.Points) != 3 || u.Points[1].Keep[0] != 117 {
		t.Errorf("usual %+v", u)
	}
	seen := map[string]bool{}
	for _, set := range append(slices.Clone(found.Tried), found.Best) {
		text, _ := json.Marshal(set.Stages)
		if seen[string(text)] && set.Frames == 10 {
			t.Errorf("%s is tried twice", text)
		}
		seen[string(text)] = true
		for i, p := range set.Points {
			if most := found.Usual.Points[i].GMACs; p.GMACs > most {
				t.Errorf("%v at %v: %.4f GMACs, the usual stages take %.4f", set.Stages, p.KeepRatio, p.GMACs, most)
			}
		}
	}
	again, err := Search(t.Context(), &second, o)
	one, _ := json.Marshal(found)
	two, _ := json.Marshal(again)
	if err != nil || string(one) != string(two) {
		t.Errorf("another answer the second time, %v", err)
	}
}

// TestNothingBetter: where no set is better beyond chance the usual one stays.
func TestNothingBetter(t *testing.T) {
	for name, m := range map[string]*made{
		"worse":  {costs: map[int]float64{3: 0, 6: 0, 9: 0}, other: 1},
		"chance": {other: 1e-6, noise: 1},
	} {
		found, err := Search(t.Context(), m, tiny(t))
		if err != nil || !slices.Equal(found.Best.Stages, []int{3, 6, 9}) || found.Best.Change != 0 {
			t.Errorf("%s: %v %v, %v", name, found.Best.Stages, found.Best.Change, err)
		}
	}
}

// TestSearchFails: what cannot be searched is told, and a search that is cancelled ends.
func TestSearchFails(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	for name, c := range map[string]struct {
		m      made
		change func(*Options)
		says   string
	}{
		"a picture":    {made{fails: 50}, nil, "picture 3: damaged"},
		"no numbers":   {made{broken: true}, nil, "no numbers"},
		"few pictures": {made{}, func(o *Options) { o.Frames = 31 }, "31 pictures: want at least 32"},
		"never pruned": {made{}, func(o *Options) { o.Config.PruneAt = nil }, "never pruned"},
		"cancelled":    {made{cancel: cancel}, nil, context.Canceled.Error()},
	} {
		o := tiny(t)
		if c.change != nil {
			c.change(&o)
		}
		in := t.Context()
		if c.m.cancel != nil {
			in = ctx
		}
		if found, err := Search(in, &c.m, o); err == nil || !strings.Contains(err.Error(), c.says) || found.Tried != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSets: stages are ascending blocks, none of them the first or the last, each set once.
func TestSets(t *testing.T) {
	for depth := 4; depth <= 40; depth++ {
		sets := evenly(depth)
		all := append(slices.Clone(sets), neighbours(sets[0], depth)...)
		for i, at := range all {
			for j, block := range at {
				if block < 1 && depth >= 12 || block > depth-2 || j > 0 && block <= at[j-1] {
					t.Errorf("depth %d: %v", depth, at)
				}
			}
			if i < len(sets) && slices.ContainsFunc(sets[:i], func(s []int) bool { return slices.Equal(s, at) }) {
				t.Errorf("depth %d: %v twice", depth, at)
			}
		}
	}
	if got := evenly(12); !slices.ContainsFunc(got, func(s []int) bool { return slices.Equal(s, []int{3, 5, 7, 9}) }) {
		t.Errorf("3, 5, 7, 9 is not among %v", got)
	}
	if got := evenly(24); !slices.ContainsFunc(got, func(s []int) bool { return slices.Equal(s, []int{6, 12, 18}) }) {
		t.Errorf("6, 12, 18 is not among %v", got)
	}
	if got := len(neighbours([]int{3, 6, 9}, 12)); got != 3+6+7 {
		t.Errorf("%d neighbours of 3, 6, 9", got)
	}
}
