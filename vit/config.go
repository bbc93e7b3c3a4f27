// Package vit is the model: a plain vision transformer (DeiT, DeiT-III, timm's, with
// registers, without a CLS token, CLIP's image tower, DINOv2) or LV-ViT, whose
// patches are dropped at a few depths as DynamicViT does it (Rao et al., NeurIPS 2021). It is written in
// model order on the operations of package backends and knows nothing of
// pictures, cameras or processors. The method, its numbers and its sources are in
// docs/method.md.
//
// [Config] holds the sizes, [Load] packs weights for one backend, a [Session]
// owns every activation and runs frames, a [Plan] says how many patches each
// stage keeps.
//
// Letters used for shapes: N patches of the input, P tokens ahead of them (CLS
// and others, [Config.Prefix]), n tokens alive (those included), D width, H hidden
// width of the MLP, C classes.
package vit

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Config is the shape of a model and what its input must look like.
type Config struct {
	Architecture string
	ImageSize    int // side of the square input, pixels
	PatchSize    int
	Width        int // D
	Depth        int
	Heads        int
	Hidden       int // H
	Classes      int // C; 0: a backbone, whose answer is the D features that a head would read
	Eps          float32
	PruneAt      []int   // blocks (0-based) before or in which patches are dropped, ascending
	MergeAt      []int   // blocks in which Merge acts instead, ascending; none: PruneAt
	Scorer       string  // that the model was made for, by name, which auto takes; "": none is named
	SkipLam      float32 // residual branches are divided by it; 1 for DeiT, 2 for LV-ViT
	ConvStem     int     // channels of LV-ViT's convolutional stem; 0: patches are embedded directly
	QKVBias      bool
	AuxHead      bool // logits = head(cls) + 0.5·max over patches of aux_head (LV-ViT)
	Predictors   bool // score_predictor.* is there for each entry of PruneAt

	NoCLS       bool   // there is no CLS token
	Distilled   bool   // a distillation token behind CLS; logits = (head(cls) + head_dist(dist))/2 (DeiT)
	Registers   int    // tokens behind those that belong to no patch
	PreNorm     bool   // a LayerNorm between the embedding and the blocks (CLIP)
	NoPatchBias bool   // the patch projection has no bias (CLIP)
	LayerScale  bool   // residual branches are scaled by ls1.gamma, ls2.gamma
	FCNorm      bool   // the last LayerNorm is fc_norm, of what the head reads, instead of norm, of each token
	NoNorm      bool   // there is none: the head reads tokens as the last block leaves them (transformers' CLIP)
	Act         string // of the MLP: gelu, quick_gelu, gelu_tanh; "": gelu
	Pool        string // what the head reads: token (CLS), avg (mean of the patches that are left), token+avg (one beside the other); "": token

	Resize        int    // short side before the centre crop; 0: warp to ImageSize
	Squash        bool   // both sides become Resize, whatever the picture's shape
	FloorCrop     bool   // half of what the centre crop leaves is rounded down, not to even
	Interpolation string // bicubic or bilinear
	Mean, Std     [3]float32
	Labels        []string // C names, or none
	Synsets       []string // C WordNet ids, or none
}

// Grid is the number of patches along one side of the input.
func (c Config) Grid() int { return c.ImageSize / c.PatchSize }

// Patches is N.
func (c Config) Patches() int { return c.Grid() * c.Grid() }

// Prefix is P, the number of tokens ahead of the patches: CLS, the distillation
// token, registers. They are never scored and never dropped.
func (c Config) Prefix() int {
	n := c.Registers
	for _, has := range []bool{!c.NoCLS, c.Distilled} {
		if has {
			n++
		}
	}
	return n
}

// lead is the rows of a matrix of tokens ahead of its patches: P, but never none. The
// row that no token has keeps TopK and Gather, for which row 0 is CLS, as they are.
func (c Config) lead() int { return max(1, c.Prefix()) }

// Outputs is the number of elements of a frame's answer: C logits, or the D
// features of a backbone.
func (c Config) Outputs() int {
	if c.Classes == 0 {
		return c.Width
	}
	return c.Classes
}

// InputLen is the number of elements Run expects: the patch matrix
// [N, 3·P·P], or the pixels [S·S, 3] for a convolutional stem.
func (c Config) InputLen() int { return 3 * c.ImageSize * c.ImageSize }

