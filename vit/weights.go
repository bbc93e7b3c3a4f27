package vit

import (
	"fmt"
	"math"

	"dynvit/backends"
)

// Tensors is where a model's weights come from: a modelfile.File, or seeded
// random numbers. Float32In returns a slice that the caller may change, in memory where
// that is long enough; a missing tensor or a NaN is an error that names it.
type Tensors interface {
	Float32In(memory []float32, name string) (data []float32, shape []int, err error)
	Has(name string) bool
}

// Weights are a model packed for one backend. They do not change and may serve
// several sessions of that backend.
type Weights struct {
	Config
	Precision backends.Precision // of the blocks' Linear layers
	side      backends.Precision // of what SidePrecision names

	stem       []conv
	embed      backends.Weight // [D, patch inputs], no bias
	position   backends.Tensor // [P+N, D]: a token ahead of the patches + its position; position + embedding bias
	preNorm    norm
	blocks     []block
	norm       norm
	heads      []backends.Weight // [C, D] each, for a row of what classify pools each; none of a backbone
	aux        backends.Weight   // [C, D] or nil, halved
	predictors []predictor
}

type norm struct {
	gamma, beta backends.Tensor // [1, D]
	eps         float32
}

type block struct {
	norm1, norm2        norm
	qkv, proj, fc1, fc2 backends.Weight
}

// predictor is one score_predictor: LayerNorm, D→D, half of it replaced by the
// mean, D→D/2, D/2→D/4, D/4→1 (keep minus drop: the order of LogSoftmax's
// keep column is that of the difference).
type predictor struct {
	norm                 norm
	in, out0, out2, out4 backends.Weight
}

// conv is a convolution with its BatchNorm folded in, as a Linear over unfolded
// pixels.
type conv struct {
	geometry backends.Conv
	weight   backends.Weight
}

// predictorEps is PyTorch's default, which the reference leaves in the
// predictor; the backbone's is 1e-6 (DeiT) or 1e-5 (LV-ViT).
const predictorEps = 1e-5

// SidePrecision is the precision of attention's products, the stem, the patch embedding and
// a few more layers (loader.precisions) under p: p itself, but for int8 the fastest
// of bf16, f16 and f32 that sums in float32. The embedding and those layers may be of bf16
// for f32 (layerPrecision).
func SidePrecision(p backends.Precision, facts backends.Facts) backends.Precision {
	if p != backends.Int8 {
		return p
	}
	for _, have := range facts.Precisions {
		if have != backends.Int8 && (have != backends.F16 || !facts.HalfSums) {
			return have
		}
	}
	return backends.F32
}

// layerPrecision is that of the embedding and the layers of the side precision, whose inputs are few beside their
// weights: under int8 bf16 in place of f32, where that halves their memory and takes no longer.
func layerPrecision(p, side backends.Precision, facts backends.Facts) backends.Precision {
	if p == backends.Int8 && side == backends.F32 && facts.HalfWords {
		return backends.BF16
	}
	return side
}

// Load packs a model's tensors for be. The tensors may be closed afterwards.
func Load(be backends.Backend, c Config, src Tensors, p backends.Precision) (*Weights, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	facts := be.Facts()
	side := SidePrecision(p, facts)
	l := loader{config: c, be: be, src: src, p: p, side: side, layer: layerPrecision(p, side, facts)}
	w := &Weights{Config: c, Precision: p, side: side}
	l.stem(w)
	l.embedding(w)
	for i := range c.Depth {
		w.blocks = append(w.blocks, l.block(i))
	}
	if c.PreNorm {
		w.preNorm = l.norm("norm_pre", c.Eps)
	}
	if !c.NoNorm {
		w.norm = l.norm(c.lastNorm(), c.Eps)
	}
	w.heads = l.heads()
	if c.AuxHead {
		w.aux = l.linear("aux_head", 0.5, true, backends.F32)
	}
	if c.Predictors {
		for i := range c.PruneAt {
			w.predictors = append(w.predictors, l.predictor(fmt.Sprintf("score_predictor.%d.", i)))
		}
	}
	return w, l.err
}

// lastNorm is the name of the LayerNorm ahead of the head.
func (c Config) lastNorm() string {
	if c.FCNorm {
		return "fc_norm"
	}
	return "norm"
}

