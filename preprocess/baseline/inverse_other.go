//go:build !amd64 || purego

package baseline

func vectors() bool { return false }

func inverse8AVX2(dst *byte, stride int, coef *[64]int32, c *constants) { panic("no AVX2") }

func inverse4AVX2(dst *byte, stride int, coef *[64]int32, c *constants) { panic("no AVX2") }
