//go:build amd64 && !purego

package avx512

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/cpuid/v2"

	"dynvit/backends"
	"dynvit/backends/avx512/amx"
	"dynvit/backends/backendtest"
	"dynvit/backends/internal/host"
	"dynvit/backends/internal/host/hosttest"
)

// interpreted has the test run where these instructions of AMX work, by an interpreter, and is true there.
// Each must have been executed.
func interpreted(t *testing.T, products ...string) bool {
	t.Helper()
	backendtest.Available(t, Open, built, append([]string{"avx512_vnni", "avx512_bf16"}, features...)...)
	if amx.Interpreted() {
		return true
	}
	executed := amx.Run(t, t.Name())
	t.Logf("executed %v", executed)
	for _, op := range append(products, "ldtilecfg", "tilezero", "tileloadd", "tilestored", "tilerelease") {
		if executed[op] == 0 {
			t.Errorf("no %s was executed", op)
		}
	}
	if executed["ldtilecfg"] != executed["tilerelease"] {
		t.Errorf("%d ldtilecfg, %d tilerelease", executed["ldtilecfg"], executed["tilerelease"])
	}
	return false
}

// withTiles is the table of a processor with AMX.
func withTiles(o backends.Options) (host.Kernels, string) {
	return table(o, matrix{int8: true, bf16: true})
}

// TestTiles: products by AMX are what they are by any other kernel, at inputs that fill tiles, leave some over, or fill none,
// in one tile of rows and in two.
func TestTiles(t *testing.T) {
	if !interpreted(t, "tdpbusd", "tdpbf16ps") {
		return
	}
	k, why := withTiles(backends.Options{})
	if want := "bf16 by TDPBF16PS, int8 by TDPBUSD"; why != want {
		t.Errorf("%s, want %s", why, want)
	}
	heights := []int{1, 2, 15, 16, 17, 31, 32}
	for _, in := range []int{1, 60, 64, 65, 132, 192} { // of 64 a tile
		hosttest.Mul(t, k.Products[backends.Int8], backends.Int8, in, heights)
	}
	for _, in := range []int{1, 31, 32, 33, 66, 96} { // of 32
		hosttest.Mul(t, k.Products[backends.BF16], backends.BF16, in, heights)
	}
	for _, p := range []backends.Precision{backends.Int8, backends.BF16} {
		if operations, _ := k.Peak(p, 1); operations != map[backends.Precision]float64{backends.Int8: 393216, backends.BF16: 196608}[p] {
			t.Errorf("%v: %v operations in a round of peak", p, operations)
		}
	}
}

// TestTilesConformance: the driver above them, two threads and all, gives what ref does.
func TestTilesConformance(t *testing.T) {
	if !interpreted(t, "tdpbusd", "tdpbf16ps") {
		return
	}
	backendtest.Run(t, func(o backends.Options) (backends.Backend, error) {
		k, why := withTiles(o)
		return host.Open(backends.AVX512, k, why, o)
	})
}

// TestTilesBF16: sums are those that amx.DotBF16 defines, to the bit, for inputs that fill tiles, denormal numbers, Inf
// and NaN among them; then comes the bias.
func TestTilesBF16(t *testing.T) {
	if !interpreted(t, "tdpbf16ps") {
		return
	}
	const rows, words = 19, 48
	rng := rand.New(rand.NewPCG(3, 4))
	a, panel := make([]uint32, rows*words), make([]uint32, words*tileCols)
	for _, operands := range [][]uint32{a, panel} {
		for i := range operands {
			operands[i] = host.BF16(float32(rng.NormFloat64())) | host.BF16(float32(rng.NormFloat64()))<<16
		}
	}
	for i, w := range []uint32{0x00017f00, 0x80010001, 0x00800080, 0x7f7f7f7f, 0xff7f0000} { // denormal, least, largest
		a[i*words+i], panel[i*tileCols+i] = w, w
	}
	a[7*words] = 0x7f80_0000 // Inf
	a[8*words] = 0x0000_7fc0 // NaN
	a[9*words] = 0x0081_0000 // of small numbers: a result that is denormal
	panel[tileCols-1] = 0x3e80_0000
	bias := make([]float32, tileCols)
	for i := range bias {
		bias[i] = float32(i)
	}
	k, _ := withTiles(backends.Options{})
	dst := make([]float32, rows*tileCols)
	k.Products[backends.BF16].Mul(&host.Call{
		Dst: dst, A: a, Panel: panel, Bias: bias, Panels: 1, Rows: rows, Tile: rows, Words: words, DstStride: tileCols, AStride: words,
	})
	for r := range rows {
		for j := range tileCols {
			sum, column := float32(0), make([]uint32, words)
			for i := range column {
				column[i] = panel[i*tileCols+j]
			}
			for at := 0; at < words; at += 16 {
				sum = amx.DotBF16(sum, a[r*words+at:][:16], column[at:][:16])
			}
			got, want := dst[r*tileCols+j], sum+bias[j]
			if math.Float32bits(got) != math.Float32bits(want) && (got == got || want == want) {
				t.Errorf("row %d, output %d: %v, want %v", r, j, got, want)
			}
		}
	}
}

