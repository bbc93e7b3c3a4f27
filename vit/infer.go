package vit

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"dynvit/modelfile"
)

// Read makes the Config of a model file: what its metadata says, else what the
// names and shapes of its tensors tell. A file that does not fit together is an
// error that names the tensor or key.
func Read(f *modelfile.File) (Config, error) {
	m, err := modelfile.ParseManifest(f.Meta)
	if err != nil {
		return Config{}, err
	}
	return Infer(f, m)
}

// Infer is Read with a manifest of the caller's.
func Infer(f *modelfile.File, m modelfile.Manifest) (Config, error) {
	i := inference{f: f, m: m}
	i.sizes()
	unsaid := i.heads()
	i.kind()
	i.stem()
	i.pruning()
	i.input()
	if i.err != nil {
		return Config{}, i.err
	}
	c := i.c
	if err := c.Check(); err != nil {
		return Config{}, err
	}
	if err := i.unknown(); err != nil {
		return c, err
	}
	if err := c.checkShapes(f); err != nil {
		return c, err
	}
	if err := c.checkThere(f); err != nil {
		return c, err
	}
	return c, unsaid
}

// inference fills a Config step by step; after the first error nothing more
// happens.
type inference struct {
	f   *modelfile.File
	m   modelfile.Manifest
	c   Config
	err error
}

// shape returns a tensor's shape if it has that many dimensions.
func (i *inference) shape(name string, dims int) []int {
	t, ok := i.f.Tensor(name)
	if i.err == nil {
		switch {
		case !ok:
			i.err = fmt.Errorf("tensor %s: missing: not a plain vision transformer", name)
		case len(t.Shape) != dims:
			i.err = fmt.Errorf("tensor %s: shape %v, want %d dimensions", name, t.Shape, dims)
		}
	}
	if i.err != nil {
		return make([]int, dims)
	}
	return t.Shape
}

// agree checks a size against the metadata and reports the larger name.
func (i *inference) agree(key string, said, found int) int {
	if said != 0 && said != found && i.err == nil {
		i.err = fmt.Errorf("metadata %s %d: the tensors say %d", key, said, found)
	}
	return found
}

func (i *inference) sizes() {
	c := &i.c
	qkv := i.shape("blocks.0.attn.qkv.weight", 2)
	c.Width = i.agree("width", i.m.Width, qkv[1])
	c.Hidden = i.shape("blocks.0.mlp.fc1.weight", 2)[0]
	for i.f.Has(fmt.Sprintf("blocks.%d.norm1.weight", c.Depth)) {
		c.Depth++
	}
	i.agree("depth", i.m.Depth, c.Depth)
	c.QKVBias = i.f.Has("blocks.0.attn.qkv.bias")
	c.AuxHead = i.f.Has("aux_head.weight")
	c.Architecture = i.m.Architecture
	if c.Architecture == "" {
		c.Architecture = "vit"
	}
}

// headsOf are the published widths, whose heads are 64 wide.
var headsOf = map[int]int{192: 3, 256: 4, 384: 6, 512: 8, 768: 12, 1024: 16}

// heads asks for their number where nothing tells it, in an error that comes last: no
// answer helps a file that is refused for something else.
func (i *inference) heads() (unsaid error) {
	i.c.Heads = cmp.Or(i.m.Heads, headsOf[i.c.Width])
	if i.c.Heads == 0 {
		i.c.Heads = 1
		return fmt.Errorf("width %d is none of the published ones: say how many heads (--heads)", i.c.Width)
	}
	return nil
}

// kind finds what there is besides a plain transformer's tensors. Act cannot be seen.
func (i *inference) kind() {
	c, has := &i.c, i.f.Has
	c.NoCLS, c.Distilled = !has("cls_token"), has("dist_token")
	if has("reg_token") {
		c.Registers = i.shape("reg_token", 3)[1]
	}
	c.PreNorm, c.NoPatchBias = has("norm_pre.weight"), !has("patch_embed.proj.bias")
	c.LayerScale, c.FCNorm = has("blocks.0.ls1.gamma"), has("fc_norm.weight")
	c.Act = i.m.Act
	// Where nothing says that there is no last norm, it is missing.
	c.NoNorm = i.m.Pool == PoolMean && !has("norm.weight") && !c.FCNorm
	head := i.head()
	c.Classes = head[0]
	switch c.Pool = i.m.Pool; {
	case c.Pool != "":
	case head[1] == 2*c.Width && c.Width > 0:
		c.Pool = PoolBoth
	case c.NoCLS, c.FCNorm:
		c.Pool = PoolMean
	}
}