// loader reads, checks and packs; after the first error it does nothing more.
type loader struct {
	config  Config
	be      backends.Backend
	src     Tensors
	p, side backends.Precision
	layer   backends.Precision // of layers of the side precision
	matrix  []float32          // the last layer's, which the next one may lie in
	err     error
}

// tensor reads a tensor of the model's shape for it.
func (l *loader) tensor(name string) []float32 { return l.tensorIn(nil, name) }

func (l *loader) tensorIn(memory []float32, name string) []float32 {
	if l.err != nil {
		return nil
	}
	data, shape, err := l.src.Float32In(memory, name)
	if err == nil {
		err = l.config.checkShape(name, shape)
	}
	l.err = err
	return data
}

// weight is tensor of a layer's matrix, which lasts until the next: fresh memory for each took
// a tenth of opening DeiT-S.
func (l *loader) weight(layer string) []float32 {
	data := l.tensorIn(l.matrix, layer+".weight")
	if len(data) > len(l.matrix) {
		l.matrix = data
	}
	return data
}

func (l *loader) upload(rows, cols int, data []float32) (t backends.Tensor) {
	if l.err != nil {
		return t
	}
	if t, l.err = l.be.Alloc(rows, cols); l.err == nil {
		l.be.Upload(t, data)
	}
	return t
}

func (l *loader) pack(w []float32, out, in int, bias []float32, p backends.Precision) (packed backends.Weight) {
	if l.err == nil {
		packed, l.err = l.be.Pack(w, out, in, bias, p)
	}
	return packed
}

// linear packs name.weight and name.bias times scale.
func (l *loader) linear(name string, scale float32, bias bool, p backends.Precision) backends.Weight {
	out, in := l.config.linear(name)
	w := l.weight(name)
	var b []float32
	if bias {
		b = l.tensor(name + ".bias")
	}
	if l.err != nil {
		return nil
	}
	times(w, scale)
	times(b, scale)
	return l.named(name, w, out, in, b, p)
}

// named packs w and says in an error which tensor it was.
func (l *loader) named(name string, w []float32, out, in int, bias []float32, p backends.Precision) backends.Weight {
	packed := l.pack(w, out, in, bias, p)
	if l.err != nil {
		l.err = fmt.Errorf("tensor %s.weight: %w", name, l.err)
	}
	return packed
}

// heads packs the head, or both: those of CLS and of the distillation token, whose
// answers are averaged, or the halves that read CLS and the mean of the patches.
func (l *loader) heads() []backends.Weight {
	c := l.config
	switch {
	case c.Classes == 0:
		return nil
	case c.Distilled:
		return []backends.Weight{l.linear("head", 0.5, true, backends.F32), l.linear("head_dist", 0.5, true, backends.F32)}
	case c.Pooling() == PoolBoth:
		return l.halves()
	}
	return []backends.Weight{l.linear("head", 1, true, backends.F32)}
}

// halves packs the left and the right half of the columns of head [C, 2D].
func (l *loader) halves() []backends.Weight {
	d, n := l.config.Width, l.config.Classes
	w, bias := l.tensor("head.weight"), l.tensor("head.bias")
	if l.err != nil {
		return nil
	}
	left, right := make([]float32, n*d), make([]float32, n*d)
	for i := range n {
		copy(left[i*d:(i+1)*d], w[2*i*d:])
		copy(right[i*d:(i+1)*d], w[(2*i+1)*d:])
	}
	return []backends.Weight{l.named("head", left, n, d, bias, backends.F32), l.named("head", right, n, d, nil, backends.F32)}
}

// branch packs a layer that ends a residual branch, what the branch is scaled by
// folded into it: LayerScale's gamma, an element an output, and SkipLam.
func (l *loader) branch(name, gamma string, p backends.Precision) backends.Weight {
	scale := 1 / l.config.SkipLam
	if !l.config.LayerScale {
		return l.linear(name, scale, true, p)
	}
	out, in := l.config.linear(name)
	w, bias, rows := l.weight(name), l.tensor(name+".bias"), l.tensor(gamma)
	if l.err != nil {
		return nil
	}
	times(rows, scale)
	for o, g := range rows {
		times(w[o*in:(o+1)*in], g)
		bias[o] *= g
	}
	return l.named(name, w, out, in, bias, p)
}

