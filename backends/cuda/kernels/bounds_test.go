package kernels_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"dynvit/backends"
	"dynvit/backends/cuda/kernels"
	"dynvit/vit"
)

// board is what a Jetson can do at most, by its data sheet: bytes a second, and operations a second
// of each precision's products: cores (or tensor cores' multiply-adds) · 2 · clock.
type board struct {
	name  string
	bytes float64
	peak  map[backends.Precision]float64
}

const giga = 1e9

var boards = []board{
	{"Nano", 25.6 * giga, map[backends.Precision]float64{backends.F16: 128 * 2 * 0.9216 * giga, backends.Int8: 128 * 2 * 0.9216 * giga}},
	{"Xavier NX", 59.7 * giga, map[backends.Precision]float64{backends.F16: 48 * 64 * 2 * 1.1 * giga, backends.Int8: 48 * 128 * 2 * 1.1 * giga}},
	{"Orin Nano", 68 * giga, map[backends.Precision]float64{backends.F16: 32 * 256 * 2 * 0.625 * giga, backends.Int8: 32 * 512 * 2 * 0.625 * giga}},
}

// work is a launch: bytes of its operands and result, each once, and operations.
type work struct {
	bytes, operations float64
	p                 backends.Precision
}

// estimate is a frame as launches.
type estimate struct {
	p        backends.Precision
	launches []work
}

// gemm adds a product of rows × in and out × in, whose rows take so many bytes in all.
func (e *estimate) gemm(p backends.Precision, rows, in, out, reads, writes int) {
	weights := out*in*kernels.Size(p) + 4*out
	e.launches = append(e.launches, work{float64(weights + reads + writes), 2 * float64(rows) * float64(in) * float64(out), p})
}

// block adds the five launches of one, of which answers rows leave attention.
func (e *estimate) block(c vit.Config, n, answers int) {
	d, h, hidden := c.Width, c.Hidden, 2
	if e.p == backends.Int8 {
		hidden = 4 // float32, for the rows' ranges
	}
	e.gemm(e.p, n, d, 3*d, 4*n*d, 2*3*n*d)
	heed := work{float64(2*(answers+2*n)*d + 4*answers*d), 4 * float64(answers) * float64(n) * float64(d), backends.F16}
	e.launches = append(e.launches, heed)
	e.gemm(e.p, answers, d, d, 8*answers*d, 4*answers*d)
	e.gemm(e.p, answers, d, h, 4*answers*d, hidden*answers*h)
	e.gemm(e.p, answers, h, d, (hidden*h+4*d)*answers, 4*answers*d)
}

// frame is DeiT's at a plan: embedding, blocks, predictors, head.
func frame(c vit.Config, keep []int, p backends.Precision) estimate {
	e := estimate{p: p}
	d, alive, stage := c.Width, c.Patches(), 0
	e.gemm(backends.F16, alive+1, 3*c.PatchSize*c.PatchSize, d, 4*(alive+1)*3*c.PatchSize*c.PatchSize, 2*4*(alive+1)*d)
	for i := range c.Depth {
		if stage < len(c.PruneAt) && c.PruneAt[stage] == i && keep[stage] < alive {
			for _, s := range [][2]int{{d, d}, {d, d / 2}, {d / 2, d / 4}, {d / 4, 1}} {
				e.gemm(p, alive, s[0], s[1], 4*alive*s[0], 4*alive*s[1])
			}
			alive = keep[stage]
			e.launches = append(e.launches, work{bytes: float64(8 * (alive + 1) * d)}) // gather
			stage++
		}
		answers := alive + 1
		if i == c.Depth-1 {
			answers = 1
		}
		e.block(c, alive+1, answers)
	}
	e.gemm(backends.F32, 1, d, c.Classes, 4*d, 4*c.Classes)
	return e
}

// bytes are a frame's, and seconds its bound on a board: of each launch what takes longer, bytes
// or operations.
func (e estimate) bytes() (sum float64) {
	for _, w := range e.launches {
		sum += w.bytes
	}
	return sum
}

func (e estimate) seconds(b board) (sum float64) {
	for _, w := range e.launches {
		peak := b.peak[w.p]
		if peak == 0 { // the head, in float32: its bytes take longer anywhere
			peak = b.peak[backends.F16]
		}
		sum += max(w.bytes/b.bytes, w.operations/peak)
	}
	return sum
}

// TestBounds: the estimates in docs/cuda.md are these.
func TestBounds(t *testing.T) {
	c, err := vit.Named("deit_small")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []backends.Precision{backends.F16, backends.Int8} {
		for _, ratio := range []float64{1, 0.7} {
			plan, err := vit.PlanFor(ratio, c.Patches(), len(c.PruneAt))
			if err != nil {
				t.Fatal(err)
			}
			e := frame(c, plan.Keep, p)
			line := fmt.Sprintf("| %v, keep %v | %.1f MB |", p, ratio, e.bytes()/1e6)
			for _, b := range boards {
				line += fmt.Sprintf(" %.1f ms |", 1e3*e.seconds(b))
			}
			documented(t, line)
		}
	}
}

// documented: a text is in docs/cuda.md.
func documented(t *testing.T, text string) {
	t.Helper()
	page, err := os.ReadFile("../../../docs/cuda.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), text) {
		t.Errorf("docs/cuda.md lacks %q", text)
	}
}
