package arm64

import "fmt"

// The inverse DCT of package baseline, in 32 bits as there. Both passes go over columns,
// with the block transposed between them and the bytes at the end.

// idctFactors are package baseline's constants by what they are called there, in the
// order in which they lie in registers; then where the bytes of a transposed 4×4 block
// come from.
var idctFactors = []struct {
	name   string
	factor int32
}{
	{"0541", 4433}, {"0765", 6270}, {"1847", 15137}, {"1175", 9633},
	{"-0899", -7373}, {"-2562", -20995}, {"-1961", -16069}, {"-0390", -3196},
	{"0298", 2446}, {"2053", 16819}, {"3072", 25172}, {"1501", 12299},
	{"turn", 0x0c080400}, {"", 0x0d090501}, {"", 0x0e0a0602}, {"", 0x0f0b0703},
}

// factorsFrom is the first register of the factors, turnBytes that of what lies behind.
const (
	factorsFrom = 28
	turnBytes   = 31
)

// inverseFunc begins a function of the inverse DCT, whose arguments go to R0 to R2.
func (g gen) inverseFunc(name string) {
	g.Func(name, 24, "(dst *byte, stride int, coef *[64]int32)")
	g.arguments("dst", "stride", "coef")
	var words []uint32
	for _, c := range idctFactors {
		words = append(words, uint32(c.factor))
	}
	g.Op("MOVD", "$"+g.Table("factors", words)+"(SB)", "R17")
	g.Op("FLDPQ", "(R17)", pair(factorsFrom, factorsFrom+1))
	g.Op("FLDPQ", at(2*bytes, "R17"), pair(factorsFrom+2, factorsFrom+3))
}

// factor finds a factor's register and word.
func factor(name string) (r, lane int) {
	for i, c := range idctFactors {
		if c.name == name {
			return factorsFrom + i/lanes, i % lanes
		}
	}
	panic("arm64: no factor " + name)
}

// times makes d the product of n and a factor; plus and minus add it to d and take it away.
func (g gen) times(d, n int, name string) {
	r, lane := factor(name)
	g.mulBy(d, n, r, lane)
}

func (g gen) plus(d, n int, name string) {
	r, lane := factor(name)
	g.mlaBy(d, n, r, lane)
}

func (g gen) minus(d, n int, name string) {
	r, lane := factor(name)
	g.mlsBy(d, n, r, lane)
}

// both makes sum a + b and difference a - b.
func (g gen) both(sum, difference, a, b int) {
	g.v("add", sum, a, b)
	g.v("sub", difference, a, b)
}

// rounded ends a first pass: 13 fractional bits less 2 that are kept.
func (g gen) rounded(registers []int) {
	for _, r := range registers {
		g.shift("srshr", r, r, 11)
	}
}

// half adds to a second pass's first numbers what rounds its results: half of 2^18, which
// is 16 before the shift by 13.
func (g gen) half(registers ...int) {
	g.moviWords(16, 16)
	for _, r := range registers {
		g.v("add", r, r, 16)
	}
}

// pass8 transforms four columns, x, by even8 and odd8, through 16 to 27.
func (g gen) pass8(x []int) {
	g.v("add", 16, x[2], x[6])
	g.times(16, 16, "0541")
	g.times(17, x[2], "0765")
	g.v("add", 17, 17, 16)     // t3
	g.minus(16, x[6], "1847")  // t2
	g.both(18, 19, x[0], x[4]) // t0, t1
	g.shiftLeft(18, 18, 13)
	g.shiftLeft(19, 19, 13)
	g.both(20, 21, 18, 17)     // e0, e3
	g.both(22, 23, 19, 16)     // e1, e2
	g.v("add", 16, x[7], x[3]) // z3
	g.v("add", 17, x[5], x[1]) // z4
	g.v("add", 19, x[7], x[1])
	g.v("add", 24, x[5], x[3])
	g.v("add", 18, 16, 17)
	g.times(18, 18, "1175")  // z5
	g.times(19, 19, "-0899") // z1
	g.times(24, 24, "-2562") // z2
	g.times(16, 16, "-1961")
	g.v("add", 16, 16, 18)  // z3 + z5
	g.plus(18, 17, "-0390") // z4 + z5
	g.v("add", 25, 19, 16)
	g.v("add", 26, 24, 18)
	g.v("add", 27, 24, 16)
	g.v("add", 17, 19, 18)
	g.plus(25, x[7], "0298") // o0
	g.plus(26, x[5], "2053") // o1
	g.plus(27, x[3], "3072") // o2
	g.plus(17, x[1], "1501") // o3
	g.both(x[0], x[7], 20, 17)
	g.both(x[1], x[6], 22, 27)
	g.both(x[2], x[5], 23, 26)
	g.both(x[3], x[4], 21, 25)
}

