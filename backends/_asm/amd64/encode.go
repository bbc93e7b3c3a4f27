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

// The prefixes of a VEX instruction.
const (
	noPrefix = iota
	prefix66
	prefixF3
	prefixF2
)

// names of the general registers by number, for disassemblers.
var general = [...]string{"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"}

// vexTile is a 128-bit VEX instruction of map 0F38, up to its ModRM byte; base and index are of an
// address, 0 without one.
func vexTile(prefix, opcode, second, base, index int, modRM byte) []byte {
	not := func(n int) byte { return byte(^n >> 3 & 1) }
	return []byte{0xc4, 1<<7 | not(index)<<6 | not(base)<<5 | 2, byte(^second&15)<<3 | byte(prefix), byte(opcode), modRM}
}

// tileConfig reads the shapes of tiles from 64 bytes at a register below 8 that is not SP: LDTILECFG.
func (g *gen) tileConfig(base int) {
	g.coded(vexTile(noPrefix, 0x49, 0, base, 0, byte(base)), fmt.Sprintf("ldtilecfg [%s]", general[base]))
}

// tileRelease ends the use of tiles: TILERELEASE.
func (g *gen) tileRelease() {
	g.coded(vexTile(noPrefix, 0x49, 0, 0, 0, 0xc0), "tilerelease")
}

// tileZero clears a tile: TILEZERO.
func (g *gen) tileZero(tile int) {
	g.coded(vexTile(prefixF2, 0x49, 0, 0, 0, 0xc0|byte(tile)<<3), fmt.Sprintf("tilezero tmm%d", tile))
}

// tileLoad reads rows that are a register's bytes apart, from offset (0 to 127) behind base: TILELOADD.
func (g *gen) tileLoad(tile, base, stride, offset int) {
	code, at := tileMemory(prefixF2, tile, base, stride, offset)
	g.coded(code, fmt.Sprintf("tileloadd tmm%d,%s", tile, at))
}

// tileStore writes rows as tileLoad reads them: TILESTORED.
func (g *gen) tileStore(tile, base, stride, offset int) {
	code, at := tileMemory(prefixF3, tile, base, stride, offset)
	g.coded(code, fmt.Sprintf("tilestored %s,tmm%d", at, tile))
}

func tileMemory(prefix, tile, base, stride, offset int) (code []byte, at string) {
	const sib = 4 // instead of a register: the next byte has base and index
	modRM, displacement := byte(tile<<3|sib), ""
	if offset != 0 {
		modRM, displacement = modRM|1<<6, fmt.Sprintf("+0x%x", offset)
	}
	code = append(vexTile(prefix, 0x4b, 0, base, stride, modRM), byte(stride&7)<<3|byte(base&7))
	if offset != 0 {
		code = append(code, byte(offset))
	}
	return code, fmt.Sprintf("[%s+%s*1%s]", general[base], general[stride], displacement)
}

// tileInt8 adds to sums the products of unsigned bytes with signed ones, four to a word: TDPBUSD.
func (g *gen) tileInt8(sum, unsigned, signed int) {
	g.coded(vexTile(prefix66, 0x5e, signed, 0, 0, 0xc0|byte(sum<<3|unsigned)), fmt.Sprintf("tdpbusd tmm%d,tmm%d,tmm%d", sum, unsigned, signed))
}

// tileBF16 adds those of bfloat16, two to a word: TDPBF16PS.
func (g *gen) tileBF16(sum, a, b int) {
	g.coded(vexTile(prefixF3, 0x5c, b, 0, 0, 0xc0|byte(sum<<3|a)), fmt.Sprintf("tdpbf16ps tmm%d,tmm%d,tmm%d", sum, a, b))
}
