package avx2

import (
	"testing"

	"dynvit/backends"
	"dynvit/backends/backendtest"
)

// features are what /proc/cpuinfo must show for the backend to open.
var features = []string{"avx2", "fma", "f16c"}

func TestConformance(t *testing.T) {
	backendtest.Available(t, Open, built, features...)
	backendtest.Run(t, Open)
}

// TestLadder: without AVX-VNNI it is as exact, without FMA it refuses.
func TestLadder(t *testing.T) {
	backendtest.Available(t, Open, built, features...)
	backendtest.Run(t, func(o backends.Options) (backends.Backend, error) {
		o.Disable = []string{"avxvnni"}
		return Open(o)
	})
	backendtest.Refuses(t, Open, "fma3")
}

func BenchmarkAVX2(b *testing.B) { backendtest.Bench(b, Open) }

func BenchmarkCold(b *testing.B) { backendtest.BenchCold(b, Open) }
