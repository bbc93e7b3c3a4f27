package baseline

import "encoding/binary"

// Fixed point of jidctint.c: 13 fractional bits of the constants, 2 more of the
// numbers between the passes.
const (
	constBits = 13
	passBits  = 2

	fix0298 = 2446  // 0.298631336
	fix0390 = 3196  // 0.390180644
	fix0541 = 4433  // 0.541196100
	fix0765 = 6270  // 0.765366865
	fix0899 = 7373  // 0.899976223
	fix1175 = 9633  // 1.175875602
	fix1501 = 12299 // 1.501321110
	fix1847 = 15137 // 1.847759065
	fix1961 = 16069 // 1.961570560
	fix2053 = 16819 // 2.053119869
	fix2562 = 20995 // 2.562915447
	fix3072 = 25172 // 3.072711026
)

// inAssembly chooses the kernels in assembly, which write what inverse8 and inverse4 do and
// leave coef in another state.
var inAssembly = assembled()

// inverse writes a block of side×side samples from its coefficients, of which
// those after number last are 0.
func (d *Decoder) inverse(dst []byte, stride, side, last int) {
	switch {
	case last == 0 || side == 1:
		flat(dst, stride, side, sample((d.coef[0]+4)>>3))
	case side == 8 && inAssembly:
		kernel8(dst, stride, &d.coef)
	case side == 8:
		inverse8(dst, stride, &d.coef)
	case side == 4 && inAssembly:
		kernel4(dst, stride, &d.coef)
	case side == 4:
		inverse4(dst, stride, &d.coef)
	default:
		inverse2(dst, stride, &d.coef)
	}
}

// sample undoes the level shift.
func sample(v int32) byte { return byte(max(0, min(255, v+128))) }

func flat(dst []byte, stride, side int, v byte) {
	all := 0x0101010101010101 * uint64(v)
	for y := range side {
		line := dst[y*stride:][:side]
		switch side {
		case 8:
			binary.LittleEndian.PutUint64(line, all)
		case 4:
			binary.LittleEndian.PutUint32(line, uint32(all))
		default:
			line[0], line[side-1] = v, v
		}
	}
}

// inverse8 is jpeg_idct_islow.
func inverse8(dst []byte, stride int, coef *[64]int32) {
	for x := range 8 {
		c := (*[57]int32)(coef[x : x+57])
		if c[8]|c[16]|c[24]|c[32]|c[40]|c[48]|c[56] == 0 {
			v := c[0] << passBits
			c[0], c[8], c[16], c[24], c[32], c[40], c[48], c[56] = v, v, v, v, v, v, v, v
			continue
		}
		const half, shift = 1 << (constBits - passBits - 1), constBits - passBits
		e0, e1, e2, e3 := even8(c[0], c[16], c[32], c[48])
		o0, o1, o2, o3 := odd8(c[8], c[24], c[40], c[56])
		c[0], c[56] = (e0+o3+half)>>shift, (e0-o3+half)>>shift
		c[8], c[48] = (e1+o2+half)>>shift, (e1-o2+half)>>shift
		c[16], c[40] = (e2+o1+half)>>shift, (e2-o1+half)>>shift
		c[24], c[32] = (e3+o0+half)>>shift, (e3-o0+half)>>shift
	}
	const half, shift = 1 << (constBits + passBits + 2), constBits + passBits + 3
	for y := range 8 {
		c := (*[8]int32)(coef[8*y:])
		to := (*[8]byte)(dst[y*stride:])
		e0, e1, e2, e3 := even8(c[0], c[2], c[4], c[6])
		o0, o1, o2, o3 := odd8(c[1], c[3], c[5], c[7])
		to[0], to[7] = sample((e0+o3+half)>>shift), sample((e0-o3+half)>>shift)
		to[1], to[6] = sample((e1+o2+half)>>shift), sample((e1-o2+half)>>shift)
		to[2], to[5] = sample((e2+o1+half)>>shift), sample((e2-o1+half)>>shift)
		to[3], to[4] = sample((e3+o0+half)>>shift), sample((e3-o0+half)>>shift)
	}
}

func even8(c0, c2, c4, c6 int32) (a, b, c, d int32) {
	z := (c2 + c6) * fix0541
	t2, t3 := z-c6*fix1847, z+c2*fix0765
	t0, t1 := (c0+c4)<<constBits, (c0-c4)<<constBits
	return t0 + t3, t1 + t2, t1 - t2, t0 - t3
}

func odd8(c1, c3, c5, c7 int32) (a, b, c, d int32) {
	z3, z4 := c7+c3, c5+c1
	z5 := (z3 + z4) * fix1175
	z1, z2 := (c7+c1)*-fix0899, (c5+c3)*-fix2562
	z3, z4 = z3*-fix1961+z5, z4*-fix0390+z5
	return c7*fix0298 + z1 + z3, c5*fix2053 + z2 + z4, c3*fix3072 + z2 + z3, c1*fix1501 + z1 + z4
}

// inverse4 is jpeg_idct_4x4 of libjpeg 7: the 4×4 lowest frequencies.
func inverse4(dst []byte, stride int, coef *[64]int32) {
	for x := range 4 {
		c := (*[25]int32)(coef[x : x+25])
		const half, shift = 1 << (constBits - passBits - 1), constBits - passBits
		a, b, p, q := inverse1x4(c[0], c[8], c[16], c[24], half)
		c[0], c[24] = (a+p)>>shift, (a-p)>>shift
		c[8], c[16] = (b+q)>>shift, (b-q)>>shift
	}
	const half, shift = 1 << (constBits + passBits + 2), constBits + passBits + 3
	for y := range 4 {
		c := (*[4]int32)(coef[8*y:])
		to := (*[4]byte)(dst[y*stride:])
		a, b, p, q := inverse1x4(c[0], c[1], c[2], c[3], half)
		to[0], to[3] = sample((a+p)>>shift), sample((a-p)>>shift)
		to[1], to[2] = sample((b+q)>>shift), sample((b-q)>>shift)
	}
}

// inverse1x4 returns the even part, half added, and the odd part.
func inverse1x4(c0, c1, c2, c3, half int32) (a, b, p, q int32) {
	z := (c1 + c3) * fix0541
	return (c0+c2)<<constBits + half, (c0-c2)<<constBits + half, z + c1*fix0765, z - c3*fix1847
}

// inverse2 is jpeg_idct_2x2 of libjpeg 7.
func inverse2(dst []byte, stride int, coef *[64]int32) {
	c00, c01, c10, c11 := coef[0]+4, coef[1], coef[8], coef[9]
	dst[0], dst[1] = sample((c00+c10+c01+c11)>>3), sample((c00+c10-c01-c11)>>3)
	dst[stride], dst[stride+1] = sample((c00-c10+c01-c11)>>3), sample((c00-c10-c01+c11)>>3)
}
