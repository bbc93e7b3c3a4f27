package neon

import (
	"testing"

	"dynvit/backends"
	"dynvit/backends/backendtest"
	"dynvit/backends/internal/host/hosttest"
)

// features that /proc/cpuinfo must show for the backend to open.
var needed = []string{"asimd"}

func TestConformance(t *testing.T) {
	backendtest.Available(t, Open, built, needed...)
	backendtest.Run(t, Open)
}

// TestLadder: each rung is as exact, and without NEON it refuses.
func TestLadder(t *testing.T) {
	backendtest.Available(t, Open, built, needed...)
	for _, disabled := range [][]string{{"i8mm", "bf16"}, {"i8mm", "bf16", "asimddp"}} {
		backendtest.Run(t, func(o backends.Options) (backends.Backend, error) {
			o.Disable = disabled
			return Open(o)
		})
	}
	backendtest.Refuses(t, Open, "asimd")
}

// TestEncodings: what the files call the words that Go's assembler does not know is what
// they are.
func TestEncodings(t *testing.T) {
	hosttest.Encodings(t, hosttest.ARM64, "product_arm64.s", 1000)
	hosttest.Encodings(t, hosttest.ARM64, "rows_arm64.s", 100)
	hosttest.Encodings(t, hosttest.ARM64, "pack_arm64.s", 30)
	hosttest.Encodings(t, hosttest.ARM64, "peak_arm64.s", 60)
}

func BenchmarkNEON(b *testing.B) { backendtest.Bench(b, Open) }
