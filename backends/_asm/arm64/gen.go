// Package arm64 writes the kernels of packages neon, preprocess and baseline: vectors of 128
// bits. General registers and memory are in Go's assembly, whose assembler lacks most
// instructions on vectors: those are words, each beside its mnemonic.
package arm64

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"dynvit.asm/emit"
)

// lanes is the number of a vector's 32-bit words, bytes its size.
const (
	lanes = 4
	bytes = 4 * lanes
)

// gen collects one file.
type gen struct{ *emit.File }

// newGen starts a file that command makes.
func newGen(command string, includes ...string) gen {
	return gen{emit.New(command, bytes, includes...)}
}

// word writes an instruction as the word that it is, its mnemonic beside it.
func (g gen) word(word uint32, mnemonic string) {
	g.Coded(fmt.Sprintf("WORD $0x%08x", word), mnemonic)
}

// instruction has registers alone for operands: the code with all of them 0, and the
// mnemonic, destination first.
type instruction struct {
	code     uint32
	mnemonic string
}

// vectors are instructions on vectors of words, and conversions from and to them.
var vectors = map[string]instruction{
	"fmla": {0x4e20cc00, "fmla v%d.4s, v%d.4s, v%d.4s"},
	"fmls": {0x4ea0cc00, "fmls v%d.4s, v%d.4s, v%d.4s"},
	"fadd": {0x4e20d400, "fadd v%d.4s, v%d.4s, v%d.4s"},
	"fsub": {0x4ea0d400, "fsub v%d.4s, v%d.4s, v%d.4s"},
	"fmul": {0x6e20dc00, "fmul v%d.4s, v%d.4s, v%d.4s"},
	"fdiv": {0x6e20fc00, "fdiv v%d.4s, v%d.4s, v%d.4s"},
	"fmax": {0x4e20f400, "fmax v%d.4s, v%d.4s, v%d.4s"},
	"fmin": {0x4ea0f400, "fmin v%d.4s, v%d.4s, v%d.4s"},
	"smax": {0x4ea06400, "smax v%d.4s, v%d.4s, v%d.4s"},
	"umax": {0x6ea06400, "umax v%d.4s, v%d.4s, v%d.4s"},
	"add":  {0x4ea08400, "add v%d.4s, v%d.4s, v%d.4s"},
	"mul":  {0x4ea09c00, "mul v%d.4s, v%d.4s, v%d.4s"},

	"faddp":  {0x6e20d400, "faddp v%d.4s, v%d.4s, v%d.4s"},
	"addp":   {0x4ea0bc00, "addp v%d.4s, v%d.4s, v%d.4s"},
	"fmaxnm": {0x4e20c400, "fmaxnm v%d.4s, v%d.4s, v%d.4s"}, // ignores NaN
	"fcmeq":  {0x4e20e400, "fcmeq v%d.4s, v%d.4s, v%d.4s"},

	"and": {0x4e201c00, "and v%d.16b, v%d.16b, v%d.16b"},
	"bit": {0x6ea01c00, "bit v%d.16b, v%d.16b, v%d.16b"}, // takes n where m has ones

	"zip1":   {0x4e803800, "zip1 v%d.4s, v%d.4s, v%d.4s"},
	"zip2":   {0x4e807800, "zip2 v%d.4s, v%d.4s, v%d.4s"},
	"zip1 h": {0x4e403800, "zip1 v%d.8h, v%d.8h, v%d.8h"},
	"zip2 h": {0x4e407800, "zip2 v%d.8h, v%d.8h, v%d.8h"},
	"zip1 d": {0x4ec03800, "zip1 v%d.2d, v%d.2d, v%d.2d"},
	"zip2 d": {0x4ec07800, "zip2 v%d.2d, v%d.2d, v%d.2d"},

	"smmla":  {0x4e80a400, "smmla v%d.4s, v%d.16b, v%d.16b"},
	"bfmmla": {0x6e40ec00, "bfmmla v%d.4s, v%d.8h, v%d.8h"},
	"sadalp": {0x4e606800, "sadalp v%d.4s, v%d.8h"},
	"saddlp": {0x4e602800, "saddlp v%d.4s, v%d.8h"},
	"add h":  {0x4e608400, "add v%d.8h, v%d.8h, v%d.8h"},
	"uzp1 h": {0x4e401800, "uzp1 v%d.8h, v%d.8h, v%d.8h"}, // the low halves of words
	"smin":   {0x4ea06c00, "smin v%d.4s, v%d.4s, v%d.4s"},

	"scvtf":    {0x4e21d800, "scvtf v%d.4s, v%d.4s"},
	"fcvtns":   {0x4e21a800, "fcvtns v%d.4s, v%d.4s"}, // to nearest, even
	"frintm":   {0x4e219800, "frintm v%d.4s, v%d.4s"},
	"fsqrt":    {0x6ea1f800, "fsqrt v%d.4s, v%d.4s"},
	"fcvtn":    {0x0e216800, "fcvtn v%d.4h, v%d.4s"},
	"fcvtn2":   {0x4e216800, "fcvtn2 v%d.8h, v%d.4s"},
	"fcvtl":    {0x0e217800, "fcvtl v%d.4s, v%d.4h"},
	"fcvtl2":   {0x4e217800, "fcvtl2 v%d.4s, v%d.8h"},
	"fcvtl d":  {0x0e617800, "fcvtl v%d.2d, v%d.2s"},
	"fcvtl2 d": {0x4e617800, "fcvtl2 v%d.2d, v%d.4s"},
	"fcvtzs d": {0x4ee1b800, "fcvtzs v%d.2d, v%d.2d"},
	"fcvtn d":  {0x0e616800, "fcvtn v%d.2s, v%d.2d"},
	"fcvtn2 d": {0x4e616800, "fcvtn2 v%d.4s, v%d.2d"},
	"fadd d":   {0x4e60d400, "fadd v%d.2d, v%d.2d, v%d.2d"},
	"faddp d":  {0x7e70d800, "faddp d%d, v%d.2d"},
	"fmla d":   {0x4e60cc00, "fmla v%d.2d, v%d.2d, v%d.2d"},
	"add d":    {0x4ee08400, "add v%d.2d, v%d.2d, v%d.2d"},

	"bfcvtn":  {0x0ea16800, "bfcvtn v%d.4h, v%d.4s"},
	"bfcvtn2": {0x4ea16800, "bfcvtn2 v%d.8h, v%d.4s"},
	"sqxtn":   {0x0e614800, "sqxtn v%d.4h, v%d.4s"},
	"sqxtn b": {0x0e214800, "sqxtn v%d.8b, v%d.8h"},
	"sqxtn2b": {0x4e214800, "sqxtn2 v%d.16b, v%d.8h"},

	"dup":     {0x4e040400, "dup v%d.4s, v%d.s[0]"},
	"fmaxnmv": {0x6e30c800, "fmaxnmv s%d, v%d.4s"},
	"smaxv":   {0x4eb0a800, "smaxv s%d, v%d.4s"},
	"umaxv":   {0x6eb0a800, "umaxv s%d, v%d.4s"},
	"movi 0":  {0x4f000400, "movi v%d.4s, #0x0"},
}