// Limits keep a hostile file from asking for more memory than any model of
// this kind needs; their products have one of their own (maxActivations).
const (
	maxImage = 1024
	maxWidth = 4096
	maxDepth = 128
	maxClass = 1 << 17
	maxRegs  = 256
)

// Check reports the first size that makes no sense.
func (c Config) Check() error {
	for _, r := range []struct {
		name           string
		v, least, most int
	}{
		{"image_size", c.ImageSize, 1, maxImage}, {"patch_size", c.PatchSize, 1, maxImage},
		{"width", c.Width, 1, maxWidth}, {"depth", c.Depth, 1, maxDepth}, {"heads", c.Heads, 1, c.Width},
		{"hidden width", c.Hidden, 1, 8 * maxWidth}, {"classes", c.Classes, 0, maxClass}, {"registers", c.Registers, 0, maxRegs},
	} {
		if r.v < r.least || r.v > r.most {
			return fmt.Errorf("%s %d: want %d to %d", r.name, r.v, r.least, r.most)
		}
	}
	switch {
	case c.ConvStem < 0 || c.ConvStem > maxWidth:
		return fmt.Errorf("convolutional stem of %d channels: want at most %d", c.ConvStem, maxWidth)
	case c.ImageSize%c.PatchSize != 0:
		return fmt.Errorf("image_size %d is not a multiple of patch_size %d", c.ImageSize, c.PatchSize)
	case c.ConvStem > 0 && c.PatchSize%2 != 0:
		return fmt.Errorf("patch_size %d: a convolutional stem needs an even one", c.PatchSize)
	case c.Width%c.Heads != 0:
		return fmt.Errorf("width %d is not a multiple of heads %d", c.Width, c.Heads)
	case c.Predictors && c.Width%4 != 0:
		return fmt.Errorf("width %d: predictors need a multiple of 4", c.Width)
	case !(c.Eps > 0 && c.Eps < 1):
		return fmt.Errorf("layer_norm_eps %v: want between 0 and 1", c.Eps)
	case !(c.SkipLam >= 1 && c.SkipLam <= 16):
		return fmt.Errorf("skip_lam %v: want 1 to 16", c.SkipLam)
	case c.Resize < 0 || c.Resize > 4*maxImage:
		return fmt.Errorf("resize %d: want at most %d", c.Resize, 4*maxImage)
	case c.Interpolation != "bicubic" && c.Interpolation != "bilinear":
		return fmt.Errorf("interpolation %q: want bicubic or bilinear", c.Interpolation)
	case len(c.Labels) != 0 && len(c.Labels) != c.Classes:
		return fmt.Errorf("%d labels for %d classes", len(c.Labels), c.Classes)
	case len(c.Synsets) != 0 && len(c.Synsets) != c.Classes:
		return fmt.Errorf("%d synsets for %d classes", len(c.Synsets), c.Classes)
	}
	for _, check := range []func() error{c.checkMemory, c.checkKind, c.checkScorer} {
		if err := check(); err != nil {
			return err
		}
	}
	return c.checkLists()
}

// checkKind reports what does not go together.
func (c Config) checkKind() error {
	plain := !c.NoCLS && !c.Distilled && c.Registers == 0 && c.Classes > 0 && c.Pooling() == PoolToken
	switch {
	case !slices.Contains(acts, c.Activation()):
		return fmt.Errorf("act %q: want %s", c.Act, strings.Join(acts, ", "))
	case !slices.Contains(pools, c.Pooling()):
		return fmt.Errorf("pool %q: want %s", c.Pool, strings.Join(pools, ", "))
	case c.NoCLS && c.Pooling() != PoolMean:
		return fmt.Errorf("pool %s: there is no CLS token, only avg is possible", c.Pooling())
	case c.Distilled && c.Pooling() != PoolToken:
		return fmt.Errorf("pool %s: a distillation token goes with token alone", c.Pooling())
	case c.Pooling() == PoolBoth && (c.Classes == 0 || c.FCNorm):
		return errors.New("pool token+avg: want a head, and norm instead of fc_norm")
	case c.NoNorm && (c.FCNorm || c.Classes == 0 || c.Pooling() != PoolMean):
		return errors.New("tensor norm.weight: missing")
	case c.readsPatches() && c.Width%2 != 0:
		return fmt.Errorf("width %d: a mean of patches needs an even one", c.Width)
	case c.AuxHead && !plain:
		return errors.New("an auxiliary head goes with a CLS token alone, and its head")
	}
	return nil
}

