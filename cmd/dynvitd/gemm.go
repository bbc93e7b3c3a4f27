package main

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"dynvit/backends"
	"dynvit/backends/all"
)

// gemmRate is the JSON of one shape: [m, k] rows by an [n, k] weight.
type gemmRate struct {
	Precision string  `json:"precision"`
	M         int     `json:"m"`
	K         int     `json:"k"`
	N         int     `json:"n"`
	Threads   int     `json:"threads"`
	GOPS      float64 `json:"gops_per_s"`
	Peak      float64 `json:"peak_gops_per_s"`
	Fraction  float64 `json:"peak_fraction"`
}

// gemmFlags choose the shapes: a block's four layers at a width, by token rows.
type gemmFlags struct {
	backend    string
	precisions []string
	threads    []int
	rows       []int
	width      int
	seconds    float64
	json       bool
}

func newBenchGEMM() *cobra.Command {
	var f gemmFlags
	c := &cobra.Command{
		Use:   "gemm",
		Short: "Measure a block's matrix products against the peak of the registers",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	flags := c.Flags()
	flags.StringVar(&f.backend, "backend", "auto", "auto, or a `name` that dynvitd devices lists")
	flags.StringArrayVar(&f.precisions, "precision", nil, "precision, may be repeated (default: all that the backend has)")
	flags.IntSliceVar(&f.threads, "threads", []int{1}, "threads, may be repeated")
	flags.IntSliceVar(&f.rows, "rows", []int{197, 138, 97, 68}, "token rows")
	flags.IntVar(&f.width, "width", 384, "width of the model: 192 is DeiT-T, 384 DeiT-S, 768 DeiT-B")
	flags.Float64Var(&f.seconds, "seconds", 0.5, "seconds a shape")
	flags.BoolVar(&f.json, "json", false, "JSON list on stdout")
	return c
}

func (f *gemmFlags) run(c *cobra.Command) error {
	if err := f.check(); err != nil {
		return err
	}
	list := []gemmRate{} // a list also where it is empty
	for _, threads := range f.threads {
		rates, err := f.measure(c, threads)
		if err != nil {
			return err
		}
		list = append(list, rates...)
	}
	if f.json {
		return printJSON(c.OutOrStdout(), list)
	}
	for _, r := range list {
		printLine(c.OutOrStdout(), "%-5s %4d × %4d × %4d, %d threads: %7.1f of %7.1f GOP/s, %3.0f %%", r.Precision, r.M, r.K, r.N, r.Threads, r.GOPS, r.Peak, 100*r.Fraction)
	}
	return nil
}

func (f *gemmFlags) check() error {
	if !(f.seconds > 0) || f.width < 1 || f.width > 1<<14 {
		return usageError{fmt.Errorf("bench gemm: --seconds %v, --width %d: want above 0, 1 to 16384", f.seconds, f.width)}
	}
	for _, n := range f.rows {
		if n < 1 || n > 1<<14 {
			return usageError{fmt.Errorf("bench gemm: --rows %d: want 1 to 16384", n)}
		}
	}
	for _, n := range f.threads {
		if n < 1 || n > 1024 {
			return usageError{fmt.Errorf("bench gemm: --threads %d: want 1 to 1024", n)}
		}
	}
	return checkBackend(f.backend)
}

// measure opens the backend with so many threads and measures all shapes.
func (f *gemmFlags) measure(c *cobra.Command, threads int) ([]gemmRate, error) {
	be, _, err := backends.Pick(all.List(), f.backend, backends.Options{Threads: threads})
	if err != nil {
		return nil, err
	}
	defer be.Close()
	precisions, err := f.chosen(be)
	if err != nil {
		return nil, err
	}
	var list []gemmRate
	for _, p := range precisions {
		for _, m := range f.rows {
			for _, shape := range [][2]int{{f.width, 3 * f.width}, {f.width, f.width}, {f.width, 4 * f.width}, {4 * f.width, f.width}} {
				if err := c.Context().Err(); err != nil {
					return nil, err
				}
				r := gemmRate{Precision: p.String(), M: m, K: shape[0], N: shape[1], Threads: threads}
				if err := r.measure(be, p, f.seconds); err != nil {
					return nil, err
				}
				list = append(list, r)
			}
		}
	}
	return list, nil
}

// chosen are the precisions to measure.
func (f *gemmFlags) chosen(be backends.Backend) ([]backends.Precision, error) {
	if len(f.precisions) == 0 {
		return be.Facts().Precisions, nil
	}
	var list []backends.Precision
	for _, name := range f.precisions {
		p, err := backends.ParsePrecision(name)
		if err != nil {
			return nil, usageError{fmt.Errorf("--%w", err)}
		}
		if facts := be.Facts(); !slices.Contains(facts.Precisions, p) {
			return nil, fmt.Errorf("backend %s: no kernels for %v", facts.Name, p)
		}
		list = append(list, p)
	}
	return list, nil
}

// measure takes turns between the product, with its rounding or quantising, bias
// and store, and the peak, so that both see the same clock; the medians count.
func (r *gemmRate) measure(be backends.Backend, p backends.Precision, seconds float64) error {
	g, err := newGEMM(be, p, r.M, r.K, r.N)
	if err != nil {
		return err
	}
	prober, _ := be.(backends.Prober)
	once := g.time(1)
	calls := max(1, int(0.02/once.Seconds())) // 20 ms a turn: far above the clock's grain
	var rates, peaks []float64
	for end := time.Now().Add(time.Duration(seconds * float64(time.Second))); len(rates) < 3 || time.Now().Before(end); {
		rates = append(rates, 2e-9*float64(r.M)*float64(r.K)*float64(r.N)*float64(calls)/g.time(calls).Seconds())
		if prober != nil {
			peaks = append(peaks, prober.Peak(p)/1e9)
		}
	}
	r.GOPS, r.Peak = median(rates), median(peaks)
	if r.Peak > 0 {
		r.Fraction = r.GOPS / r.Peak
	}
	return nil
}

func median(list []float64) float64 {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	return list[len(list)/2]
}

// gemm is one product with its memory.
type gemm struct {
	be   backends.Backend
	x, y backends.Tensor
	w    backends.Weight
	last []float32
}

func newGEMM(be backends.Backend, p backends.Precision, m, k, n int) (*gemm, error) {
	g := &gemm{be: be, last: make([]float32, n)}
	var err error
	if g.w, err = be.Pack(uniform(n*k), n, k, uniform(n), p); err != nil {
		return nil, err
	}
	if g.x, err = be.Alloc(m, k); err != nil {
		return nil, err
	}
	if g.y, err = be.Alloc(m, n); err != nil {
		return nil, err
	}
	be.Upload(g.x, uniform(m*k))
	return g, nil
}

// uniform is n numbers between -1 and 1, the same each time.
func uniform(n int) []float32 {
	rnd := rand.New(rand.NewPCG(1, uint64(n)))
	list := make([]float32, n)
	for i := range list {
		list[i] = 2*rnd.Float32() - 1
	}
	return list
}

// time is how long so many products take, until the last row is there.
func (g *gemm) time(calls int) time.Duration {
	runtime.GC() // its work must not fall into the measurement
	start := time.Now()
	for range calls {
		g.be.Linear(g.y, g.x, g.w, backends.None, backends.Tensor{})
	}
	g.be.Download(g.last, g.y.View(g.y.Rows-1, g.y.Rows)) // the numbers do not matter
	return time.Since(start)
}
