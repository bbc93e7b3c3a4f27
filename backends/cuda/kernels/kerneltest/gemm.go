package kerneltest

import (
	"fmt"
	"math"

	"dynvit/backends"
	"dynvit/backends/backendtest"
	"dynvit/backends/cuda/kernels"
)

// shapes are rows, inputs, outputs: one, around the tiles, odd ones, more than 512 codes.
var shapes = [][3]int{
	{1, 1, 1}, {2, 3, 5}, {3, 64, 7}, {31, 65, 30}, {32, 32, 64}, {33, 192, 66}, {5, 16, 129}, {70, 40, 65}, {9, 1100, 3},
}

func gemmCases() []Case {
	return []Case{
		{"gemm/linear", (*bench).linear}, {"gemm/not finite", (*bench).notFinite}, {"gemm/codes", (*bench).codes},
		{"gemm/extremes", (*bench).extremes}, {"gemm/norm", (*bench).foldedNorm}, {"gemm/hidden", (*bench).hidden},
		{"gemm/ranges", (*bench).ranges},
	}
}

// gemm is a launch: the kernel's arguments, those that are left out being 0.
type gemm struct {
	p              backends.Precision
	x              uint64
	ldx            int
	packed         bool
	w              kernels.Packed
	bias           []float32
	res, y         uint64
	ldy            int
	stored         backends.Precision // F32, F16 or BF16
	gamma, beta    uint64
	eps            float32
	ranges         uint64
	parts          int
	left           uint64
	rows, in, outs int
	act            backends.Act
}

func (b *bench) gemm(g gemm) {
	packed, stored := 0, 0
	if g.packed {
		packed = 1
	}
	switch g.stored {
	case backends.F16:
		stored = 1
	case backends.BF16:
		stored = 2
	}
	if g.ldx == 0 {
		g.ldx = g.in
	}
	if g.ldy == 0 {
		g.ldy = g.outs
	}
	b.launch("gemm_"+g.p.String(), [3]int{ceil(g.outs, 64), ceil(g.rows, 32), 1}, 128,
		g.x, g.ldx, packed, b.bytes(g.w.Data), b.floats(g.w.Scale), b.ints(g.w.Sums), b.floats(g.bias), g.res, g.y, g.ldy, stored,
		g.gamma, g.beta, g.eps, g.ranges, g.parts, g.left, g.rows, g.in, g.outs, int(g.act))
}

// oracle is backends.Linear by ref.
func (b *bench) oracle(x, w, bias, res []float32, rows, in, out int, p backends.Precision, act backends.Act) []float32 {
	weight, err := b.want.Pack(w, out, in, bias, p)
	if err != nil {
		fail("%v", err)
	}
	dst, r := b.tensor(rows, out, nil), backends.Tensor{}
	if res != nil {
		r = b.tensor(rows, out, res)
	}
	b.want.Linear(dst, b.tensor(rows, in, x), weight, act, r)
	return dst.Host
}

func (b *bench) linear() {
	for _, p := range b.target.Precisions {
		for i, s := range shapes {
			b.oneLinear(p, s, backends.Act(i%5), i%2 == 0, i%4 == 1)
		}
	}
}

func (b *bench) oneLinear(p backends.Precision, shape [3]int, act backends.Act, inPlace, noBias bool) {
	rows, in, out := shape[0], shape[1], shape[2]
	x, w, bias, before := b.random(rows*in), b.random(in*out), b.random(out), b.random(rows*out)
	if noBias {
		bias = nil
	}
	g := gemm{p: p, x: b.floats(x), w: kernels.Pack(w, out, in, p), bias: bias, rows: rows, in: in, outs: out, act: act}
	y := b.result(before)
	g.y = y.address()
	var res []float32
	if inPlace {
		g.res, res = g.y, before
	}
	b.gemm(g)
	what := fmt.Sprintf("gemm %v %v act %d", p, shape, act)
	want := b.oracle(x, w, bias, res, rows, in, out, p, act)
	near(what, y.read(what), want, backendtest.LimitLinear)
	if p == backends.Int8 && (act == backends.None || act == backends.ReLU) {
		same(what, y.read(what), want)
	}
}

