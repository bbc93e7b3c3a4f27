// Package avx2 is the backend for x86 processors without AVX-512: the driver of
// package host with kernels in assembly, written by the generator in
// backends/_asm.
//
// AVX2, FMA and F16C are needed. int8 is carried by VPDPBUSD where the processor
// has AVX-VNNI, else by pairs of int16 (VPMADDWD), which never saturate, with half as
// many multiplications by Winograd's inner product. bf16 and f16 are float32
// multiply-adds on rounded operands.
package avx2

import (
	"github.com/klauspost/cpuid/v2"

	"dynvit/backends"
	"dynvit/backends/internal/host"
)

// Open starts the backend, or reports, wrapping backends.ErrUnavailable, what is
// missing. Features in o.Disable are done without.
func Open(o backends.Options) (backends.Backend, error) {
	if err := host.Require(o, cpuid.AVX2, cpuid.FMA3, cpuid.F16C); err != nil {
		return nil, err
	}
	return open(o)
}
