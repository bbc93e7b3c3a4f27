// Package neon is the place of the NEON kernels. This version detects the
// processor and refuses; the kernels come with a later one.
package neon

import (
	"github.com/klauspost/cpuid/v2"

	"dynvit/backends"
	"dynvit/backends/internal/host"
)

// Open reports which feature the processor lacks, or that this version has no
// kernels for it; the error wraps backends.ErrUnavailable.
func Open(o backends.Options) (backends.Backend, error) {
	if err := host.Require(o, cpuid.ASIMD); err != nil {
		return nil, err
	}
	return nil, host.NotBuilt("NEON")
}
