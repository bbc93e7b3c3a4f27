// Package arm64 is what the kernels of package neon are to be written on: files of Go
// assembly with vectors of 128 bits, and the instructions that Go's assembler lacks.
package arm64

import (
	"fmt"

	"dynvit.asm/emit"
)

// Lanes is the number of a vector's 32-bit words.
const Lanes = 4

// Gen collects one file.
type Gen struct{ *emit.File }

// New starts a file that command makes.
func New(command string, includes ...string) Gen {
	return Gen{emit.New(command, 4*Lanes, includes...)}
}

// V is vector register i as four words.
func V(i int) string { return fmt.Sprintf("V%d.S4", i) }

// Word writes an instruction as the word that it is, its mnemonic beside it.
func (g Gen) Word(word uint32, mnemonic string) {
	g.Coded(fmt.Sprintf("WORD $0x%08x", word), mnemonic)
}

// FMLA adds the products of the four words of n with one word of m.
func (g Gen) FMLA(acc, n, m, lane int) {
	g.Word(byElement(0x4f801000, acc, n, m, lane), fmt.Sprintf("fmla v%d.4s, v%d.4s, v%d.s[%d]", acc, n, m, lane))
}

// SDOT adds to each word of acc the products of the four signed bytes of n's word with
// those of one word of m.
func (g Gen) SDOT(acc, n, m, lane int) {
	g.Word(byElement(0x4f80e000, acc, n, m, lane), fmt.Sprintf("sdot v%d.4s, v%d.16b, v%d.4b[%d]", acc, n, m, lane))
}

// byElement sets the registers and the element of a vector instruction "by element" of
// 32-bit elements (Arm ARM, C4.1, "Advanced SIMD vector x indexed element").
func byElement(code uint32, d, n, m, lane int) uint32 {
	return code | uint32(lane&1)<<21 | uint32(m)<<16 | uint32(lane>>1)<<11 | uint32(n)<<5 | uint32(d)
}