func times(x []float32, scale float32) {
	if scale == 1 {
		return
	}
	for i := range x {
		x[i] *= scale
	}
}

func (l *loader) norm(name string, eps float32) norm {
	d := l.config.Width
	return norm{
		gamma: l.upload(1, d, l.tensor(name+".weight")),
		beta:  l.upload(1, d, l.tensor(name+".bias")),
		eps:   eps,
	}
}

// block packs a block.
func (l *loader) block(i int) block {
	c := l.config
	at := fmt.Sprintf("blocks.%d.", i)
	qkv, proj, fc1, fc2 := l.precisions(i)
	return block{
		norm1: l.norm(at+"norm1", c.Eps),
		qkv:   l.linear(at+"attn.qkv", 1, c.QKVBias, qkv),
		proj:  l.branch(at+"attn.proj", at+"ls1.gamma", proj),
		norm2: l.norm(at+"norm2", c.Eps),
		fc1:   l.linear(at+"mlp.fc1", 1, true, fc1),
		fc2:   l.branch(at+"mlp.fc2", at+"ls2.gamma", fc2),
	}
}

// precisions are those of block i's layers. Under int8 a few have the side precision,
// those whose 8-bit error weighs most for their time: proj of the first block, which
// alone brings 0.015 % of the logits' variance of the 0.17 % that all layers bring (DeiT-T, 200
// photos) for a twelfth of a block's time, and the layers behind the last block's
// attention, which have a row or two where the head reads no patches. With them DeiT-T
// agrees with f32 on 98.9 % of Imagenette val, without the first on 98.4 %.
func (l *loader) precisions(i int) (qkv, proj, fc1, fc2 backends.Precision) {
	qkv, proj, fc1, fc2 = l.p, l.p, l.p, l.p
	if i == 0 {
		proj = l.layer
	}
	if i == l.config.Depth-1 && !l.config.readsPatches() {
		proj, fc1, fc2 = l.layer, l.layer, l.layer
	}
	return
}

// predictor packs a predictor: its wide layers in the blocks' precision, the last
// two in f32, as ranks are sensitive. Wide ones in int8 cost nothing that can be told
// from chance (the default model on Imagenette val at keep 0.7 and 0.5: the dense f32
// model's class for 98.7 and 97.0 % of the photos, 98.7 and 97.1 with the side
// precision) and save 6 % of DeiT-S at 0.7 where the side precision is f32
// (docs/performance.md).
func (l *loader) predictor(at string) predictor {
	d := l.config.Width
	p := predictor{
		norm: l.norm(at+"in_conv.0", predictorEps),
		in:   l.linear(at+"in_conv.1", 1, true, l.p),
		out0: l.linear(at+"out_conv.0", 1, true, l.p),
		out2: l.linear(at+"out_conv.2", 1, true, backends.F32),
	}
	w := l.tensor(at + "out_conv.4.weight")
	b := l.tensor(at + "out_conv.4.bias")
	if l.err != nil {
		return p
	}
	for i := range d / 4 {
		w[i] -= w[d/4+i]
	}
	p.out4 = l.pack(w[:d/4], 1, d/4, []float32{b[0] - b[1]}, backends.F32)
	return p
}

// embedding packs the patch projection without its bias, which goes, with the tokens
// ahead of the patches and the positions, into one constant matrix added as the residual.
func (l *loader) embedding(w *Weights) {
	c := w.Config
	d := c.Width
	weight := l.tensor("patch_embed.proj.weight")
	bias := make([]float32, d)
	if !c.NoPatchBias {
		bias = l.tensor("patch_embed.proj.bias")
	}
	ahead := l.ahead()
	pos := l.positions()
	if l.err != nil {
		return
	}
	if c.ConvStem > 0 {
		weight = channelsLast(weight, d, c.ConvStem, c.PatchSize/2)
	}
	w.embed = l.pack(weight, d, c.embedInputs(), nil, l.layer)
	for i, v := range ahead {
		pos[i] += v
	}
	for i := c.lead() * d; i < len(pos); i++ {
		pos[i] += bias[i%d]
	}
	w.position = l.upload(len(pos)/d, d, pos)
}

// ahead reads the tokens ahead of the patches, [P, D].
func (l *loader) ahead() (tokens []float32) {
	for _, name := range l.config.ahead() {
		tokens = append(tokens, l.tensor(name)...)
	}
	return tokens
}

