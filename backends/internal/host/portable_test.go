package host

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"dynvit/backends"
)

// untouched marks memory that a kernel must leave alone.
const untouched = 12345

// TestFloatMul compares the tile with the plain triple loop around its cut-offs, with
// rows that are longer than what is multiplied.
func TestFloatMul(t *testing.T) {
	k := Portable().Products[backends.F32]
	rng := rand.New(rand.NewPCG(1, 1))
	for _, rows := range []int{1, 2, 3, 4, 5} {
		for _, in := range []int{1, 2, 3, 4, 5, 7, 8, 9, 64, 197} {
			lda, ldc := in+3, k.Cols+2
			a, w, bias := random32(rng, rows*lda), random32(rng, in*k.Cols), random32(rng, k.Cols)
			panel := make([]uint32, k.PanelWords(in))
			k.Pack(panel, Words(w), in, k.Cols, in)
			c := make([]float32, rows*ldc)
			for i := range c {
				c[i] = untouched
			}
			k.Mul(&Call{Panels: 1, Dst: c, DstStride: ldc, A: Words(a), AStride: lda, Rows: rows, Tile: rows, Words: in, Panel: panel, Bias: bias})
			for r := range rows {
				for j := range ldc {
					want := float64(untouched)
					if j < k.Cols {
						want = float64(bias[j])
						for i := range in {
							want += float64(a[r*lda+i]) * float64(w[j*in+i])
						}
					}
					if got := float64(c[r*ldc+j]); math.Abs(got-want) > 1e-5*math.Sqrt(float64(in)) {
						t.Fatalf("%d rows, %d inputs: c[%d, %d] = %v, want %v", rows, in, r, j, got, want)
					}
				}
			}
		}
	}
}

func random32(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}

// TestInt8Mul: sums are exact, also where every product has the largest size
// and the fields of a word pull in different directions.
func TestInt8Mul(t *testing.T) {
	k := Portable().Products[backends.Int8]
	rng := rand.New(rand.NewPCG(2, 2))
	codes := map[string]func() int8{
		"random":   func() int8 { return int8(rng.IntN(256) - 128) },
		"extremes": func() int8 { return int8(255*rng.IntN(2) - 128) },
		"highest":  func() int8 { return 127 },
		"lowest":   func() int8 { return -128 },
	}
	for name, code := range codes {
		for _, in := range []int{1, 2, 3, 63, 64, 65, 127, 128, 129, 768} {
			t.Run(fmt.Sprint(name, in), func(t *testing.T) { checkInt8(t, k, in, code, func() int8 { return int8(254*rng.IntN(2) - 127) }) })
		}
	}
}

func checkInt8(t *testing.T, k Product, in int, input, weight func() int8) {
	const rows = 3
	zero := []int32{0, -128, 127}
	words := k.Words(in)
	lda, ldc := words+1, k.Cols+1
	a, w := make([]uint32, rows*lda), make([]uint32, words*k.Cols)
	for r := range rows {
		fill(Bytes(a[r*lda:])[:in], input)
	}
	for j := range k.Cols {
		fill(Bytes(w[j*words:])[:in], weight)
	}
	panel := make([]uint32, k.PanelWords(in))
	k.Pack(panel, w, words, k.Cols, words)
	c, ones := make([]float32, rows*ldc), slices.Repeat([]float32{1}, k.Cols)
	for i := range c {
		c[i] = untouched
	}
	k.Mul(&Call{Panels: 1, Dst: c, DstStride: ldc, A: a, AStride: lda, Rows: rows, Tile: rows, Words: words, Panel: panel,
		Bias: make([]float32, k.Cols), Unit: ones, Scale: ones, Zero: zero})
	for r := range rows {
		for j := range k.Cols {
			var want int32
			for i := range in {
				want += (int32(Bytes(a[r*lda:])[i]) - zero[r]) * int32(Bytes(w[j*words:])[i])
			}
			if got := c[r*ldc+j]; got != float32(want) {
				t.Fatalf("c[%d, %d] = %v, want %d", r, j, got, want)
			}
		}
		if c[r*ldc+k.Cols] != untouched {
			t.Fatal("wrote past the panel's columns")
		}
	}
}

func fill(codes []int8, next func() int8) {
	for i := range codes {
		codes[i] = next()
	}
}

func TestPeak(t *testing.T) {
	for _, p := range Portable().Precisions {
		small, _ := peak(p, 100)
		large, checksum := peak(p, 200)
		if small <= 0 || large != 2*small || checksum == 0 {
			t.Errorf("%v: %v and %v operations for 100 and 200 rounds, checksum %v", p, small, large, checksum)
		}
	}
	be, err := OpenPortable(backends.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer be.Close()
	if rate := be.(backends.Prober).Peak(backends.F32); rate < 1e6 {
		t.Errorf("peak of %v operations a second", rate)
	}
}
