// Package backendtest holds every backend to package ref: each operation, on the
// same inputs, at sizes around the tiles, in each precision that the backend
// carries. A backend's own test is one call of Run.
package backendtest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"dynvit/backends"
	"dynvit/backends/ref"
)

// Open opens the backend under test.
type Open func(backends.Options) (backends.Backend, error)

// Limits are the largest normalised mean square errors, Σ(got-want)²/Σwant²,
// per operation. A bf16 that truncates instead of rounding gives 1e-5.
const (
	LimitLinear    = 1e-10
	LimitNorm      = 1e-10
	LimitAttention = 1e-10 // f32; scores, too
	// Rounded operands: what differs in its last bit, an exponential or GELU, may round to
	// the neighbour, one in some thousands, and a code in int8 to the next.
	LimitRoundedAttention = 1e-7
	LimitRoundedHidden    = 1e-6
)

// Run checks everything that package backends promises.
func Run(t *testing.T, open Open) {
	s := suite{open: open}
	s.results(t)
	t.Run("Allocations", s.allocations)
	t.Run("FirstFrameAllocations", s.firstFrame)
}

// Results is Run but for what a frame allocates, and of variants of a large shape, which differ in what small ones show as
// well, it tries one each: for a device that is a program of ours, whose kernels are held to ref one by one too.
func Results(t *testing.T, open Open) { suite{open: open, few: true}.results(t) }

func (s suite) results(t *testing.T) {
	for _, c := range []struct {
		name string
		test func(*testing.T)
	}{
		{"Linear", s.linear}, {"LinearNaN", s.linearNaN}, {"Int8Codes", s.int8Codes}, {"Int8Extremes", s.int8Extremes}, {"LayerNorm", s.layerNorm},
		{"Attention", s.attention}, {"SelfAttention", s.selfAttention}, {"MLP", s.mlp}, {"NoRows", s.noRows}, {"Predictor", s.meanHalf}, {"TopK", s.topK}, {"Gather", s.gather},
		{"Match", s.match}, {"Merge", s.merge}, {"Unfold", s.unfold}, {"MaxRows", s.maxRows}, {"Resize", s.resize}, {"Facts", s.facts}, {"Threads", s.threads}, {"Recorder", s.recorder}, {"Close", s.close},
	} {
		t.Run(c.name, c.test)
	}
}

type suite struct {
	open Open
	few  bool // of a large shape one variant
}

// large is the rows from which a shape is.
const large = 64

// tries reports whether variant number i of a shape's so many is tried; the next shape's is another.
func (s suite) tries(rows, shape, i, variants int) bool {
	return !s.few || rows < large || shape%variants == i
}

// pair is the backend under test and the oracle, fed alike.
type pair struct {
	t         *testing.T
	got, want backends.Backend
	rng       *rand.Rand
}

func (s suite) pair(t *testing.T) *pair {
	t.Helper()
	got, err := s.open(backends.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { got.Close() })
	oracle := ref.Open
	if got.Facts().HalfSums {
		oracle = ref.OpenHalfSums
	}
	want, err := oracle(backends.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &pair{t, got, want, rand.New(rand.NewPCG(1, 2))}
}

func (p *pair) random(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(p.rng.NormFloat64())
	}
	return x
}

// twin is one matrix on both backends, with guard rows of a known value around it
// on the one under test.
type twin struct {
	p          *pair
	got, want  backends.Tensor
	whole      backends.Tensor
	rows, cols int
}

const guard = 12345.5

func (p *pair) tensor(rows, cols int, data []float32) twin {
	p.t.Helper()
	whole, err := p.got.Alloc(rows+2, cols)
	if err != nil {
		p.t.Fatal(err)
	}
	filled := slices.Repeat([]float32{guard}, (rows+2)*cols)
	if data != nil {
		copy(filled[cols:], data)
	}
	p.got.Upload(whole, filled)
	want, err := p.want.Alloc(rows, cols)
	if err != nil {
		p.t.Fatal(err)
	}
	p.want.Upload(want, filled[cols:(rows+1)*cols])
	return twin{p, whole.View(1, rows+1), want, whole, rows, cols}
}