// ahead names the tensors of the tokens ahead of the patches, in order.
func (c Config) ahead() (names []string) {
	if !c.NoCLS {
		names = append(names, "cls_token")
	}
	if c.Distilled {
		names = append(names, "dist_token")
	}
	if c.Registers > 0 {
		names = append(names, "reg_token")
	}
	return names
}

// embedInputs is the number of inputs of the patch projection.
func (c Config) embedInputs() int {
	if c.ConvStem > 0 {
		return c.ConvStem * (c.PatchSize / 2) * (c.PatchSize / 2)
	}
	return 3 * c.PatchSize * c.PatchSize
}

// positions reads pos_embed and resamples its grid where the model is used at another
// image size. Tokens ahead of the patches that have no position get zeros.
func (l *loader) positions() []float32 {
	pos := l.tensor("pos_embed")
	if l.err != nil {
		return nil
	}
	c := l.config
	d := c.Width
	grid, own, err := c.grid(len(pos) / d)
	if l.err = err; err != nil {
		return nil
	}
	out := make([]float32, (c.lead()+c.Patches())*d)
	copy(out, pos[:own*d])
	resample(out[c.lead()*d:], pos[own*d:], c.Grid(), grid, d)
	return out
}

// grid tells the side of the grid from a number of positions, and how many of
// them, at the front, are those of tokens ahead of the patches: none (DeiT-III, ViT
// with registers), CLS's alone (DINOv2 with registers), or all.
func (c Config) grid(positions int) (side, own int, err error) {
	side = int(math.Sqrt(float64(positions)))
	own = positions - side*side
	if side < 1 || own != 0 && own != c.Prefix() && (own != 1 || c.NoCLS) {
		return 0, 0, fmt.Errorf("tensor pos_embed: %d positions are not a square grid, with or without the %d tokens ahead of it", positions, c.Prefix())
	}
	return side, own, nil
}

// stem packs LV-ViT's three convolutions (stem 4_2: 7×7 stride 2, 3×3, 3×3,
// each followed by BatchNorm and ReLU; models/dylvvit.py, PatchEmbed4_2).
func (l *loader) stem(w *Weights) {
	c := w.Config
	if c.ConvStem == 0 {
		return
	}
	half := c.ImageSize / 2
	ch := c.ConvStem
	w.stem = []conv{
		l.conv(1, 3, ch, backends.Conv{H: c.ImageSize, W: c.ImageSize, Kernel: 7, Stride: 2, Pad: 3}),
		l.conv(2, ch, ch, backends.Conv{H: half, W: half, Kernel: 3, Stride: 1, Pad: 1}),
		l.conv(3, ch, ch, backends.Conv{H: half, W: half, Kernel: 3, Stride: 1, Pad: 1}),
	}
}

// batchNormEps is PyTorch's default.
const batchNormEps = 1e-5

func (l *loader) conv(i, in, out int, g backends.Conv) conv {
	bn := fmt.Sprintf("patch_embed.bn%d.", i)
	k := g.Kernel * g.Kernel * in
	w := l.tensor(fmt.Sprintf("patch_embed.conv%d.weight", i))
	gamma, beta := l.tensor(bn+"weight"), l.tensor(bn+"bias")
	mean, variance := l.tensor(bn+"running_mean"), l.tensor(bn+"running_var")
	if l.err != nil {
		return conv{}
	}
	bias := make([]float32, out)
	for o := range out {
		scale := float64(gamma[o]) / math.Sqrt(float64(variance[o])+batchNormEps)
		bias[o] = float32(float64(beta[o]) - float64(mean[o])*scale)
		row := w[o*k : (o+1)*k]
		for j := range row {
			row[j] = float32(float64(row[j]) * scale)
		}
	}
	return conv{g, l.pack(channelsLast(w, out, in, g.Kernel), out, k, bias, l.side)}
}

// channelsLast turns a convolution's weight [out, in, k, k] into [out, k, k, in],
// the order of Unfold's columns.
func channelsLast(w []float32, out, in, k int) []float32 {
	t := make([]float32, len(w))
	for o := range out {
		for c := range in {
			for j := range k * k {
				t[(o*k*k+j)*in+c] = w[(o*in+c)*k*k+j]
			}
		}
	}
	return t
}
