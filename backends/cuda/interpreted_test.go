package cuda

import (
	"testing"

	"dynvit/backends"
	"dynvit/backends/backendtest"
	"dynvit/backends/cuda/device"
	"dynvit/backends/cuda/kernels"
	"dynvit/backends/cuda/ptx"
)

// TestInterpreted holds the backend to the oracle by the PTX that is committed, of every target,
// run by the interpreter: no compiler and no GPU is needed.
func TestInterpreted(t *testing.T) {
	if testing.Short() {
		t.Skip("needs more than a short run: a minute of interpreting")
	}
	for i, target := range kernels.Targets() {
		t.Run(target.Name, func(t *testing.T) {
			facts := device.Facts{Name: "interpreter", Major: target.Major, Minor: target.Minor, Driver: 13000, Memory: 8e9}
			backendtest.Results(t, func(backends.Options) (backends.Backend, error) {
				return New(ptx.NewDevice(facts, uint64(1000*i)))
			})
		})
	}
}
