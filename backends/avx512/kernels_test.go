//go:build amd64 && !purego

package avx512

import (
	"testing"

	"dynvit/backends"
	"dynvit/backends/backendtest"
	"dynvit/backends/internal/host/hosttest"
	"dynvit/internal/encodings"
)

func TestKernels(t *testing.T) {
	backendtest.Available(t, Open, built, features...)
	for _, disabled := range [][]string{nil, {"avx512bf16", "avx512vnni"}} {
		k, why := table(backends.Options{Disable: disabled}, matrix{})
		t.Run(why, func(t *testing.T) { hosttest.Run(t, k) })
	}
}

func TestEncodings(t *testing.T) {
	encodings.Check(t, encodings.AMD64, map[string]int{
		"product_amd64.s": 100, "rows_amd64.s": 2, "pack_amd64.s": 4, "peak_amd64.s": 12, "tile_amd64.s": 70,
	})
}

func TestHeights(t *testing.T) {
	for _, kernel := range []string{"mulF32", "mulBF16", "mulInt8"} {
		hosttest.Heights(t, "product_amd64.s", kernel, heights)
	}
	hosttest.Heights(t, "product_amd64.s", "mulInt16", heightsInt16)
}
