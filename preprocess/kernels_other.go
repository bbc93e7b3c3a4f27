//go:build !amd64 || purego

package preprocess

func vectors() bool { return false }

func convertAVX2(dst, y, u, v *byte, c *conversion, groups int) { panic("no AVX2") }

func triangleAVX2(dst, near, far *byte, groups int, even, odd uint16) { panic("no AVX2") }

func acrossAVX2(dst0, dst1, src0, src1 *byte, offsets *int32, weights *[8]int32, pairs, outs int) {
	panic("no AVX2")
}

func downAVX2(dst, rows *byte, stride int, weights *int32, count, blocks int) { panic("no AVX2") }
