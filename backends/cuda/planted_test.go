package cuda

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"dynvit/backends"
	"dynvit/backends/backendtest"
	"dynvit/backends/cuda/device"
	"dynvit/backends/cuda/kernels"
	"dynvit/backends/cuda/ptx"
	"dynvit/backends/ref"
)

// defect is one line of PTX that is replaced.
type defect struct {
	kernel, line, by string
	number           int // of the line in its family's text, from 0
}

// defects are all of a family's text: a barrier that is missing, and blocks that take
// themselves for the first of their row or column.
func defects(text string) (list []defect) {
	entry := regexp.MustCompile(`\.visible \.entry (\w+)`)
	place := regexp.MustCompile(`^(\s+mov\.u32\s+%r\d+, )%ctaid\.[xyz];$`)
	kernel := ""
	for i, line := range strings.Split(text, "\n") {
		if m := entry.FindStringSubmatch(line); m != nil {
			kernel = m[1]
		}
		switch m := place.FindStringSubmatch(line); {
		case m != nil:
			list = append(list, defect{kernel, line, m[1] + "0;", i})
		case strings.Contains(line, "bar.sync") || strings.Contains(line, "bar.warp.sync"):
			list = append(list, defect{kernel, line, "", i})
		}
	}
	return list
}

func (d defect) plant(text string) string {
	lines := strings.Split(text, "\n")
	lines[d.number] = d.by
	return strings.Join(lines, "\n")
}

// TestPlantedDefects: without any one of the barriers in the PTX, and with any one block
// number wrong, the interpreter finds a race, or the result is another.
func TestPlantedDefects(t *testing.T) {
	if testing.Short() {
		t.Skip("needs more than a short run: it interprets a hundred kernels")
	}
	target := kernels.Targets()[len(kernels.Targets())-1]
	caught := map[string]int{}
	for _, family := range kernels.Families() {
		text := string(target.PTX(family))
		for _, d := range defects(text) {
			probe := probes[d.kernel]
			if probe == nil {
				if family != "picture" {
					t.Fatalf("no probe goes through %s", d.kernel)
				}
				continue
			}
			how := planted(t, target, text, d, probe)
			caught[how]++
			if how == "" {
				t.Errorf("%s, line %d without %q: nobody noticed", d.kernel, d.number+1, strings.TrimSpace(d.line))
			}
		}
	}
	t.Logf("caught: %v", caught)
}

// planted runs a probe with a defect; it returns what caught it, or "".
func planted(t *testing.T, target kernels.Target, text string, d defect, probe probe) string {
	t.Helper()
	dev := ptx.NewDevice(device.Facts{Name: "interpreter", Major: target.Major, Minor: target.Minor, Driver: 13000}, 7)
	dev.Edit = func(s string) string {
		if s == text {
			return d.plant(s)
		}
		return s
	}
	be, err := New(dev)
	if err != nil {
		t.Fatal(err)
	}
	defer be.Close()
	got, err := probe(be)
	if err != nil {
		what := regexp.MustCompile(`race|wait for ever|nobody wrote|behind the start`).FindString(err.Error())
		if what == "" {
			t.Fatalf("%s, line %d: %v", d.kernel, d.number+1, err)
		}
		return what
	}
	want, err := probe(oracle(t))
	if err != nil {
		t.Fatal(err)
	}
	if backendtest.NMSE(got, want) > 1e-4 {
		return "another result"
	}
	return ""
}

