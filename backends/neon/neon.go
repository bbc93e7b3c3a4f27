// Package neon is the backend for 64-bit Arm processors: the driver of package host with
// kernels in assembly, written by the generator in backends/_asm.
//
// NEON is needed. int8 is carried by SMMLA where the processor has it (I8MM), else by SDOT
// (ASIMDDP), else by SMULL and SMLAL; bf16 by BFMMLA (BF16), else it is float32
// multiply-adds on rounded operands; f16 by FMLAL (FHM), else by FMLA in half sums
// (ASIMDHP), else it is not there.
package neon

import (
	"github.com/klauspost/cpuid/v2"

	"dynvit/backends"
	"dynvit/backends/internal/host"
)

// Open starts the backend, or reports, wrapping backends.ErrUnavailable, what is
// missing. Features in o.Disable are done without.
func Open(o backends.Options) (backends.Backend, error) {
	if err := host.Require(o, cpuid.ASIMD); err != nil {
		return nil, err
	}
	return open(o)
}
