package ref_test

import (
	"math/rand/v2"
	"testing"

	"dynvit/backends"
	"dynvit/backends/backendtest"
	"dynvit/backends/ref"
)

func TestConformance(t *testing.T) { backendtest.Run(t, ref.Open) }

// TestHalfSums: how far a Linear's half sums of f16 are from those in float32, about zero and
// where they only grow.
func TestHalfSums(t *testing.T) {
	for _, in := range []int{1, 32, 33, 64, 192, 768, 1536} {
		for _, least := range []float64{-1, 0} {
			if e := halfSumsError(t, in, least); e > 1e-4 || in >= 32 && e == 0 {
				t.Errorf("%d inputs from %v to 1: error %.2g, want at most 1e-4, and some", in, least, e)
			} else {
				t.Logf("%d inputs from %v to 1: error %.2g", in, least, e)
			}
		}
	}
}

// halfSumsError is the NMSE of a Linear's outputs.
func halfSumsError(t *testing.T, in int, least float64) float64 {
	const rows, out = 8, 32
	rng := rand.New(rand.NewPCG(1, uint64(in)))
	uniform := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(least + rng.Float64()*(1-least))
		}
		return x
	}
	x, w := uniform(rows*in), uniform(out*in)
	var results [2][]float32
	for i, open := range []backendtest.Open{ref.Open, ref.OpenHalfSums} {
		be, err := open(backends.Options{})
		if err != nil {
			t.Fatal(err)
		}
		packed, err := be.Pack(w, out, in, nil, backends.F16)
		if err != nil {
			t.Fatal(err)
		}
		results[i] = make([]float32, rows*out)
		be.Linear(backends.Tensor{Rows: rows, Cols: out, Host: results[i]}, backends.Tensor{Rows: rows, Cols: in, Host: x}, packed, backends.None, backends.Tensor{})
	}
	return backendtest.NMSE(results[1], results[0])
}

// TestHalfSumsOfAttention is the same of an attention over more tokens than a half sum has.
func TestHalfSumsOfAttention(t *testing.T) {
	const n, heads, width = 70, 2, 40
	rng := rand.New(rand.NewPCG(1, 2))
	qkv := backends.Tensor{Rows: n, Cols: 3 * heads * width, Host: make([]float32, n*3*heads*width)}
	for i := range qkv.Host {
		qkv.Host[i] = float32(rng.NormFloat64())
	}
	var results [2]backends.Tensor
	for i, open := range []backendtest.Open{ref.Open, ref.OpenHalfSums} {
		be, err := open(backends.Options{})
		if err != nil {
			t.Fatal(err)
		}
		results[i] = backends.Tensor{Rows: n, Cols: heads * width, Host: make([]float32, n*heads*width)}
		be.Attention(results[i], qkv, backends.Tensor{}, heads, backends.F16, backends.Tensor{}, backends.NoScore)
	}
	e := backendtest.NMSE(results[1].Host, results[0].Host)
	if t.Logf("error %.2g", e); e > 1e-4 || e == 0 {
		t.Errorf("error %.2g, want at most 1e-4, and some", e)
	}
}
