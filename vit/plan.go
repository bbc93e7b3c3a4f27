package vit

import (
	"fmt"
	"math"
	"math/big"
	"sort"
	"strconv"
	"strings"
)

// Plan fixes how many patches stay alive at each pruning stage of one frame:
// non-increasing counts between 1 and the patches of the input. A dense plan
// keeps all of them at each stage.
type Plan struct {
	Keep []int
}

// PlanFor turns a keep ratio into counts: stage k of stages keeps
// int(patches·ratio^k), k from 1, exactly as Python computes it in doubles
// (reference: infer.py and models/dyvit.py of raoyongming/DynamicViT), and at
// least one. ratio is in (0, 1].
func PlanFor(ratio float64, patches, stages int) (Plan, error) {
	if !(ratio > 0 && ratio <= 1) {
		return Plan{}, fmt.Errorf("keep ratio %v: want more than 0, at most 1", ratio)
	}
	keep := make([]int, stages)
	for k := range keep {
		keep[k] = max(1, int(float64(patches)*power(ratio, k+1)))
	}
	return Plan{keep}, nil
}

// PlanFor turns a keep ratio into the counts of a scorer's stages. Where Merge has stages of
// its own, which may be more or fewer than PruneAt's, each keeps the same share of what came to
// it, and a frame takes no more multiply-adds than by that ratio at PruneAt.
func (c Config) PlanFor(ratio float64, s Scorer) (Plan, error) {
	p, err := PlanFor(ratio, c.Patches(), len(c.PruneAt))
	if err != nil || s != Merge || len(c.MergeAt) == 0 {
		return p, err
	}
	usual := c
	usual.MergeAt = nil
	return c.planWithin(usual.MACs(p, s), s), nil
}

// halvings of the range of shares tell shares apart that differ in a count of maxImage².
const halvings = 24

// planWithin is the plan of one share at every stage that takes most work, but no more than so
// many multiply-adds; the least possible where nothing takes so few.
func (c Config) planWithin(macs int64, s Scorer) Plan {
	patches, stages := c.Patches(), len(c.Stages(s))
	share := func(n int) float64 { return float64(n) / (1 << halvings) }
	fits := func(n int) bool {
		p, err := PlanFor(share(n), patches, stages)
		return err != nil || c.MACs(p, s) <= macs
	}
	n := sort.Search(1<<halvings, func(n int) bool { return !fits(n + 1) })
	p, _ := PlanFor(share(max(1, n)), patches, stages) // of a share above 0, at most 1
	return p
}

// power is x^n rounded once, as C's pow does it. math.Pow rounds at each of
// its multiplications, which moves counts by one patch.
func power(x float64, n int) float64 {
	const bits = 53*8 + 64 // exact for n <= 8, and far beyond one rounding after
	y := new(big.Float).SetPrec(bits).SetInt64(1)
	for range n {
		y.Mul(y, new(big.Float).SetFloat64(x))
	}
	f, _ := y.Float64()
	return f
}

// Check reports whether the plan fits a model of that many patches and stages.
func (p Plan) Check(patches, stages int) error {
	if len(p.Keep) != stages {
		return fmt.Errorf("keep %v: the model prunes at %d stages", p, stages)
	}
	alive := patches
	for _, k := range p.Keep {
		if k < 1 || k > alive {
			return fmt.Errorf("keep %v: counts must fall from %d to no less than 1", p, patches)
		}
		alive = k
	}
	return nil
}

// Dense reports whether the plan drops nothing of that many patches.
func (p Plan) Dense(patches int) bool {
	for _, k := range p.Keep {
		if k != patches {
			return false
		}
	}
	return true
}

// RatioOf is the keep ratio that stands for a scorer's plan where only counts are known. At
// stages of Merge's own it is the ratio of as much work, to a thousandth.
func (c Config) RatioOf(p Plan, s Scorer) float64 {
	if s != Merge || len(c.MergeAt) == 0 {
		return p.Ratio(c.Patches())
	}
	macs, usual := c.MACs(p, s), c
	usual.MergeAt = nil
	const steps = 1000
	n := sort.Search(steps-1, func(n int) bool {
		at, err := PlanFor(float64(n+1)/steps, c.Patches(), len(c.PruneAt))
		return err == nil && usual.MACs(at, s) >= macs
	})
	return float64(n+1) / steps
}

// Ratio is the keep ratio that stands for the plan where only counts are
// known: (last/patches)^(1/stages).
func (p Plan) Ratio(patches int) float64 {
	if len(p.Keep) == 0 {
		return 1
	}
	last := p.Keep[len(p.Keep)-1]
	return math.Pow(float64(last)/float64(patches), 1/float64(len(p.Keep)))
}

// String writes the counts as --keep takes them: "137,96,67".
func (p Plan) String() string {
	words := make([]string, len(p.Keep))
	for i, k := range p.Keep {
		words[i] = strconv.Itoa(k)
	}
	return strings.Join(words, ",")
}

// Keep is what a user asks for: a ratio, explicit counts, or (the zero value)
// nothing, "auto".
type Keep struct {
	Ratio  float64 // in (0, 1]; 0 where Counts or nothing is given
	Counts []int
}

// ParseKeep reads "auto", a ratio in (0, 1] such as "0.7", or counts such as
// "127,95,63". A single number above 1 is one count.
func ParseKeep(s string) (Keep, error) {
	if s == "" || s == "auto" {
		return Keep{}, nil
	}
	if !strings.Contains(s, ",") {
		if r, err := strconv.ParseFloat(s, 64); err == nil && r > 0 && r <= 1 {
			return Keep{Ratio: r}, nil
		}
	}
	var counts []int
	for _, word := range strings.Split(s, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil || n < 1 {
			return Keep{}, fmt.Errorf("keep %q: want auto, a ratio above 0 and at most 1, or counts such as 127,95,63", s)
		}
		counts = append(counts, n)
	}
	return Keep{Counts: counts}, nil
}

// IsAuto reports whether nothing was asked for.
func (k Keep) IsAuto() bool { return k.Ratio == 0 && k.Counts == nil }

func (k Keep) String() string {
	switch {
	case k.Counts != nil:
		return Plan{k.Counts}.String()
	case k.Ratio != 0:
		return strconv.FormatFloat(k.Ratio, 'g', -1, 64)
	}
	return "auto"
}
