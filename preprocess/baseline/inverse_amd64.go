//go:build !purego

package baseline

import "github.com/klauspost/cpuid/v2"

func assembled() bool { return cpuid.CPU.Supports(cpuid.AVX2) }

// constants are those of the kernels, in their order, eight times each.
type constants struct {
	factors      [12][8]int32
	half1, half2 [8]int32
	turn         [32]byte // 4×4 bytes transposed, twice
}

var avx2 = newConstants()

func newConstants() *constants {
	c := new(constants)
	for i, f := range []int32{
		fix0541, fix0765, fix1847, fix1175, -fix0899, -fix2562, -fix1961, -fix0390, fix0298, fix2053, fix3072, fix1501,
	} {
		for lane := range 8 {
			c.factors[i][lane] = f
			c.half1[lane], c.half2[lane] = 1<<(constBits-passBits-1), 1<<(constBits+passBits+2)
		}
	}
	for i := range c.turn {
		c.turn[i] = byte(i%4*4 + i/4%4)
	}
	return c
}

func kernel8(dst []byte, stride int, coef *[64]int32) {
	_ = dst[7*stride+7]
	inverse8AVX2(&dst[0], stride, coef, avx2)
}

func kernel4(dst []byte, stride int, coef *[64]int32) {
	_ = dst[3*stride+3]
	inverse4AVX2(&dst[0], stride, coef, avx2)
}

//go:noescape
func inverse8AVX2(dst *byte, stride int, coef *[64]int32, c *constants)

//go:noescape
func inverse4AVX2(dst *byte, stride int, coef *[64]int32, c *constants)
