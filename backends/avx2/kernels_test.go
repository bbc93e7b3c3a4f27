//go:build amd64 && !purego

package avx2

import (
	"testing"

	"dynvit/backends"
	"dynvit/backends/backendtest"
	"dynvit/backends/internal/host/hosttest"
)

func TestKernels(t *testing.T) {
	backendtest.Available(t, Open, built, features...)
	for _, disabled := range [][]string{nil, {"avxvnni"}} {
		k, why := table(backends.Options{Disable: disabled})
		t.Run(why, func(t *testing.T) { hosttest.Run(t, k) })
	}
}

// TestEncodings: VPDPBUSD in VEX form, which Go's assembler would write as EVEX
// and processors with AVX-VNNI alone refuse.
func TestEncodings(t *testing.T) {
	hosttest.Encodings(t, "product_amd64.s", 40)
	hosttest.Encodings(t, "peak_amd64.s", 12)
}
