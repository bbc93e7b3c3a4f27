package vit

import (
	"fmt"
	"math"

	"dynvit/backends"
)

// Tensors is where a model's weights come from: a modelfile.File, or seeded
// random numbers. Float32 returns a slice that the caller may change; a missing
// tensor or a NaN is an error that names it.
type Tensors interface {
	Float32(name string) (data []float32, shape []int, err error)
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
	position   backends.Tensor // [N+1, D]: CLS + its position; position + embedding bias
	blocks     []block
	norm       norm
	head       backends.Weight // [C, D]
	aux        backends.Weight // [C, D] or nil, halved
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

// SidePrecision is the precision of the patch embedding, attention's products and
// a few more layers (loader.precisions) under p: p itself, but for int8 the fastest
// of bf16, f16 and f32 by carried, Facts.Precisions of a backend.
func SidePrecision(p backends.Precision, carried []backends.Precision) backends.Precision {
	if p != backends.Int8 {
		return p
	}
	for _, have := range carried {
		if have != backends.Int8 {
			return have
		}
	}
	return backends.F32
}

// Load packs a model's tensors for be. The tensors may be closed afterwards.
func Load(be backends.Backend, c Config, src Tensors, p backends.Precision) (*Weights, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	l := loader{config: c, be: be, src: src, p: p, side: SidePrecision(p, be.Facts().Precisions)}
	w := &Weights{Config: c, Precision: p, side: l.side}
	l.stem(w)
	l.embedding(w)
	for i := range c.Depth {
		w.blocks = append(w.blocks, l.block(i))
	}
	w.norm = l.norm("norm", c.Eps)
	w.head = l.linear("head", 1, true, backends.F32)
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

// loader reads, checks and packs; after the first error it does nothing more.
type loader struct {
	config  Config
	be      backends.Backend
	src     Tensors
	p, side backends.Precision
	err     error
}

// tensor reads a tensor of the model's shape for it.
func (l *loader) tensor(name string) []float32 {
	if l.err != nil {
		return nil
	}
	data, shape, err := l.src.Float32(name)
	if err == nil {
		err = l.config.checkShape(name, shape)
	}
	l.err = err
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
	w := l.tensor(name + ".weight")
	var b []float32
	if bias {
		b = l.tensor(name + ".bias")
	}
	if l.err != nil {
		return nil
	}
	times(w, scale)
	times(b, scale)
	packed := l.pack(w, out, in, b, p)
	if l.err != nil {
		l.err = fmt.Errorf("tensor %s.weight: %w", name, l.err)
	}
	return packed
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
	branch := 1 / c.SkipLam // folded into the layers that end a residual branch
	return block{
		norm1: l.norm(at+"norm1", c.Eps),
		qkv:   l.linear(at+"attn.qkv", 1, c.QKVBias, qkv),
		proj:  l.linear(at+"attn.proj", branch, true, proj),
		norm2: l.norm(at+"norm2", c.Eps),
		fc1:   l.linear(at+"mlp.fc1", 1, true, fc1),
		fc2:   l.linear(at+"mlp.fc2", branch, true, fc2),
	}
}

// precisions are those of block i's layers. Under int8 a few have the side precision,
// those whose 8-bit error weighs most for their time: proj of the first block, which
// alone brings 0.015 % of the logits' variance of the 0.17 % that all layers bring (DeiT-T, 200
// photos) for a twelfth of a block's time, and the layers behind the last block's
// attention, which have one row where the head reads CLS alone. With them DeiT-T
// agrees with f32 on 98.9 % of Imagenette val, without the first on 98.4 %.
func (l *loader) precisions(i int) (qkv, proj, fc1, fc2 backends.Precision) {
	qkv, proj, fc1, fc2 = l.p, l.p, l.p, l.p
	if i == 0 {
		proj = l.side
	}
	if i == l.config.Depth-1 && !l.config.AuxHead {
		proj, fc1, fc2 = l.side, l.side, l.side
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

// embedding packs the patch projection without its bias, which goes, with CLS
// and the positions, into one constant matrix added as the residual.
func (l *loader) embedding(w *Weights) {
	c := w.Config
	d, n := c.Width, c.Patches()
	weight := l.tensor("patch_embed.proj.weight")
	bias := l.tensor("patch_embed.proj.bias")
	cls := l.tensor("cls_token")
	pos := l.positions()
	if l.err != nil {
		return
	}
	if c.ConvStem > 0 {
		weight = channelsLast(weight, d, c.ConvStem, c.PatchSize/2)
	}
	w.embed = l.pack(weight, d, c.embedInputs(), nil, l.side)
	for i := range d {
		pos[i] += cls[i]
	}
	for i := d; i < (n+1)*d; i++ {
		pos[i] += bias[i%d]
	}
	w.position = l.upload(n+1, d, pos)
}

// embedInputs is the number of inputs of the patch projection.
func (c Config) embedInputs() int {
	if c.ConvStem > 0 {
		return c.ConvStem * (c.PatchSize / 2) * (c.PatchSize / 2)
	}
	return 3 * c.PatchSize * c.PatchSize
}

// positions reads pos_embed [1, 1+G·G, D] and resamples its grid where the
// model is used at another image size.
func (l *loader) positions() []float32 {
	pos := l.tensor("pos_embed")
	if l.err != nil {
		return nil
	}
	c := l.config
	d := c.Width
	grid := int(math.Round(math.Sqrt(float64(len(pos)/d - 1))))
	if grid < 1 || (grid*grid+1)*d != len(pos) {
		l.err = fmt.Errorf("tensor pos_embed: %d positions are not CLS and a square grid", len(pos)/d)
		return nil
	}
	out := make([]float32, (c.Patches()+1)*d)
	copy(out, pos[:d])
	resample(out[d:], pos[d:], c.Grid(), grid, d)
	return out
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