// What Config.Act and Config.Pool may be, the default first.
const (
	ActGELU  = "gelu"
	ActQuick = "quick_gelu"
	ActTanh  = "gelu_tanh"

	PoolToken = "token"
	PoolMean  = "avg"
	PoolBoth  = "token+avg"
)

var (
	acts  = []string{ActGELU, ActQuick, ActTanh}
	pools = []string{PoolToken, PoolMean, PoolBoth}
)

// Activation is Act, the default by its name.
func (c Config) Activation() string { return cmp.Or(c.Act, ActGELU) }

// Pooling is Pool, the default by its name.
func (c Config) Pooling() string { return cmp.Or(c.Pool, PoolToken) }

// readsPatches reports whether the head, or the mean that it reads, wants all patches.
func (c Config) readsPatches() bool { return c.AuxHead || c.Pooling() != PoolToken }

// read is how many of the tokens ahead of the patches the head reads, where it reads
// no patch: CLS, and the distillation token behind it.
func (c Config) read() int {
	if c.Distilled {
		return 2
	}
	return 1
}

// Stages are the blocks in which a scorer removes patches.
func (c Config) Stages(s Scorer) []int {
	if s == Merge && len(c.MergeAt) > 0 {
		return c.MergeAt
	}
	return c.PruneAt
}

// checkBlocks reports blocks that are not there, or not ascending.
func (c Config) checkBlocks(key string, blocks []int) error {
	last := -1
	for _, at := range blocks {
		if at <= last || at >= c.Depth {
			return fmt.Errorf("%s %v: want ascending blocks below depth %d", key, blocks, c.Depth)
		}
		last = at
	}
	return nil
}

func (c Config) checkLists() error {
	if err := c.checkBlocks("prune_at", c.PruneAt); err != nil {
		return err
	}
	if err := c.checkBlocks("merge_at", c.MergeAt); err != nil {
		return err
	}
	for i := range 3 {
		if !finite(c.Mean[i]) || !finite(c.Std[i]) || c.Std[i] <= 0 {
			return fmt.Errorf("mean %v, std %v: want finite numbers, std above 0", c.Mean, c.Std)
		}
	}
	return nil
}

func finite(x float32) bool {
	return !math.IsNaN(float64(x)) && !math.IsInf(float64(x), 0)
}

// MACs counts the multiply-adds that one frame executes under a plan, with the
// last-block shortcut and the predictors that run.
func (c Config) MACs(p Plan, s Scorer) int64 {
	d, h := int64(c.Width), int64(c.Hidden)
	alive := int64(c.Patches())
	macs := c.stemMACs()
	stage, stages := 0, c.Stages(s)
	for i := range c.Depth {
		drop := stage < len(stages) && stages[stage] == i
		keep := alive
		if drop {
			keep = int64(p.Keep[stage])
			stage++
		}
		if s.predicts() && keep < alive {
			macs += alive * (d*d + d*d/2 + d*d/8 + d/4)
		}
		if s == Predictor {
			alive = keep
		}
		if s.Merges() && keep < alive {
			macs += comparisons(int(alive), int(keep)) * d / int64(c.Heads)
		}
		n := alive + int64(c.Prefix())
		q := n // queries whose answer is needed
		if c.shortcut(i, s, keep < alive) {
			q = int64(c.read())
		}
		macs += n*3*d*d + 2*q*n*d + q*d*d
		alive = keep
		macs += min(q, alive+int64(c.Prefix())) * 2 * d * h
	}
	macs += d * int64(c.Classes)
	if c.Distilled || c.Pooling() == PoolBoth {
		macs += d * int64(c.Classes)
	}
	if c.AuxHead {
		macs += alive * d * int64(c.Classes)
	}
	return macs
}

func (c Config) stemMACs() int64 {
	if c.ConvStem == 0 {
		return int64(c.InputLen()) * int64(c.Width)
	}
	half := int64(c.ImageSize/2) * int64(c.ImageSize/2)
	ch := int64(c.ConvStem)
	return half * ch * (3*7*7 + 2*ch*3*3 + int64(c.Width))
}

// shortcut reports whether block i needs only the answers of the tokens that the head
// reads: it is the last one and the head reads no patches. A stage that scores by this
// block's own attention keeps it whole.
func (c Config) shortcut(i int, s Scorer, dropsHere bool) bool {
	return i == c.Depth-1 && !c.readsPatches() && !(s != Predictor && dropsHere)
}