// notFinite: a row with a number that is none, or infinite, spoils itself alone.
func (b *bench) notFinite() {
	const rows, in, out = 6, 40, 70
	for _, p := range b.target.Precisions {
		x, w := b.random(rows*in), b.random(in*out)
		x[in+3], x[3*in+39] = float32(math.NaN()), float32(math.Inf(-1))
		x[4*in], x[4*in+1] = 3e38, -3e38 // whose range overflows
		y := b.result(make([]float32, rows*out))
		b.gemm(gemm{p: p, x: b.floats(x), w: kernels.Pack(w, out, in, p), y: y.address(), rows: rows, in: in, outs: out})
		got := y.read("gemm")
		want := b.oracle(x, w, nil, nil, rows, in, out, p, backends.None)
		for _, r := range []int{0, 2, 5} {
			near(fmt.Sprintf("gemm %v row %d", p, r), got[r*out:][:out], want[r*out:][:out], backendtest.LimitLinear)
		}
		spoilt := []int{1}
		if p == backends.Int8 {
			spoilt = []int{1, 3, 4}
		}
		for _, r := range spoilt {
			for _, v := range got[r*out:][:out] {
				if v == v {
					fail("gemm %v row %d: %v, want NaN", p, r, v)
				}
			}
		}
	}
}

// codes: with an identity of 127s as the weight every code shows.
func (b *bench) codes() {
	const rows, n = 37, 96
	w := make([]float32, n*n)
	for i := range n {
		w[i*n+i] = 127
	}
	x := b.random(rows * n)
	clear(x[:n])
	x[2*n+1] = 1e-31
	for i := range n { // ties: a range of 255, so that a step is 1
		x[3*n+i] = float32(i) + 0.5
		x[4*n+i] = float32(i) * 1e-33 // a range that is none
		x[5*n+i] = 1 + float32(i)     // 0 belongs to it
		x[6*n+i] = -7
	}
	x[3*n], x[3*n+1] = 154.5, -100.5
	y := b.result(make([]float32, rows*n))
	b.gemm(gemm{p: backends.Int8, x: b.floats(x), w: kernels.Pack(w, n, n, backends.Int8), y: y.address(), rows: rows, in: n, outs: n})
	same("codes", y.read("codes"), b.oracle(x, w, nil, nil, rows, n, n, backends.Int8, backends.None))
}

// extremes: sums of codes as far from zero as they get are exact.
func (b *bench) extremes() {
	periods := []int{1 << 20, 1, 2, 3, 8}
	rows, out := len(periods), 3*len(periods)
	sign := func(period, i int) float32 { return 1 - 2*float32(i/period%2) }
	for _, in := range []int{1, 6, 511, 512, 513, 1600} {
		w, x := make([]float32, out*in), make([]float32, rows*in)
		for i := range w {
			w[i] = sign(periods[i/in%rows], i%in)
		}
		for i := range x {
			x[i] = sign(periods[i/in], i%in)
		}
		y := b.result(make([]float32, rows*out))
		b.gemm(gemm{p: backends.Int8, x: b.floats(x), w: kernels.Pack(w, out, in, backends.Int8), y: y.address(), rows: rows, in: in, outs: out})
		what := fmt.Sprintf("extremes of %d inputs", in)
		same(what, y.read(what), b.oracle(x, w, nil, nil, rows, in, out, backends.Int8, backends.None))
	}
}

// foldedNorm: LayerNorm inside gives the bits of LayerNorm ahead, and those are ref's but for
// the last.
func (b *bench) foldedNorm() {
	for _, p := range b.target.Precisions {
		for _, s := range [][3]int{{1, 5, 3}, {33, 65, 70}, {70, 192, 40}} {
			rows, in, out := s[0], s[1], s[2]
			x, w, bias, gamma, beta := b.random(rows*in), b.random(in*out), b.random(out), b.random(in), b.random(in)
			for i := range x {
				x[i] = x[i]*0.1 + 0.5
			}
			g := gemm{p: p, x: b.floats(x), w: kernels.Pack(w, out, in, p), bias: bias, rows: rows, in: in, outs: out}
			folded, apart, normed := b.result(make([]float32, rows*out)), b.result(make([]float32, rows*out)), b.result(make([]float32, rows*in))
			g.y, g.gamma, g.beta, g.eps = folded.address(), b.floats(gamma), b.floats(beta), 1e-6
			b.gemm(g)
			b.launch("layernorm", [3]int{ceil(rows, 4), 1, 1}, 128, g.x, g.gamma, g.beta, normed.address(), g.eps, rows, in)
			g.x, g.y, g.gamma, g.beta = normed.address(), apart.address(), 0, 0
			b.gemm(g)
			what := fmt.Sprintf("gemm %v %v with LayerNorm", p, s)
			same(what, folded.read(what), apart.read(what))
			y := b.tensor(rows, in, nil)
			b.want.LayerNorm(y, b.tensor(rows, in, x), b.tensor(1, in, gamma), b.tensor(1, in, beta), 1e-6)
			limit := backendtest.LimitRoundedHidden
			if p == backends.F32 {
				limit = backendtest.LimitLinear
			}
			near(what, folded.read(what), b.oracle(y.Host, w, bias, nil, rows, in, out, p, backends.None), limit)
		}
	}
}

