//go:build amd64 && !purego

package avx2

import (
	"math/rand/v2"
	"testing"

	"dynvit/backends"
	"dynvit/backends/backendtest"
	"dynvit/backends/internal/host"
	"dynvit/backends/internal/host/hosttest"
	"dynvit/internal/encodings"
)

func TestKernels(t *testing.T) {
	backendtest.Available(t, Open, built, features...)
	for _, disabled := range [][]string{nil, {"avxvnni"}} {
		k, why := table(backends.Options{Disable: disabled})
		t.Run(why, func(t *testing.T) { hosttest.Run(t, k) })
	}
}

// TestCodes: what VPDPBUSD multiplies, made on every processor.
func TestCodes(t *testing.T) {
	backendtest.Available(t, Open, built, features...)
	rng := rand.New(rand.NewPCG(1, 2))
	for n := 1; n <= 70; n++ {
		row := make([]float32, n)
		for i := range row {
			row[i] = float32(rng.NormFloat64())
		}
		words := make([]uint32, (n+3)/4)
		got, codes := host.Bytes(words), make([]uint8, n)
		want, wantZero, _ := backends.QuantizeInput(codes, row)
		if scale, zero := convertInt8(words, row); scale != want || zero != int32(wantZero) {
			t.Errorf("%d elements: scale %v zero %v, want %v %v", n, scale, zero, want, wantZero)
		}
		for i, v := range got {
			if code := uint8(v); i < n && code != codes[i] || i >= n && code != 0 {
				t.Errorf("%d elements: code %d is %d", n, i, code)
			}
		}
	}
}

// TestEncodings: VPDPBUSD in VEX form, which Go's assembler would write as EVEX
// and processors with AVX-VNNI alone refuse.
func TestEncodings(t *testing.T) {
	encodings.Check(t, encodings.AMD64, map[string]int{"product_amd64.s": 40, "peak_amd64.s": 12})
}

func TestHeights(t *testing.T) {
	hosttest.Heights(t, "product_amd64.s", "mulF32", heights)
	hosttest.Heights(t, "product_amd64.s", "mulInt8", heights)
	hosttest.Heights(t, "product_amd64.s", "mulInt16", heightsInt16)
}