// compare downloads both and checks error and guards.
func (w twin) compare(what string, limit float64) {
	w.p.t.Helper()
	all := make([]float32, len(w.want.Host)+2*w.cols)
	if err := w.p.got.Download(all, w.whole); err != nil {
		w.p.t.Fatal(what, err)
	}
	for i := range w.cols {
		if all[i] != guard || all[len(all)-1-i] != guard {
			w.p.t.Fatalf("%s: wrote outside its tensor", what)
		}
	}
	if e := NMSE(all[w.cols:len(all)-w.cols], w.want.Host); !(e <= limit) {
		w.p.t.Errorf("%s: error %.2g, want at most %.0e", what, e, limit)
	}
}

// NMSE is Σ(got-want)²/Σwant². NaN and Inf must stand in the same places and
// count as equal there; else the result is Inf.
func NMSE(got, want []float32) float64 {
	difference, size := 0.0, 1e-300
	for i, w := range want {
		g := got[i]
		if w-w != 0 || g-g != 0 {
			if w != w && g != g || w == g {
				continue
			}
			return math.Inf(1)
		}
		difference += float64(g-w) * float64(g-w)
		size += float64(w) * float64(w)
	}
	return difference / size
}

// linearShapes are rows, inputs, outputs: around tiles, odd ones, and DeiT-T's.
var linearShapes = [][3]int{
	{1, 1, 1}, {1, 192, 1000}, {2, 3, 5}, {3, 64, 7}, {15, 33, 17}, {16, 48, 1}, {17, 64, 64},
	{31, 65, 30}, {33, 192, 66}, {64, 16, 129}, {68, 192, 576}, {197, 96, 48},
}

func (s suite) linear(t *testing.T) {
	p := s.pair(t)
	for i, precision := range p.got.Facts().Precisions {
		for j, shape := range linearShapes {
			acts := []backends.Act{backends.None, backends.GELU, backends.ReLU, backends.QuickGELU, backends.TanhGELU}
			for k, act := range acts {
				if s.tries(shape[0], i+j, k, len(acts)) {
					p.oneLinear(precision, shape, act, act == backends.GELU)
				} else { // the next has the same numbers whoever is tried
					p.random((shape[0]+1)*shape[2] + (shape[0]+shape[2])*shape[1])
				}
			}
		}
	}
}

func (p *pair) oneLinear(precision backends.Precision, shape [3]int, act backends.Act, inPlace bool) {
	p.t.Helper()
	rows, in, out := shape[0], shape[1], shape[2]
	w, bias := p.random(in*out), p.random(out)
	gotW, err := p.got.Pack(w, out, in, bias, precision)
	if err != nil {
		p.t.Fatal(err)
	}
	wantW, err := p.want.Pack(w, out, in, bias, precision)
	if err != nil {
		p.t.Fatal(err)
	}
	if o, i := gotW.Dims(); o != out || i != in || gotW.Precision() != precision {
		p.t.Errorf("weight says [%d, %d] %v", o, i, gotW.Precision())
	}
	clear(w) // Pack must have copied
	x, dst := p.tensor(rows, in, p.random(rows*in)), p.tensor(rows, out, p.random(rows*out))
	res := twin{}
	if inPlace {
		res = dst
	}
	p.got.Linear(dst.got, x.got, gotW, act, res.got)
	p.want.Linear(dst.want, x.want, wantW, act, res.want)
	dst.compare(fmt.Sprintf("Linear %v %v act %d", precision, shape, act), LimitLinear)
}