// hidden: what lies between two products may be stored as the second's operands; behind the
// last output are zeros.
func (b *bench) hidden() {
	const rows, in, wide = 35, 33, 77
	for _, p := range b.target.Precisions {
		if p != backends.F16 && p != backends.BF16 {
			continue
		}
		x, w1, w2 := b.random(rows*in), b.random(in*wide), b.random(in*wide)
		b1, b2, before := b.random(wide), b.random(in), b.random(rows*in)
		ld := 64 * ceil(wide, 64)
		hidden := b.result(b.random(rows * ld / 2)) // two in the place of one
		b.gemm(gemm{p: p, x: b.floats(x), w: kernels.Pack(w1, wide, in, p), bias: b1, y: hidden.address(), ldy: ld, stored: p,
			rows: rows, in: in, outs: wide, act: backends.GELU})
		words := hidden.read("hidden")
		for i := range rows * ld {
			if word := math.Float32bits(words[i/2]) >> (16 * (i % 2)) & 0xffff; i%ld >= wide && word != 0 {
				fail("hidden %v: column %d behind the last is %04x", p, i%ld, word)
			}
		}
		y := b.result(before)
		b.gemm(gemm{p: p, x: hidden.address(), ldx: ld, packed: true, w: kernels.Pack(w2, in, wide, p), bias: b2, res: y.address(), y: y.address(),
			rows: rows, in: wide, outs: in})
		middle := b.oracle(x, w1, b1, nil, rows, in, wide, p, backends.GELU)
		near(fmt.Sprintf("hidden %v", p), y.read("hidden"), b.oracle(middle, w2, b2, before, rows, wide, in, p, backends.None), backendtest.LimitRoundedHidden)
	}
	b.saturated()
}

// saturated: a half holds at most 65504.
func (b *bench) saturated() {
	y := b.result(make([]float32, 32))
	w := []float32{1e5, -1e5, 65503, float32(math.Ldexp(3, -25))}
	b.gemm(gemm{p: backends.F32, x: b.floats([]float32{1}), w: kernels.Pack(w, 4, 1, backends.F32), y: y.address(), ldy: 64,
		stored: backends.F16, rows: 1, in: 1, outs: 4})
	words := y.read("stored halves")
	got := [2]uint32{math.Float32bits(words[0]), math.Float32bits(words[1])}
	if want := [2]uint32{0xfbff_7bff, 0x0002_7bff}; got != want {
		fail("stored halves %x, want %x", got, want)
	}
}

// ranges: those that a kernel leaves are its result's, and serve as well as a look of one's own.
func (b *bench) ranges() {
	const rows, in, wide = 35, 48, 150
	x, w1, w2 := b.random(rows*in), b.random(in*wide), b.random(in*wide)
	x[5*in] = float32(math.NaN())
	hidden, left := b.result(make([]float32, rows*wide)), b.result(make([]float32, rows*2*ceil(wide, 64)))
	b.gemm(gemm{p: backends.Int8, x: b.floats(x), w: kernels.Pack(w1, wide, in, backends.Int8), y: hidden.address(), left: left.address(),
		rows: rows, in: in, outs: wide, act: backends.GELU})
	checkRanges("gemm", left.read("ranges"), hidden.read("hidden"), wide, 64)
	given, own := b.result(make([]float32, rows*in)), b.result(make([]float32, rows*in))
	g := gemm{p: backends.Int8, x: hidden.address(), w: kernels.Pack(w2, in, wide, backends.Int8), y: own.address(), rows: rows, in: wide, outs: in}
	b.gemm(g)
	g.y, g.ranges, g.parts = given.address(), left.address(), ceil(wide, 64)
	b.gemm(g)
	same("gemm by ranges", given.read("gemm"), own.read("gemm"))
	same("gemm of hidden rows", own.read("gemm"), b.oracle(hidden.read("hidden"), w2, nil, nil, rows, wide, in, backends.Int8, backends.None))
}

// checkRanges compares ranges with those of rows of n numbers, in parts of some columns.
func checkRanges(what string, ranges, of []float32, n, part int) {
	for i := range ranges {
		row, first := i/2/ceil(n, part), i/2%ceil(n, part)*part
		var least, most float32
		for _, v := range of[row*n:][:n][first:min(first+part, n)] {
			least, most = min(least, v), max(most, v)
		}
		want := [2]float32{least, most}[i%2]
		if got := ranges[i]; got != want && (got == got || want == want) {
			fail("%s: range of row %d, part %d: %v, want %v", what, row, first/part, got, want)
		}
	}
}