func oracle(t *testing.T) backends.Backend {
	be, err := ref.Open(backends.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return be
}

// probe runs operations that go through all of a kernel.
type probe func(be backends.Backend) ([]float32, error)

var probes = map[string]probe{
	"gemm_f32":         products(backends.F32),
	"gemm_f16":         products(backends.F16),
	"gemm_bf16":        products(backends.BF16),
	"gemm_int8":        products(backends.Int8),
	"attention_f32":    attentions(backends.F32),
	"attention_f16":    attentions(backends.F16),
	"attention_bf16":   attentions(backends.BF16),
	"attention_scores": attentions(backends.F32),
	"layernorm":        rows,
	"mean_half":        rows,
	"max_rows":         rows,
	"topk":             tokens,
	"gather":           tokens,
	"unfold":           tokens,
}

// numbers are those of a probe, the same each time.
type numbers struct {
	be  backends.Backend
	rng *rand.Rand
	err error
}

func drawn(be backends.Backend) *numbers { return &numbers{be: be, rng: rand.New(rand.NewPCG(3, 4))} }

func (n *numbers) tensor(rows, cols int) backends.Tensor {
	x, err := n.be.Alloc(rows, cols)
	if err != nil {
		n.err = err
		return x
	}
	data := make([]float32, rows*cols)
	for i := range data {
		data[i] = float32(n.rng.NormFloat64())
	}
	n.be.Upload(x, data)
	return x
}

func (n *numbers) weight(out, in int, p backends.Precision) backends.Weight {
	data := make([]float32, out*in)
	for i := range data {
		data[i] = float32(n.rng.NormFloat64()) / 10
	}
	w, err := n.be.Pack(data, out, in, data[:out], p)
	if err != nil {
		n.err = err
	}
	return w
}

// recorded does what is done as a session does it: recorded, then replayed.
func (n *numbers) recorded(do func()) {
	r, ok := n.be.(backends.Recorder)
	if !ok {
		do()
		return
	}
	recording := r.Record(do)
	recording.Replay()
	recording.Close()
}

func (n *numbers) read(tensors ...backends.Tensor) (all []float32, err error) {
	for _, x := range tensors {
		data := make([]float32, x.Rows*x.Cols)
		if err := n.be.Download(data, x); err != nil {
			return nil, err
		}
		all = append(all, data...)
	}
	return all, n.err
}

// products: a LayerNorm and two products behind it, recorded, so that they are folded.
func products(p backends.Precision) probe {
	return func(be backends.Backend) ([]float32, error) {
		n := drawn(be)
		const rows, in, out = 70, 100, 130
		x, gamma, beta := n.tensor(rows, in), n.tensor(1, in), n.tensor(1, in)
		norm, y, z := n.tensor(rows, in), n.tensor(rows, out), n.tensor(rows, in)
		w1, w2 := n.weight(out, in, p), n.weight(in, out, p)
		if n.err != nil {
			return nil, n.err
		}
		n.recorded(func() {
			be.LayerNorm(norm, x, gamma, beta, 1e-6)
			be.Linear(y, norm, w1, backends.GELU, backends.Tensor{})
			be.Linear(z, y, w2, backends.None, x)
			be.LayerNorm(norm, z, gamma, beta, 1e-6)
		})
		return n.read(y, z)
	}
}

// attentions: heads of more columns than a strip has, of tokens that are held at once and of
// more, by either score; and without one, a product of bytes behind it, to which
// ranges are left.
func attentions(p backends.Precision) probe {
	return func(be backends.Backend) (all []float32, err error) {
		for _, c := range []struct {
			tokens, queries, heads int
			by                     backends.Score
		}{{70, 70, 2, backends.Received}, {258, 17, 2, backends.CLS}, {20, 20, 2, 0}} {
			n := drawn(be)
			cols := c.heads * 66
			qkv, dst, out := n.tensor(c.tokens, 3*cols), n.tensor(c.queries, cols), n.tensor(c.queries, 3)
			score := backends.Tensor{}
			if c.by != 0 {
				score = n.tensor(c.tokens-1, 1)
			}
			w := n.weight(3, cols, backends.Int8)
			if n.err != nil {
				return nil, n.err
			}
			n.recorded(func() {
				be.Attention(dst, qkv, c.heads, p, score, c.by)
				be.Linear(out, dst, w, backends.None, backends.Tensor{})
			})
			one, err := n.read(dst, score, out)
			if err != nil {
				return nil, err
			}
			all = append(all, one...)
		}
		return all, nil
	}
}

// rows: a LayerNorm that stands alone, means and maxima of columns.
func rows(be backends.Backend) ([]float32, error) {
	n := drawn(be)
	x, y, gamma, beta, most := n.tensor(70, 100), n.tensor(70, 100), n.tensor(1, 100), n.tensor(1, 100), n.tensor(1, 100)
	if n.err != nil {
		return nil, n.err
	}
	be.LayerNorm(y, x, gamma, beta, 1e-6)
	be.MaxRows(most, y)
	be.MeanHalf(x)
	return n.read(x, y, most)
}

// tokens: the best of more scores than a block has threads, their rows, and a convolution's.
func tokens(be backends.Backend) ([]float32, error) {
	n := drawn(be)
	x, score, kept := n.tensor(301, 150), n.tensor(300, 1), n.tensor(120, 150)
	g := backends.Conv{H: 9, W: 9, Kernel: 3, Stride: 2, Pad: 1}
	picture, patches := n.tensor(81, 3), n.tensor(25, 27)
	index, err := be.AllocIndex(120)
	if err != nil {
		return nil, err
	}
	if n.err != nil {
		return nil, n.err
	}
	be.TopK(index, score)
	be.Gather(kept, x, index)
	be.Unfold(patches, picture, g, 0)
	return n.read(kept, patches)
}
