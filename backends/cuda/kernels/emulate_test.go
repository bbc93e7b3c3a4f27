//go:build !purego

package kernels_test

import (
	"fmt"
	"os"
	"testing"

	"dynvit/backends/cuda/kernels"
	"dynvit/backends/cuda/kernels/emulate"
	"dynvit/backends/cuda/kernels/kerneltest"
)

// TestEmulated runs the sources of each target on the processor in several orders of
// blocks and threads, and under sanitizers.
func TestEmulated(t *testing.T) {
	for _, target := range kernels.Targets() {
		for _, c := range []struct {
			mode   emulate.Mode
			orders []int
		}{{emulate.Plain, []int{0, -1, 7}}, {emulate.Addresses, []int{0}}, {emulate.Threads, []int{5}}} {
			t.Run(fmt.Sprintf("%s/%s", target.Name, c.mode), func(t *testing.T) {
				t.Parallel()
				if c.mode != emulate.Plain {
					thorough(t)
				}
				program := emulate.Build(t, t.TempDir(), "", 10*target.Major+target.Minor, c.mode)
				for _, order := range c.orders {
					t.Run(fmt.Sprint("order ", order), func(t *testing.T) {
						p := emulate.Start(t, program)
						p.Order(order)
						kerneltest.Run(t, p, target)
					})
				}
			})
		}
	}
}

// thorough is for what takes minutes.
func thorough(t *testing.T) {
	if os.Getenv("CUDA_THOROUGH") == "" {
		t.Skip("takes minutes: make test-cuda runs it")
	}
}