// linearNaN: a row that is not finite spoils itself alone.
func (s suite) linearNaN(t *testing.T) {
	p := s.pair(t)
	for _, precision := range p.got.Facts().Precisions {
		data := p.random(5 * 16)
		data[16+3], data[48+5] = float32(math.NaN()), float32(math.Inf(1))
		w := p.random(16 * 8)
		gotW, err := p.got.Pack(w, 8, 16, nil, precision)
		if err != nil {
			t.Fatal(err)
		}
		x, dst := p.tensor(5, 16, data), p.tensor(5, 8, nil)
		p.got.Linear(dst.got, x.got, gotW, backends.None, backends.Tensor{})
		out := make([]float32, 5*8)
		if err := p.got.Download(out, dst.got); err != nil {
			t.Fatal(err)
		}
		for i, v := range out {
			broken := i/8 == 1 || (i/8 == 3 && precision == backends.Int8)
			if i/8 != 3 && broken != (v != v) || broken && v == v {
				t.Errorf("%v row %d: %v", precision, i/8, v)
			}
		}
		w[3] = float32(math.NaN())
		if _, err := p.got.Pack(w, 8, 16, nil, precision); err == nil {
			t.Errorf("%v: a NaN was packed", precision)
		}
	}
}

// int8Codes: with an identity of 127s as the weight, the outputs are the codes times known
// scales, so every code shows.
func (s suite) int8Codes(t *testing.T) {
	p := s.pair(t)
	if !slices.Contains(p.got.Facts().Precisions, backends.Int8) {
		t.Skip("the backend carries no int8")
	}
	const n = 96
	w := make([]float32, n*n)
	for i := range n {
		w[i*n+i] = 127
	}
	gotW, err := p.got.Pack(w, n, n, nil, backends.Int8)
	if err != nil {
		t.Fatal(err)
	}
	data := p.random(7 * n)
	clear(data[:n])     // a row of zeros
	data[2*n+1] = 1e-31 // among ordinary ones
	for i := range n {  // ties: a range of 255, so that x·i is x
		data[3*n+i] = float32(i) + 0.5
	}
	data[3*n], data[3*n+1] = 154.5, -100.5
	x, dst := p.tensor(7, n, data), p.tensor(7, n, nil)
	p.got.Linear(dst.got, x.got, gotW, backends.None, backends.Tensor{})
	out := make([]float32, 7*n)
	if err := p.got.Download(out, dst.got); err != nil {
		t.Fatal(err)
	}
	codes := make([]uint8, n)
	for r := range 7 {
		scale, zero, _ := backends.QuantizeInput(codes, data[r*n:(r+1)*n])
		for i, c := range codes {
			if want := backends.FMA32(float32((int32(c)-int32(zero))*127), scale, 0); out[r*n+i] != want {
				t.Errorf("row %d column %d: %v, want %v (code %d)", r, i, out[r*n+i], want, c)
			}
		}
	}
}

// int8Extremes: sums of codes that are as far from zero as they get are exact, whatever
// their signs.
func (s suite) int8Extremes(t *testing.T) {
	p := s.pair(t)
	if !slices.Contains(p.got.Facts().Precisions, backends.Int8) {
		t.Skip("the backend carries no int8")
	}
	signs := func(period, i int) float32 { return 1 - 2*float32(i/period%2) }
	periods := []int{1 << 20, 1, 2, 3, 4, 8}
	rows, outputs := len(periods), 3*len(periods)
	for _, n := range []int{1, 6, 64, 771, 3072} {
		w, data := make([]float32, outputs*n), make([]float32, rows*n)
		for i := range w {
			w[i] = signs(periods[i/n%rows], i%n)
		}
		for i := range data {
			data[i] = signs(periods[i/n], i%n)
		}
		weight, err := p.got.Pack(w, outputs, n, nil, backends.Int8)
		if err != nil {
			t.Fatal(err)
		}
		x, dst := p.tensor(rows, n, data), p.tensor(rows, outputs, nil)
		p.got.Linear(dst.got, x.got, weight, backends.None, backends.Tensor{})
		out := make([]float32, rows*outputs)
		if err := p.got.Download(out, dst.got); err != nil {
			t.Fatal(err)
		}
		unit, codes := float32(1)/127, make([]uint8, n)
		for at, v := range out {
			r, j, sum := at/outputs, at%outputs, int32(0)
			scale, zero, _ := backends.QuantizeInput(codes, data[r*n:][:n])
			for i, q := range codes {
				sum += (int32(q) - int32(zero)) * int32(127*w[j*n+i])
			}
			if want := backends.FMA32(float32(sum), scale*unit, 0); v != want {
				t.Errorf("%d inputs: [%d, %d] is %v, want %v", n, r, j, v, want)
			}
		}
	}
}

