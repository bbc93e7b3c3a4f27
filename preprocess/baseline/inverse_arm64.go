//go:build !purego

package baseline

//go:generate go -C ../../backends/_asm run . baseline

func assembled() bool { return true } // Go needs NEON itself

func kernel8(dst []byte, stride int, coef *[64]int32) {
	_ = dst[7*stride+7]
	inverse8NEON(&dst[0], stride, coef)
}

func kernel4(dst []byte, stride int, coef *[64]int32) {
	_ = dst[3*stride+3]
	inverse4NEON(&dst[0], stride, coef)
}

//go:noescape
func inverse8NEON(dst *byte, stride int, coef *[64]int32)

//go:noescape
func inverse4NEON(dst *byte, stride int, coef *[64]int32)