// inverse8 writes inverse8: of row y of the coefficients the first half is in register y,
// the other in 8 + y; once transposed, of column x the first half is in left[x].
func (g gen) inverse8() {
	left, right := []int{0, 1, 2, 3, 8, 9, 10, 11}, []int{4, 5, 6, 7, 12, 13, 14, 15}
	rows := [][]int{{0, 1, 2, 3, 4, 5, 6, 7}, {8, 9, 10, 11, 12, 13, 14, 15}}
	g.inverseFunc("inverse8NEON")
	for y := range 8 {
		g.Op("FLDPQ", at(2*bytes*y, "R2"), pair(y, 8+y))
	}
	for _, x := range rows {
		g.pass8(x)
		g.rounded(x)
	}
	for r := 0; r < 16; r += lanes {
		g.turn(r, 16, "s", "d")
	}
	g.half(left[0], right[0])
	g.pass8(left)
	g.pass8(right)
	for x := range 8 {
		g.v("uzp2 h", left[x], left[x], right[x]) // what is above 16 bits
	}
	g.moviBytes(27, 128)
	for x := range 4 { // columns x and 4 + x
		g.shift("sqshrn b", 16+x, left[x], 2)
		g.shift("sqshrn2b", 16+x, left[4+x], 2)
		g.v("eor", 16+x, 16+x, 27)
	}
	g.turn(16, 20, "b", "h")
	for i := range 2 { // rows y and 4 + y of four columns, and of the others
		g.v("uzp1", i, 16+2*i, 17+2*i)
		g.v("uzp2", 2+i, 16+2*i, 17+2*i)
	}
	for y := range 8 {
		g.Op("VST1.P", fmt.Sprintf("V%d.D[%d]", y/2, y%2), "(R0)(R1)")
	}
	g.Op("RET")
}

// pass4 transforms registers 0 to 3 by inverse1x4, through 16 to 19.
func (g gen) pass4() {
	g.v("add", 16, 1, 3)
	g.times(16, 16, "0541")
	g.times(17, 1, "0765")
	g.v("add", 17, 17, 16) // p
	g.minus(16, 3, "1847") // q
	g.both(18, 19, 0, 2)
	g.shiftLeft(18, 18, 13)
	g.shiftLeft(19, 19, 13)
	g.both(0, 3, 18, 17)
	g.both(1, 2, 19, 16)
}

// inverse4 writes inverse4.
func (g gen) inverse4() {
	g.inverseFunc("inverse4NEON")
	for y := range 4 {
		g.Op("FMOVQ", at(2*bytes*y, "R2"), f(y))
	}
	g.pass4()
	g.rounded([]int{0, 1, 2, 3})
	g.turn(0, 16, "s", "d")
	g.half(0)
	g.pass4()
	g.v("uzp2 h", 0, 0, 1)
	g.v("uzp2 h", 2, 2, 3)
	g.shift("sqshrn b", 0, 0, 2)
	g.shift("sqshrn2b", 0, 2, 2)
	g.moviBytes(16, 128)
	g.v("eor", 0, 0, 16)
	g.v("tbl", 0, 0, turnBytes)
	for y := range 4 {
		g.Op("VST1.P", fmt.Sprintf("V0.S[%d]", y), "(R0)(R1)")
	}
	g.Op("RET")
}

func (g gen) inverses() string {
	g.inverse8()
	g.inverse4()
	return g.String()
}