func (s suite) layerNorm(t *testing.T) {
	p := s.pair(t)
	for _, shape := range [][2]int{{1, 1}, {1, 192}, {15, 33}, {17, 64}, {197, 192}} {
		for _, spread := range []float32{1, 0.0031623} { // variance 1 and 1e-5
			for _, eps := range []float32{1e-6, 1e-5} {
				rows, c := shape[0], shape[1]
				data := p.random(rows * c)
				for i := range data {
					data[i] = data[i]*spread + 0.5
				}
				x, gamma, beta := p.tensor(rows, c, data), p.tensor(1, c, p.random(c)), p.tensor(1, c, p.random(c))
				p.got.LayerNorm(x.got, x.got, gamma.got, beta.got, eps)
				p.want.LayerNorm(x.want, x.want, gamma.want, beta.want, eps)
				x.compare(fmt.Sprintf("LayerNorm %v spread %v eps %v", shape, spread, eps), LimitNorm)
			}
		}
	}
}

func (s suite) attention(t *testing.T) {
	p := s.pair(t)
	for i, precision := range p.got.Facts().Precisions {
		if precision == backends.Int8 {
			continue
		}
		limit := LimitAttention
		if precision != backends.F32 {
			limit = LimitRoundedAttention
		}
		for _, c := range []struct{ n, queries, heads, width int }{
			{1, 1, 1, 4}, {2, 2, 3, 5}, {17, 17, 2, 32}, {65, 1, 2, 64}, {70, 33, 1, 33}, {197, 197, 1, 64},
		} {
			for j, scored := range []struct {
				by    backends.Score
				rows  int
				wants int // queries, but where it is 0
			}{
				{backends.NoScore, c.n - 1, 0}, {backends.CLS, c.n - 1, 0}, {backends.Received, c.n - 1, c.n}, {backends.Received, c.n, c.n},
			} {
				if c.n == 1 || scored.wants != 0 && c.queries != scored.wants {
					continue
				}
				d := c.heads * c.width
				qkv, dst := p.tensor(c.n, 3*d, p.random(c.n*3*d)), p.tensor(c.queries, d, nil)
				score := p.tensor(scored.rows, 1, nil)
				if scored.by == backends.NoScore {
					score.got, score.want = backends.Tensor{}, backends.Tensor{}
				}
				for k, sizes := range p.sizes(c.n) {
					if !s.tries(c.n, i+j, k, 2) {
						continue
					}
					p.got.Attention(dst.got, qkv.got, sizes.got, c.heads, precision, score.got, scored.by)
					p.want.Attention(dst.want, qkv.want, sizes.want, c.heads, precision, score.want, scored.by)
					what := fmt.Sprintf("Attention %v %+v score %d of %d rows, sized %v", precision, c, scored.by, scored.rows, !sizes.got.IsZero())
					dst.compare(what, limit)
					if scored.by != backends.NoScore {
						score.compare(what+" scores", limit)
					}
				}
			}
		}
	}
}

