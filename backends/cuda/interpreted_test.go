//go:build !purego

package cuda

import (
	"testing"

	"dynvit/backends"
	"dynvit/backends/backendtest"
	"dynvit/backends/cuda/kernels"
	"dynvit/backends/cuda/ptx"
)

// TestInterpreted holds the backend to the oracle by the PTX that is committed, run by the
// interpreter: no compiler and no GPU is needed. The other targets' kernels are held to it one
// by one, in package kernels.
func TestInterpreted(t *testing.T) {
	if testing.Short() {
		t.Skip("needs more than a short run: twenty seconds of interpreting")
	}
	target := kernels.Targets()[len(kernels.Targets())-1]
	backendtest.Results(t, func(backends.Options) (backends.Backend, error) {
		return New(ptx.NewDevice(target.Major, target.Minor, 1))
	})
}
