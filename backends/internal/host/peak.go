package host

import (
	"time"

	"dynvit/backends"
)

// peakTime is how long Peak measures: long enough for the clock to settle, short
// enough for a start-up probe.
const peakTime = 50 * time.Millisecond

// peakRun measures the register-only rate of every lane at once. Each part is one
// lane's measurement.
type peakRun struct {
	kernel    func(backends.Precision, int) (operations, checksum float64)
	precision backends.Precision
	rates     []float64
	checksum  []float64 // kept only so that nothing may be optimised away
}

func (r *peakRun) part(_, i int) {
	start, operations := time.Now(), 0.0
	for time.Since(start) < peakTime {
		n, checksum := r.kernel(r.precision, 20_000) // some tens of µs
		operations += n
		r.checksum[i] += checksum
	}
	r.rates[i] = operations / time.Since(start).Seconds()
}

// Peak implements backends.Prober.
func (b *driver) Peak(p backends.Precision) float64 {
	n := b.pool.threads()
	r := &peakRun{b.k.Peak, p, make([]float64, n), make([]float64, n)}
	b.pool.run(r, n)
	total := 0.0
	for _, rate := range r.rates {
		total += rate
	}
	return total
}

// peaks are a table's loops in assembly, by precision, and how many multiply-adds of a word
// each does, see Table.Carry.
type peaks struct {
	lanes   int // words of a vector
	loops   [4]func(n int) float32
	perWord [4]float64
}

// peakSums is how many vectors of sums a round of the loops adds to.
const peakSums = 12

// run is Kernels.Peak.
func (k *peaks) run(p backends.Precision, n int) (operations, checksum float64) {
	return 2 * peakSums * float64(k.lanes) * k.perWord[p] * float64(n), float64(k.loops[p](n))
}

// peak multiplies and adds in registers. Twelve sums hide the latency of a
// multiplication and an addition (or a fused pair) at two a cycle, and fit with
// their operands into amd64's 16 registers.
func peak(p backends.Precision, n int) (operations, checksum float64) {
	if p == backends.Int8 {
		return peakFields(n)
	}
	var a, b, c, d, e, f, g, h, i, j, k, l float32
	x, y := float32(0.999), float32(1) // sums that converge, to 1000
	for range n {
		a, b, c, d = a*x+y, b*x+y, c*x+y, d*x+y
		e, f, g, h = e*x+y, f*x+y, g*x+y, h*x+y
		i, j, k, l = i*x+y, j*x+y, k*x+y, l*x+y
	}
	return 24 * float64(n), float64(a + b + c + d + e + f + g + h + i + j + k + l)
}

// peakFields is the same for the packed words of portableInt8: three multiply-adds a
// multiplication.
func peakFields(n int) (operations, checksum float64) {
	a, b, c, d, e, f := uint64(1), uint64(2), uint64(3), uint64(4), uint64(5), uint64(6)
	x, y := uint64(n)|3, uint64(7)
	for range n {
		a, b, c = a*x+y, b*x+y, c*x+y
		d, e, f = d*x+y, e*x+y, f*x+y
	}
	return 36 * float64(n), float64(a ^ b ^ c ^ d ^ e ^ f)
}
