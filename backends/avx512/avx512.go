// Package avx512 is the backend for processors with AVX-512: the driver of
// package host with kernels in assembly, written by the generator in _asm.
//
// F, BW, VL and DQ are needed. VNNI carries int8 by VPDPBUSD, else pairs of int16
// by VPMADDWD; BF16 carries bf16 by VDPBF16PS where a probe at Open finds that
// faster than float32 multiply-adds on rounded operands (Zen 4 and 5 do, Sapphire
// Rapids does not). f16 is float32 multiply-adds on rounded operands.
//
// With DYNVIT_AMX=1 a processor that has AMX carries int8 by TDPBUSD and bf16 by TDPBF16PS. int8 is exact in any
// case; bf16's sums are then those of package amx's DotBF16, 32 inputs at a time from 0 on, the inputs past the
// last 32 by VDPBF16PS, and the bias last. Package backends leaves the order of sums open: [backends.BF16] says
// what operands are rounded to.
package avx512

import (
	"github.com/klauspost/cpuid/v2"

	"dynvit/backends"
	"dynvit/backends/internal/host"
)

// Open starts the backend, or reports, wrapping backends.ErrUnavailable, what is
// missing. Features in o.Disable are done without.
func Open(o backends.Options) (backends.Backend, error) {
	if err := host.Require(o, cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512VL, cpuid.AVX512DQ); err != nil {
		return nil, err
	}
	return open(o)
}