// TestTilesApart: goroutines that multiply at once, preempted and moved about by a collector that
// never rests, keep their tiles apart. On a processor with AMX it is what tells whether it keeps them at all.
func TestTilesApart(t *testing.T) {
	if !interpreted(t, "tdpbf16ps") {
		return
	}
	k, _ := withTiles(backends.Options{})
	apart(t, k, 3)
}

// TestTilesOnHardware is TestTiles and TestTilesApart where AMX needs no interpreter.
func TestTilesOnHardware(t *testing.T) {
	if detect(backends.Options{}) == (matrix{}) {
		t.Skip("the processor has no AMX")
	}
	if err := permitted(); err != nil {
		t.Skip(err)
	}
	k, why := withTiles(backends.Options{})
	t.Run(why, func(t *testing.T) { hosttest.Run(t, k) })
	apart(t, k, 20_000)
}

// apart has more goroutines than cores do the same product, each its own, again and again.
func apart(t *testing.T, k host.Kernels, turns int) {
	const rows, words = 32, 96
	stop := make(chan bool)
	defer close(stop)
	go func() {
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	}()
	var all sync.WaitGroup
	for g := range 2 * runtime.GOMAXPROCS(0) {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(g)))
			c := host.Call{
				Dst: make([]float32, rows*tileCols), A: make([]uint32, rows*words), Panel: make([]uint32, words*tileCols), Bias: make([]float32, tileCols),
				Panels: 1, Rows: rows, Tile: rows, Words: words, DstStride: tileCols, AStride: words,
			}
			for _, operands := range [][]uint32{c.A, c.Panel} {
				for i := range operands {
					operands[i] = host.BF16(float32(rng.NormFloat64())) * 0x10001
				}
			}
			k.Products[backends.BF16].Mul(&c)
			first := slices.Clone(c.Dst)
			for turn := range turns {
				clear(c.Dst)
				if k.Products[backends.BF16].Mul(&c); !slices.Equal(c.Dst, first) {
					t.Errorf("goroutine %d: turn %d differs from the first", g, turn)
					return
				}
			}
		})
	}
	all.Wait()
}

// TestSignalStack: tiles are refused where frames of signals leave Go's handler too little.
func TestSignalStack(t *testing.T) {
	for size, fits := range map[uint64]bool{0: true, 3632: true, 11952: true, 16 << 10: true, 20 << 10: false} {
		var auxv []byte
		for _, v := range []uint64{6, 4096, 51, size, 0, 0} { // AT_PAGESZ, AT_MINSIGSTKSZ
			auxv = binary.NativeEndian.AppendUint64(auxv, v)
		}
		if err := signalStack(auxv); (err == nil) != fits {
			t.Errorf("frames of %d bytes: %v", size, err)
		}
	}
	if err := signalStack(nil); err != nil {
		t.Errorf("an older kernel: %v", err)
	}
}

// TestWhyAMX: what devices says of it, and that it is off unless it is asked for.
func TestWhyAMX(t *testing.T) {
	lacks := host.Require(backends.Options{}, cpuid.AMXTILE, cpuid.AMXINT8) != nil
	for _, wanted := range []string{"", "0", "yes"} {
		t.Setenv("DYNVIT_AMX", wanted)
		if m := detect(backends.Options{}); m.int8 || m.bf16 || strings.Contains(m.why, "DYNVIT_AMX=1 turns it on") == lacks {
			t.Errorf("DYNVIT_AMX=%q: %+v", wanted, m)
		}
	}
	t.Setenv("DYNVIT_AMX", "1")
	m := detect(backends.Options{Disable: []string{"amxtile"}})
	if m.int8 || m.bf16 || !strings.Contains(m.why, "no AMX") || !strings.Contains(m.why, "amxtile") {
		t.Errorf("without amxtile: %+v", m)
	}
}