// head is the shape of the classifier. A file without one is taken where it says so,
// lest a classifier whose name is not known goes lost.
func (i *inference) head() []int {
	if i.m.Head == modelfile.NoHead && !i.f.Has("head.weight") && !i.f.Has("head_dist.weight") {
		return []int{0, 0}
	}
	if i.err == nil && !i.f.Has("head.weight") {
		i.err = i.noHead()
	}
	return i.shape("head.weight", 2)
}

// noHead says that the classifier is missing, or what stands in its place: a head of
// several layers has other names.
func (i *inference) noHead() error {
	for _, name := range i.f.Names() {
		for _, prefix := range []string{"head.", "heads.", "classifier.", "fc."} {
			if strings.HasPrefix(name, prefix) {
				return fmt.Errorf("tensor %s: part of a head that is not one linear layer, head.weight: not taken", name)
			}
		}
	}
	return errors.New("tensor head.weight: missing: a backbone without a head has no classes (--no-head imports it as it is)")
}

// stem tells DeiT's patch projection from LV-ViT's convolutions, and with them
// what LV-ViT does differently.
func (i *inference) stem() {
	c := &i.c
	proj := i.shape("patch_embed.proj.weight", 4)
	c.PatchSize, c.SkipLam, c.Eps = proj[2], 1, 1e-6
	if c.PreNorm {
		c.Eps = 1e-5 // CLIP's
	}
	if i.f.Has("patch_embed.conv1.weight") {
		c.ConvStem = i.shape("patch_embed.conv1.weight", 4)[0]
		c.PatchSize, c.SkipLam, c.Eps = 2*proj[2], 2, 1e-5
	}
	if i.m.SkipLam != 0 {
		c.SkipLam = float32(i.m.SkipLam)
	}
	if i.m.LayerNormEps != 0 {
		c.Eps = float32(i.m.LayerNormEps)
	}
	i.agree("patch_size", i.m.PatchSize, c.PatchSize)
	c.ImageSize = i.m.ImageSize
	if c.ImageSize == 0 {
		grid, _, err := c.grid(i.shape("pos_embed", 3)[1])
		if i.err == nil {
			i.err = err
		}
		c.ImageSize = min(grid, maxImage+1) * min(c.PatchSize, maxImage+1) // Check refuses what is above maxImage
	}
}

// pruning finds where patches are dropped: as the file says, else at a quarter,
// half and three quarters of the depth (DeiT 3, 6, 9; LV-ViT-S 4, 8, 12).
func (i *inference) pruning() {
	c := &i.c
	predictors := 0
	for i.f.Has(fmt.Sprintf("score_predictor.%d.in_conv.1.weight", predictors)) {
		predictors++
	}
	c.Predictors = predictors > 0
	c.PruneAt, c.MergeAt, c.Scorer = i.m.PruneAt, i.m.MergeAt, i.m.Scorer
	if c.PruneAt == nil && c.Depth >= 4 {
		c.PruneAt = []int{c.Depth / 4, c.Depth / 2, 3 * c.Depth / 4}
	}
	if c.Predictors && predictors != len(c.PruneAt) && i.err == nil {
		i.err = fmt.Errorf("%d predictors for %d pruning stages: say where (--prune-at)", predictors, len(c.PruneAt))
	}
}

// input is what the picture must look like; inputs of 384 and more are warped,
// smaller ones resized to 8/7 of their size and cropped, where the metadata says nothing.
func (i *inference) input() {
	c, m := &i.c, i.m
	c.Resize, c.Squash, c.FloorCrop = m.Resize, m.CropMode == "squash", m.CropOffset == "floor"
	switch {
	case c.Resize == modelfile.Warp:
		c.Resize = 0
	case c.Resize == 0 && c.ImageSize < 384:
		c.Resize = c.ImageSize * 8 / 7
	}
	c.Interpolation = m.Interpolation
	if c.Interpolation == "" {
		c.Interpolation = "bicubic"
	}
	c.Mean, c.Std = [3]float32{0.485, 0.456, 0.406}, [3]float32{0.229, 0.224, 0.225}
	if m.Mean != nil {
		copy(c.Mean[:], m.Mean)
	}
	if m.Std != nil {
		copy(c.Std[:], m.Std)
	}
	c.Labels, c.Synsets = m.Classes, m.Synsets
}

