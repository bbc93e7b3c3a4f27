//go:build arm64 && !purego

package neon

import (
	"testing"

	"dynvit/backends"
	"dynvit/backends/internal/host/hosttest"
)

// TestKernels: every rung that this processor has.
func TestKernels(t *testing.T) {
	all := detect(backends.Options{})
	tried := map[string]bool{}
	for _, f := range []features{all, {dot: all.dot, matrixBF16: all.matrixBF16}, {dot: all.dot, half: all.half}, {}} {
		k, why := table(f)
		if !tried[why] {
			tried[why] = true
			t.Run(why, func(t *testing.T) { hosttest.Run(t, k) })
		}
	}
}

func TestHeights(t *testing.T) {
	for _, kernel := range []string{"mulF32", "mulDot", "mulMatrix", "mulMatrixBF16", "mulWidening"} {
		hosttest.Heights(t, "product_arm64.s", kernel, heights)
	}
	hosttest.Heights(t, "product_arm64.s", "mulLong", heightsLong)
	hosttest.Heights(t, "product_arm64.s", "mulHalfSums", heightsHalf)
}
