//go:build !purego

package neon

import (
	"encoding/binary"
	"os"
	"slices"

	"github.com/klauspost/cpuid/v2"

	"dynvit/backends"
	"dynvit/backends/internal/host"
)

// features are those that kernels are chosen by.
type features struct{ dot, matrix, matrixBF16, half, widening bool }

// detect finds what the processor has and the options leave. Linux tells, on boxes with
// different cores, what all of them have.
func detect(o backends.Options) features {
	const i8mm, bf16 = 1 << 13, 1 << 14 // HWCAP2_I8MM, HWCAP2_BF16: asm/hwcap.h
	more := hwcap2()
	left := func(bit uint64, name string) bool { return more&bit != 0 && !slices.Contains(o.Disable, name) }
	return features{
		dot:        host.Require(o, cpuid.ASIMDDP) == nil,
		matrix:     left(i8mm, "i8mm"),
		matrixBF16: left(bf16, "bf16"),
		half:       host.Require(o, cpuid.ASIMDHP) == nil,
		widening:   host.Require(o, cpuid.FHM) == nil,
	}
}

// hwcap2 is AT_HWCAP2 of the auxiliary vector, which package cpuid does not read; 0 where
// there is none.
func hwcap2() uint64 {
	const tag = 26
	vector, err := os.ReadFile("/proc/self/auxv")
	if err != nil {
		return 0
	}
	for ; len(vector) >= 16; vector = vector[16:] {
		if binary.LittleEndian.Uint64(vector) == tag {
			return binary.LittleEndian.Uint64(vector[8:])
		}
	}
	return 0
}
