package avx512

import (
	"testing"

	"dynvit/backends"
	"dynvit/backends/backendtest"
)

// features are what /proc/cpuinfo must show for the backend to open.
var features = []string{"avx512f", "avx512bw", "avx512vl", "avx512dq"}

func TestConformance(t *testing.T) {
	backendtest.Available(t, Open, built, features...)
	backendtest.Run(t, Open)
}

// TestLadder walks the processor's abilities off, one by one: every rung is as
// exact as the one above, and without the last the backend refuses.
func TestLadder(t *testing.T) {
	backendtest.Available(t, Open, built, features...)
	var disabled []string
	for _, f := range []string{"avx512bf16", "avx512vnni"} {
		disabled = append(disabled, f)
		t.Run("without "+f, func(t *testing.T) {
			backendtest.Run(t, func(o backends.Options) (backends.Backend, error) {
				o.Disable = disabled
				return Open(o)
			})
		})
	}
	backendtest.Refuses(t, Open, "avx512dq")
}

func BenchmarkAVX512(b *testing.B) { backendtest.Bench(b, Open) }

func BenchmarkCold(b *testing.B) { backendtest.BenchCold(b, Open) }