// selfAttention is Linear and Attention, one after the other.
func (s suite) selfAttention(t *testing.T) {
	p := s.pair(t)
	fuser, ok := p.got.(backends.Fuser)
	if !ok {
		t.Skip("the backend fuses nothing")
	}
	for i, precision := range p.got.Facts().Precisions {
		products := precision
		if precision == backends.Int8 {
			products = backends.BF16
		}
		if !slices.Contains(p.got.Facts().Precisions, products) {
			continue
		}
		for j, c := range []struct{ n, queries, heads, width int }{
			{1, 1, 1, 32}, {17, 17, 3, 32}, {33, 1, 2, 64}, {40, 29, 2, 33}, {97, 97, 2, 64}, {138, 138, 1, 96},
		} {
			d := c.heads * c.width
			w, bias := p.random(3*d*d), p.random(3*d)
			for i := range w {
				w[i] *= 1 / float32(math.Sqrt(float64(d))) // else one key has all the weight
			}
			gotW, err := p.got.Pack(w, 3*d, d, bias, precision)
			if err != nil {
				t.Fatal(err)
			}
			wantW, err := p.want.Pack(w, 3*d, d, bias, precision)
			if err != nil {
				t.Fatal(err)
			}
			x, dst, qkv := p.tensor(c.n, d, p.random(c.n*d)), p.tensor(c.queries, d, nil), p.tensor(c.n, 3*d, nil)
			limit := LimitAttention
			if products != backends.F32 {
				limit = LimitRoundedAttention
			}
			for k, sizes := range p.sizes(c.n) {
				if !s.tries(c.n, i+j, k, 2) {
					continue
				}
				fuser.SelfAttention(dst.got, x.got, gotW, sizes.got, c.heads, products)
				p.want.Linear(qkv.want, x.want, wantW, backends.None, backends.Tensor{})
				p.want.Attention(dst.want, qkv.want, sizes.want, c.heads, products, backends.Tensor{}, backends.NoScore)
				dst.compare(fmt.Sprintf("SelfAttention %v %+v, sized %v", precision, c, !sizes.got.IsZero()), limit)
			}
		}
	}
}

// mlp is Linear twice.
func (s suite) mlp(t *testing.T) {
	p := s.pair(t)
	fuser, ok := p.got.(backends.Fuser)
	if !ok {
		t.Skip("the backend fuses nothing")
	}
	for _, precision := range p.got.Facts().Precisions {
		for _, c := range []struct{ n, in, hidden int }{{1, 1, 1}, {17, 33, 50}, {43, 64, 256}} {
			var got, want [2]backends.Weight
			for i, shape := range [][2]int{{c.hidden, c.in}, {c.in, c.hidden}} {
				w, bias := p.random(shape[0]*shape[1]), p.random(shape[0])
				var err, err2 error
				got[i], err = p.got.Pack(w, shape[0], shape[1], bias, precision)
				want[i], err2 = p.want.Pack(w, shape[0], shape[1], bias, precision)
				if err != nil || err2 != nil {
					t.Fatal(err, err2)
				}
			}
			x, dst, hidden := p.tensor(c.n, c.in, p.random(c.n*c.in)), p.tensor(c.n, c.in, p.random(c.n*c.in)), p.tensor(c.n, c.hidden, nil)
			fuser.MLP(dst.got, x.got, got[0], got[1])
			p.want.Linear(hidden.want, x.want, want[0], backends.GELU, backends.Tensor{})
			p.want.Linear(dst.want, hidden.want, want[1], backends.None, dst.want)
			dst.compare(fmt.Sprintf("MLP %v %+v", precision, c), LimitRoundedHidden)
		}
	}
}

