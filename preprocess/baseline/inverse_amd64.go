//go:build !purego

package baseline

import "github.com/klauspost/cpuid/v2"

func vectors() bool { return cpuid.CPU.Supports(cpuid.AVX2) }

// inverse8AVX2 is inverse8, which leaves coef in another state.
//
//go:noescape
func inverse8AVX2(dst *byte, stride int, coef *[64]int32, c *constants)

// inverse4AVX2 is inverse4.
//
//go:noescape
func inverse4AVX2(dst *byte, stride int, coef *[64]int32, c *constants)
