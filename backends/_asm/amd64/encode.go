package amd64

import (
	"fmt"
	"strings"
)

// coded writes an instruction by its bytes.
func (g *gen) coded(code []byte, mnemonic string) {
	list := make([]string, len(code))
	for i, c := range code {
		list[i] = fmt.Sprintf("BYTE $0x%02x", c)
	}
	g.Coded(strings.Join(list, "; "), mnemonic)
}

// evex encodes a 512-bit instruction of prefix F3 and map 0F38 on registers; second
// is 0 where the instruction has two operands.
func evex(opcode byte, dst, second, third int) []byte {
	not := func(n, bit int) byte { return byte(^n >> bit & 1) }
	return []byte{0x62,
		not(dst, 3)<<7 | not(third, 4)<<6 | not(third, 3)<<5 | not(dst, 4)<<4 | 2,
		byte(^second&15)<<3 | 1<<2 | 2,
		2<<5 | not(second, 4)<<3,
		opcode, 0xc0 | byte(dst&7)<<3 | byte(third&7)}
}

// dotBF16 adds the products of pairs of bfloat16: VDPBF16PS.
func (g *gen) dotBF16(a, b, acc int) {
	g.coded(evex(0x52, acc, b, a), fmt.Sprintf("vdpbf16ps zmm%d,zmm%d,zmm%d", acc, b, a))
}

// toBF16 rounds 16 float32 to the lower half of dst: VCVTNEPS2BF16.
func (g *gen) toBF16(src, dst int) {
	g.coded(evex(0x72, dst, 0, src), fmt.Sprintf("vcvtneps2bf16 ymm%d,zmm%d", dst, src))
}

// dotVEX adds the products of four unsigned with four signed bytes: VPDPBUSD on 256
// bits in VEX form, which processors with AVX-VNNI alone have. unsigned is the
// second, signed the third operand.
func (g *gen) dotVEX(signed, unsigned, acc int) {
	not := func(n int) byte { return byte(^n >> 3 & 1) }
	code := []byte{0xc4, not(acc)<<7 | 1<<6 | not(signed)<<5 | 2, byte(^unsigned&15)<<3 | 1<<2 | 1,
		0x50, 0xc0 | byte(acc&7)<<3 | byte(signed&7)}
	g.coded(code, fmt.Sprintf("{vex} vpdpbusd ymm%d,ymm%d,ymm%d", acc, unsigned, signed))
}

// fetchToWrite fetches the cache line at BX plus offset, 0 to 127, for writing:
// PREFETCHW, which processors without it pass over.
func (g *gen) fetchToWrite(offset int) {
	if offset == 0 {
		g.coded([]byte{0x0f, 0x0d, 0x0b}, "prefetchw BYTE PTR [rbx]")
		return
	}
	g.coded([]byte{0x0f, 0x0d, 0x4b, byte(offset)}, fmt.Sprintf("prefetchw BYTE PTR [rbx+0x%x]", offset))
}