// noRows: what has no rows, or no queries, writes nothing.
func (s suite) noRows(t *testing.T) {
	p := s.pair(t)
	const width, heads = 32, 2
	x, none, gamma := p.tensor(5, width, nil), p.tensor(0, width, nil), p.tensor(1, width, nil)
	p.got.LayerNorm(none.got, none.got, gamma.got, gamma.got, 1e-6)
	p.got.MeanHalf(none.got)
	for _, precision := range p.got.Facts().Precisions {
		pack := func(out int) backends.Weight {
			w, err := p.got.Pack(p.random(out*width), out, width, nil, precision)
			if err != nil {
				t.Fatal(err)
			}
			return w
		}
		square, qkv := pack(width), p.tensor(5, 3*width, nil)
		p.got.Linear(none.got, none.got, square, backends.GELU, none.got)
		if precision != backends.Int8 {
			p.got.Attention(none.got, qkv.got, backends.Tensor{}, heads, precision, backends.Tensor{}, backends.NoScore)
		}
		if fuser, ok := p.got.(backends.Fuser); ok {
			fuser.SelfAttention(none.got, x.got, pack(3*width), backends.Tensor{}, heads, backends.F32)
			fuser.MLP(none.got, none.got, square, square)
		}
	}
	none.compare("no rows", 0)
}

func (s suite) meanHalf(t *testing.T) {
	p := s.pair(t)
	for _, shape := range [][2]int{{1, 2}, {15, 6}, {196, 192}} {
		x := p.tensor(shape[0], shape[1], p.random(shape[0]*shape[1]))
		p.got.MeanHalf(x.got)
		p.want.MeanHalf(x.want)
		x.compare(fmt.Sprintf("MeanHalf %v", shape), LimitNorm)
	}
}

func (s suite) topK(t *testing.T) {
	p := s.pair(t)
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	cases := [][]float32{{1}, {2, 2, 2, 2}, {nan, 1, -inf, inf, nan, 0}, {0, float32(math.Copysign(0, -1)), 0}, p.random(196)}
	many := p.random(577)
	for i := range many {
		many[i] = float32(int(many[i] * 3)) // many ties
	}
	for _, scores := range append(cases, many) {
		score := p.tensor(len(scores), 1, scores)
		for keep := 0; keep <= len(scores); keep += 1 + len(scores)/9 {
			got, want := p.index(p.got, keep+1), p.index(p.want, keep+1)
			p.got.TopK(got, score.got)
			p.want.TopK(want, score.want)
			a, b := make([]int32, keep+1), make([]int32, keep+1)
			if err := p.got.DownloadIndex(a, got); err != nil {
				t.Fatal(err)
			}
			if err := p.want.DownloadIndex(b, want); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(a, b) {
				t.Errorf("TopK %d of %d: %v, want %v", keep, len(scores), a, b)
			}
		}
	}
}

func (p *pair) index(be backends.Backend, n int) backends.Index {
	p.t.Helper()
	x, err := be.AllocIndex(n)
	if err != nil {
		p.t.Fatal(err)
	}
	return x
}

// gather: rows move; a number out of range is an error at the next download, once.
func (s suite) gather(t *testing.T) {
	p := s.pair(t)
	x, dst := p.tensor(9, 5, p.random(45)), p.tensor(4, 5, nil)
	got, want := p.index(p.got, 9).First(4), p.index(p.want, 4)
	p.got.UploadIndex(got, []int32{0, 3, 4, 8})
	p.want.UploadIndex(want, []int32{0, 3, 4, 8})
	p.got.Gather(dst.got, x.got, got)
	p.want.Gather(dst.want, x.want, want)
	dst.compare("Gather", 0)
	p.got.UploadIndex(got, []int32{0, 1, 2, 9})
	p.got.Gather(dst.got, x.got, got)
	out := make([]float32, 20)
	if err := p.got.Download(out, dst.got); err == nil {
		t.Error("row 9 of 9 is no error")
	}
	if err := p.got.Download(out, dst.got); err != nil {
		t.Error("an error is reported twice:", err)
	}
}

