package backendtest

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"dynvit/backends"
)

// BenchCold measures Linear for few rows with the weights of twelve blocks by turns, as a frame
// has them: from the far cache or memory. Beside the bytes of weights that it took a second stand those that a
// search for a byte reads of memory as long, and how near it comes to the longer one of that and of
// as many products with one weight, which stays in the near cache. All is the least processor time of one thread.
func BenchCold(b *testing.B, open Open) {
	for _, p := range precisions(b, open) {
		be, err := open(backends.Options{Threads: 1})
		if err != nil {
			b.Fatal(err)
		}
		defer be.Close()
		c := cold{be: be, bytes: map[backends.Precision]int{backends.Int8: 1, backends.F32: 4}[p]}
		if c.bytes == 0 {
			c.bytes = 2
		}
		c.pack(b, p)
		for _, rows := range []int{1, 2, 4, 8, 13, 16, 25, 32} {
			b.Run(fmt.Sprintf("%v/%d", p, rows), func(b *testing.B) { c.bench(b, rows) })
		}
	}
}

func precisions(b *testing.B, open Open) []backends.Precision {
	be, err := open(backends.Options{Threads: 1})
	if err != nil {
		b.Fatal(err)
	}
	defer be.Close()
	return be.Facts().Precisions
}

// coldWidth is DeiT-S's.
const coldWidth = 384

// cold are products by weights of the same size as those of twelve blocks.
type cold struct {
	be      backends.Backend
	weights []backends.Weight
	numbers int // of all
	bytes   int // of a number
}

func (c *cold) pack(b *testing.B, p backends.Precision) {
	values := make([]float32, 4*coldWidth*coldWidth)
	for i := range values {
		values[i] = float32(i%251) - 125
	}
	for range 12 {
		for _, shape := range [][2]int{{3, 1}, {1, 1}, {4, 1}, {1, 4}} {
			out, in := shape[0]*coldWidth, shape[1]*coldWidth
			w, err := c.be.Pack(values[:out*in], out, in, nil, p)
			if err != nil {
				b.Fatal(err)
			}
			c.weights = append(c.weights, w)
			c.numbers += out * in
		}
	}
	if s, ok := c.be.(backends.Settler); ok {
		s.Settle()
	}
}

func (c *cold) bench(b *testing.B, rows int) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	x, err := c.be.Alloc(rows, 4*coldWidth)
	if err != nil {
		b.Fatal(err)
	}
	y, err := c.be.Alloc(rows, 4*coldWidth)
	if err != nil {
		b.Fatal(err)
	}
	memory := bytes.Repeat([]byte{1}, c.numbers*c.bytes)
	unix.Madvise(memory, unix.MADV_COLLAPSE) // as the weights, where that can be had
	one := slices.Repeat(c.weights[1:2], c.numbers/(coldWidth*coldWidth))
	took, near, read := time.Hour, time.Hour, time.Hour
	for b.Loop() {
		read = min(read, timed(b, func() { bytes.IndexByte(memory, 2) }))
		near = min(near, timed(b, func() { c.products(one, x, y, rows) }))
		took = min(took, timed(b, func() { c.products(c.weights, x, y, rows) }))
	}
	b.ReportMetric(float64(len(memory))/took.Seconds()/1e9, "GB/s")
	b.ReportMetric(float64(len(memory))/read.Seconds()/1e9, "read-GB/s")
	b.ReportMetric(float64(len(memory))/near.Seconds()/1e9, "near-GB/s")
	b.ReportMetric(100*float64(max(read, near))/float64(took), "%bound")
}

func (c *cold) products(weights []backends.Weight, x, y backends.Tensor, rows int) {
	for _, w := range weights {
		out, in := w.Dims()
		c.be.Linear(backends.Tensor{Rows: rows, Cols: out, Host: y.Host[:rows*out]},
			backends.Tensor{Rows: rows, Cols: in, Host: x.Host[:rows*in]}, w, backends.None, backends.Tensor{})
	}
}

// timed is the processor time that f took of this thread.
func timed(b *testing.B, f func()) time.Duration {
	now := func() time.Duration {
		var t unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
			b.Fatal(err)
		}
		return time.Duration(t.Nano())
	}
	start := now()
	f()
	return now() - start
}
