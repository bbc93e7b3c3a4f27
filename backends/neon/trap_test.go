//go:build arm64 && !purego

package neon

import (
	"os"
	"testing"
)

// TestTrap runs an instruction that TRAP names, of the rung above the processor's, and
// ends with SIGILL where it lacks it: make test-arm64 sees that the emulator would have
// caught a kernel that uses what its processor does not have.
func TestTrap(t *testing.T) {
	kernel, known := map[string]func(int) float32{
		"SDOT": peakDot, "SMMLA": peakMatrix, "BFMMLA": peakMatrixBF16, "FMLA.8h": peakHalfSums, "FMLAL": peakWidening,
	}[os.Getenv("TRAP")]
	if !known {
		t.Skip("TRAP names no instruction: make test-arm64 does")
	}
	kernel(1)
}