func (s suite) unfold(t *testing.T) {
	p := s.pair(t)
	for _, g := range []backends.Conv{
		{H: 7, W: 9, Kernel: 3, Stride: 1, Pad: 1}, {H: 16, W: 16, Kernel: 7, Stride: 2, Pad: 3},
		{H: 8, W: 8, Kernel: 4, Stride: 4}, {H: 1, W: 1, Kernel: 3, Stride: 1, Pad: 1}, {H: 5, W: 2, Kernel: 7, Stride: 2, Pad: 3},
	} {
		for _, c := range []int{1, 3, 16} {
			h, w := g.Out()
			from := h * w / 3
			src := p.tensor(g.H*g.W, c, p.random(g.H*g.W*c))
			dst := p.tensor(h*w-from, g.Kernel*g.Kernel*c, nil)
			p.got.Unfold(dst.got, src.got, g, from)
			p.want.Unfold(dst.want, src.want, g, from)
			dst.compare(fmt.Sprintf("Unfold %+v, %d channels", g, c), 0)
		}
	}
}

func (s suite) maxRows(t *testing.T) {
	p := s.pair(t)
	data := p.random(13 * 6)
	data[14] = float32(math.NaN())
	for _, rows := range []int{1, 13} {
		x, dst := p.tensor(rows, 6, data[:rows*6]), p.tensor(1, 6, nil)
		p.got.MaxRows(dst.got, x.got)
		p.want.MaxRows(dst.want, x.want)
		dst.compare(fmt.Sprintf("MaxRows of %d", rows), 0)
	}
}

// threads: one to three threads give the same bits, one and two of a device of its own.
func (s suite) threads(t *testing.T) {
	var first []float32
	most := 3
	if s.few {
		most = 2
	}
	for n := 1; n <= most; n++ {
		be, err := s.open(backends.Options{Threads: n})
		if err != nil {
			t.Fatal(err)
		}
		f := newFrame(t, be, backends.F32)
		f.run()
		out := make([]float32, f.dst.Rows*f.dst.Cols+f.score.Rows)
		if err := be.Download(out[:f.dst.Rows*f.dst.Cols], f.dst); err != nil {
			t.Fatal(err)
		}
		if err := be.Download(out[f.dst.Rows*f.dst.Cols:], f.score); err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = out
		}
		if !slices.Equal(out, first) {
			t.Errorf("%d threads: other bits than one", n)
		}
		be.Close()
	}
}

// close: twice is fine, and the goroutines are gone.
func (s suite) close(t *testing.T) {
	before := runtime.NumGoroutine()
	be, err := s.open(backends.Options{Threads: 4})
	if err != nil {
		t.Fatal(err)
	}
	newFrame(t, be, backends.F32).run()
	for range 2 {
		if err := be.Close(); err != nil {
			t.Error(err)
		}
	}
	deadline := time.Now().Add(5 * time.Second)
	for runtime.NumGoroutine() > before && time.Now().Before(deadline) {
		runtime.Gosched()
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines, %d before", n, before)
	}
}

// Bench measures Linear at a model's shapes in each precision.
func Bench(b *testing.B, open Open) {
	be, err := open(backends.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer be.Close()
	for _, p := range be.Facts().Precisions {
		for _, shape := range [][3]int{{197, 192, 576}, {197, 192, 768}, {197, 768, 192}, {68, 192, 576}, {1, 192, 1000}} {
			b.Run(fmt.Sprintf("%v/%dx%dx%d", p, shape[0], shape[1], shape[2]), func(b *testing.B) {
				rows, in, out := shape[0], shape[1], shape[2]
				w, err := be.Pack(make([]float32, in*out), out, in, nil, p)
				if err != nil {
					b.Fatal(err)
				}
				x, err := be.Alloc(rows, in)
				if err != nil {
					b.Fatal(err)
				}
				dst, err := be.Alloc(rows, out)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				for b.Loop() {
					be.Linear(dst, x, w, backends.None, backends.Tensor{})
				}
				b.ReportMetric(2*float64(rows*in*out)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GOP/s")
			})
		}
	}
}
