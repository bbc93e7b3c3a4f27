// Package avx512 is the place of the AVX-512 kernels. This version detects the
// processor and refuses; the kernels come with a later one.
package avx512

import (
	"github.com/klauspost/cpuid/v2"

	"dynvit/backends"
	"dynvit/backends/internal/host"
)

// Open reports which feature the processor lacks, or that this version has no
// kernels for it; the error wraps backends.ErrUnavailable.
func Open(o backends.Options) (backends.Backend, error) {
	if err := host.Require(o, cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512VL, cpuid.AVX512DQ); err != nil {
		return nil, err
	}
	return nil, host.NotBuilt("AVX-512")
}