// v writes an instruction on vector registers, the destination first.
func (g gen) v(name string, registers ...int) {
	i, known := vectors[name]
	if !known {
		i, known = pixels[name]
	}
	if !known {
		panic("arm64: no instruction " + name)
	}
	code, numbers := i.code, make([]any, len(registers))
	for at, r := range registers {
		code |= uint32(r) << [...]int{0, 5, 16}[at]
		numbers[at] = r
	}
	g.word(code, fmt.Sprintf(i.mnemonic, numbers...))
}

// move copies a vector.
func (g gen) move(d, n int) {
	g.word(0x4ea01c00|uint32(n)<<16|uint32(n)<<5|uint32(d), fmt.Sprintf("mov v%d.16b, v%d.16b", d, n))
}

// shiftLeft and shiftRight shift the words of a vector, zeros coming in.
func (g gen) shiftLeft(d, n, by int) {
	g.word(0x4f205400|uint32(by)<<16|uint32(n)<<5|uint32(d), fmt.Sprintf("shl v%d.4s, v%d.4s, #%d", d, n, by))
}

func (g gen) shiftRight(d, n, by int) {
	g.word(0x6f000400|uint32(64-by)<<16|uint32(n)<<5|uint32(d), fmt.Sprintf("ushr v%d.4s, v%d.4s, #%d", d, n, by))
}

// dupHalves makes every half of a vector the low one of general register n, dupWords every
// word.
func (g gen) dupHalves(d, n int) {
	g.word(0x4e020c00|uint32(n)<<5|uint32(d), fmt.Sprintf("dup v%d.8h, w%d", d, n))
}

func (g gen) dupWords(d, n int) {
	g.word(0x4e040c00|uint32(n)<<5|uint32(d), fmt.Sprintf("dup v%d.4s, w%d", d, n))
}

