package amx

import "fmt"

// Instruction is one of AMX.
type Instruction struct {
	Op               string
	Tile, A, B       int  // the one that changes or is stored, and the operands of a multiplication
	SignedA, SignedB bool // of bytes

	base, index, scale int // numbers of registers
	offset             int64
	length             int
}

var general = [...]string{"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"}

// String is the instruction as GNU's disassembler writes it for Intel's assembler.
func (i Instruction) String() string {
	at := general[i.base]
	if i.Op != "ldtilecfg" {
		at += fmt.Sprintf("+%s*%d", general[i.index], 1<<i.scale)
	}
	if i.offset != 0 {
		at += fmt.Sprintf("%+#x", i.offset)
	}
	switch i.Op {
	case "tilerelease":
		return i.Op
	case "ldtilecfg":
		return fmt.Sprintf("%s [%s]", i.Op, at)
	case "tilezero":
		return fmt.Sprintf("%s tmm%d", i.Op, i.Tile)
	case "tileloadd":
		return fmt.Sprintf("%s tmm%d,[%s]", i.Op, i.Tile, at)
	case "tilestored":
		return fmt.Sprintf("%s [%s],tmm%d", i.Op, at, i.Tile)
	}
	return fmt.Sprintf("%s tmm%d,tmm%d,tmm%d", i.Op, i.Tile, i.A, i.B)
}

// tiles are the registers that it names.
func (i Instruction) tiles() []int {
	switch i.Op {
	case "ldtilecfg", "tilerelease":
		return nil
	case "tilezero", "tileloadd", "tilestored":
		return []int{i.Tile}
	}
	return []int{i.Tile, i.A, i.B}
}

func (i Instruction) address(register func(n int) uint64) uint64 {
	return register(i.base) + uint64(i.offset)
}

// row is where a tile's row lies.
func (i Instruction) row(r int, register func(n int) uint64) uint64 {
	return i.address(register) + uint64(r)*register(i.index)<<i.scale
}

// The prefixes of a VEX instruction, and what multiplies bytes.
const (
	noPrefix = iota
	prefix66
	prefixF3
	prefixF2
)

var byteProducts = [...]Instruction{
	noPrefix: {Op: "tdpbuud"},
	prefix66: {Op: "tdpbusd", SignedB: true},
	prefixF3: {Op: "tdpbsud", SignedA: true},
	prefixF2: {Op: "tdpbssd", SignedA: true, SignedB: true},
}

// Decode reads the instruction at the beginning of code. ok is false where it is none of AMX's.
func Decode(code []byte) (i Instruction, ok bool) {
	const vex, map0F38 = 0xc4, 2
	if len(code) < 5 || code[0] != vex || code[1]&31 != map0F38 || code[2]&0x84 != 0 || code[1]>>7 != 1 {
		return i, false
	}
	prefix, opcode, modRM := int(code[2]&3), code[3], code[4]
	second := int(^code[2]>>3) & 15
	register := modRM>>6 == 3
	reg, rm := int(modRM>>3&7), int(modRM&7)
	switch {
	case opcode == 0x49 && !register && prefix == noPrefix && reg == 0 && second == 0:
		i.Op = "ldtilecfg"
		return i.memory(code)
	case opcode == 0x49 && register && prefix == noPrefix && modRM == 0xc0 && second == 0:
		i.Op = "tilerelease"
	case opcode == 0x49 && register && prefix == prefixF2 && rm == 0 && second == 0:
		i.Op, i.Tile = "tilezero", reg
	case opcode == 0x4b && !register && prefix == prefixF2 && rm == 4 && second == 0:
		i.Op, i.Tile = "tileloadd", reg
		return i.memory(code)
	case opcode == 0x4b && !register && prefix == prefixF3 && rm == 4 && second == 0:
		i.Op, i.Tile = "tilestored", reg
		return i.memory(code)
	case opcode == 0x5e && register && second < tiles:
		i = byteProducts[prefix]
		i.Tile, i.A, i.B = reg, rm, second
	case opcode == 0x5c && register && prefix == prefixF3 && second < tiles:
		i = Instruction{Op: "tdpbf16ps", Tile: reg, A: rm, B: second}
	default:
		return i, false
	}
	i.length = 5
	return i, true
}

// memory reads an address: a register or two, and a displacement of no or one byte.
func (i Instruction) memory(code []byte) (Instruction, bool) {
	not := func(bit int) int { return int(^code[1]>>bit&1) << 3 }
	mode, rm := code[4]>>6, int(code[4]&7)
	i.length = 5
	i.base = rm | not(5)
	if rm == 4 {
		if len(code) < 6 {
			return i, false
		}
		sib := code[5]
		i.base, i.index, i.scale = int(sib&7)|not(5), int(sib>>3&7)|not(6), int(sib>>6)
		i.length++
	}
	if mode == 1 {
		if len(code) <= i.length {
			return i, false
		}
		i.offset = int64(int8(code[i.length]))
		i.length++
	}
	// Mode 2 has four bytes, and without any register 5 is none: no kernel needs them.
	return i, mode < 2 && (mode == 1 || i.base&7 != 5) && (rm != 4 || i.index != 4)
}