// checkShapes refuses a file that has one of the model's tensors in another shape.
func (c Config) checkShapes(f *modelfile.File) error {
	for _, name := range c.names() {
		if t, ok := f.Tensor(name); ok {
			if err := c.checkShape(name, t.Shape); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkThere refuses a file that lacks one of the model's tensors.
func (c Config) checkThere(f *modelfile.File) error {
	for _, name := range c.names() {
		if !f.Has(name) {
			return fmt.Errorf("tensor %s: missing", name)
		}
	}
	return nil
}

// unknown refuses a file with tensors that the model would not use: they would
// mean something that is not computed.
func (i *inference) unknown() error {
	used := map[string]bool{}
	for _, name := range i.c.names() {
		used[name] = true
	}
	for _, name := range i.f.Names() {
		base, isScale := cutSuffix(name, ".scale")
		if !used[name] && !(isScale && used[base]) && !ignored(name) {
			return fmt.Errorf("tensor %s: not part of a plain vision transformer", name)
		}
	}
	return nil
}

func cutSuffix(s, suffix string) (string, bool) {
	if len(s) > len(suffix) && s[len(s)-len(suffix):] == suffix {
		return s[:len(s)-len(suffix)], true
	}
	return s, false
}

// ignored are BatchNorm's step counters, which inference has no use for.
func ignored(name string) bool {
	_, counter := cutSuffix(name, ".num_batches_tracked")
	return counter
}

// names lists every tensor that Load reads.
func (c Config) names() []string {
	names := append(c.ahead(), "pos_embed", "patch_embed.proj.weight")
	if !c.NoPatchBias {
		names = append(names, "patch_embed.proj.bias")
	}
	both := func(layers ...string) {
		for _, l := range layers {
			names = append(names, l+".weight", l+".bias")
		}
	}
	if !c.NoNorm {
		both(c.lastNorm())
	}
	if c.PreNorm {
		both("norm_pre")
	}
	both(c.headNames()...)
	if c.ConvStem > 0 {
		for k := 1; k <= 3; k++ {
			bn := fmt.Sprintf("patch_embed.bn%d", k)
			both(bn)
			names = append(names, fmt.Sprintf("patch_embed.conv%d.weight", k), bn+".running_mean", bn+".running_var")
		}
	}
	for i := range c.Depth {
		at := fmt.Sprintf("blocks.%d.", i)
		both(at+"norm1", at+"attn.proj", at+"norm2", at+"mlp.fc1", at+"mlp.fc2")
		names = append(names, at+"attn.qkv.weight")
		if c.QKVBias {
			names = append(names, at+"attn.qkv.bias")
		}
		if c.LayerScale {
			names = append(names, at+"ls1.gamma", at+"ls2.gamma")
		}
	}
	if c.Predictors {
		for i := range c.PruneAt {
			at := fmt.Sprintf("score_predictor.%d.", i)
			both(at+"in_conv.0", at+"in_conv.1", at+"out_conv.0", at+"out_conv.2", at+"out_conv.4")
		}
	}
	return names
}

// headNames are the classifiers.
func (c Config) headNames() (names []string) {
	if c.Classes == 0 {
		return nil
	}
	names = append(names, "head")
	if c.Distilled {
		names = append(names, "head_dist")
	}
	if c.AuxHead {
		names = append(names, "aux_head")
	}
	return names
}

// Manifest is the metadata that describes a model of this shape completely.
func (c Config) Manifest() modelfile.Manifest {
	m := modelfile.Manifest{
		Architecture: c.Architecture, Width: c.Width, Depth: c.Depth, Heads: c.Heads,
		MLPRatio: float64(c.Hidden) / float64(c.Width), PatchSize: c.PatchSize, ImageSize: c.ImageSize,
		Resize: c.Resize, Interpolation: c.Interpolation, Mean: c.Mean[:], Std: c.Std[:],
		LayerNormEps: shortFloat(c.Eps), Classes: c.Labels, Synsets: c.Synsets, PruneAt: c.PruneAt, MergeAt: c.MergeAt, Scorer: c.Scorer,
	}
	if c.Resize == 0 {
		m.Resize = modelfile.Warp
	}
	if c.Squash {
		m.CropMode = "squash"
	}
	if c.FloorCrop {
		m.CropOffset = "floor"
	}
	if c.ConvStem > 0 {
		m.Stem, m.SkipLam = "lvvit", float64(c.SkipLam)
	}
	if c.Activation() != ActGELU {
		m.Act = c.Act
	}
	if c.Pooling() != PoolToken || c.FCNorm { // with which avg would be taken for granted
		m.Pool = c.Pooling()
	}
	if c.Classes == 0 {
		m.Head = modelfile.NoHead
	}
	return m
}

// shortFloat is the double that prints as short as the float does: 1e-6, not
// 9.99999997e-07.
func shortFloat(x float32) float64 {
	var d float64
	fmt.Sscan(fmt.Sprint(x), &d)
	return d
}