// loadIndexed reads a vector at the sum of two general registers.
func (g gen) loadIndexed(d, base, index int) {
	g.word(0x3ce06800|uint32(index)<<16|uint32(base)<<5|uint32(d), fmt.Sprintf("ldr q%d, [x%d, x%d]", d, base, index))
}

// fmla adds the products of the four words of n with one word of m.
func (g gen) fmla(acc, n, m, lane int) {
	g.word(byElement(0x4f801000, acc, n, m, lane), fmt.Sprintf("fmla v%d.4s, v%d.4s, v%d.s[%d]", acc, n, m, lane))
}

// fmulBy and mulBy are the words of n times one word of m; mlaBy adds them, mlsBy takes
// them away.
func (g gen) fmulBy(d, n, m, lane int) {
	g.word(byElement(0x4f809000, d, n, m, lane), fmt.Sprintf("fmul v%d.4s, v%d.4s, v%d.s[%d]", d, n, m, lane))
}

func (g gen) mulBy(d, n, m, lane int) {
	g.word(byElement(0x4f808000, d, n, m, lane), fmt.Sprintf("mul v%d.4s, v%d.4s, v%d.s[%d]", d, n, m, lane))
}

func (g gen) mlaBy(acc, n, m, lane int) {
	g.word(byElement(0x6f800000, acc, n, m, lane), fmt.Sprintf("mla v%d.4s, v%d.4s, v%d.s[%d]", acc, n, m, lane))
}

func (g gen) mlsBy(acc, n, m, lane int) {
	g.word(byElement(0x6f804000, acc, n, m, lane), fmt.Sprintf("mls v%d.4s, v%d.4s, v%d.s[%d]", acc, n, m, lane))
}

// sdot adds to each word of acc the products of the four signed bytes of n's word with
// those of one word of m.
func (g gen) sdot(acc, n, m, lane int) {
	g.word(byElement(0x4f80e000, acc, n, m, lane), fmt.Sprintf("sdot v%d.4s, v%d.16b, v%d.4b[%d]", acc, n, m, lane))
}

// byElement sets the registers and the element of a vector instruction "by element" of
// 32-bit elements (Arm ARM, C4.1, "Advanced SIMD vector x indexed element").
func byElement(code uint32, d, n, m, lane int) uint32 {
	return code | uint32(lane&1)<<21 | uint32(m)<<16 | uint32(lane>>1)<<11 | uint32(n)<<5 | uint32(d)
}

// fixed makes numbers that are integers, from -256 to 255, those integers times 2²³.
func (g gen) fixed(d, n int) {
	g.word(0x4f00fc00|uint32(64-23)<<16|uint32(n)<<5|uint32(d), fmt.Sprintf("fcvtzs v%d.4s, v%d.4s, #23", d, n))
}

// f is floating-point register i, of as many bytes as the instruction says; pair two.
func f(i int) string { return fmt.Sprintf("F%d", i) }

func pair(i, j int) string { return fmt.Sprintf("(F%d, F%d)", i, j) }

func at(offset int, base string) string { return fmt.Sprintf("%d(%s)", offset, base) }

// word is one word of a vector register.
func word(r, lane int) string { return fmt.Sprintf("V%d.S[%d]", r, lane) }

// list is n vector registers from one on for VLD and VST, arranged as S4 or B16.
func list(r, n int, arranged string) string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("V%d.%s", r+i, arranged)
	}
	return "[" + strings.Join(names, ", ") + "]"
}

// arguments loads those from the first on, all of 8 bytes, into R0, R1, ….
func (g gen) arguments(names ...string) {
	for i, name := range names {
		g.Op("MOVD", fmt.Sprintf("%s+%d(FP)", name, 8*i), fmt.Sprintf("R%d", i))
	}
}

// constant makes a register a vector of equal numbers in memory, through R17.
func (g gen) constant(r int, v float64) { g.loadSymbol(r, g.Float(v)) }

// copies is a table of constants, a vector each, that loadCopies reads into registers from
// one on, two to four at a time: what FMLA adds to it overwrites, so that a polynomial
// wants copies of its coefficients, and reading takes fewer instructions than copying.
func (g gen) copies(name string, values ...float64) (symbol string) {
	var words []uint32
	for _, v := range values {
		words = append(words, slices.Repeat([]uint32{math.Float32bits(float32(v))}, lanes)...)
	}
	return g.Table(name, words) + "(SB)"
}

func (g gen) loadCopies(from string, r, n int) {
	g.Op("VLD1", "("+from+")", list(r, n, "S4"))
}

func (g gen) loadSymbol(r int, symbol string) {
	g.Op("MOVD", "$"+symbol, "R17")
	g.Op("FMOVQ", "(R17)", f(r))
}
