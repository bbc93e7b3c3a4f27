package arm64

// Resampling: strips of 48 bytes as sums of as many strips, each times a weight of 22
// fractional bits. Where pixels lie above one another, the strips are parts of rows; where
// they lie side by side, 16 rows are transposed first, so that a strip is a pixel: three
// channels of 16 rows.
//
// A byte times a weight is the byte times the weight's lower half, added in 32 bits, and
// times its upper half, which must be a signed byte, added in 16: what these lose was
// beyond 32 bits. That takes six multiplications for 16 products where 32-bit ones
// take four of twice the time. The bytes lose their sign's 128 for the latter, which
// comes back once for all of a strip.

// strip is the number of bytes of a strip.
const strip = 48

// Registers of a strip's sums. Low ones hold four words each, 16 bytes' in a row; high
// ones eight halves.
const (
	stripLow, stripHigh   = 8, 20
	stripLost, stripMinus = 26, 27 // what the high ones are short of; -128
)

// strip48 writes a strip at R0, which is pushed on, from those at R9, the register named
// step apart, and R11 weights at R10. R9 to R11 change.
func (g gen) strip48(step string) {
	weigh, done := g.NewLabel("weigh"), g.NewLabel("done")
	g.weighed(step, true)
	g.Op("SUBS", 1, "R11")
	g.Op("BEQ", done)
	g.Op("PCALIGN", 16)
	g.Label(weigh)
	g.weighed(step, false)
	g.Op("SUBS", 1, "R11")
	g.Op("BNE", weigh)
	g.Label(done)
	for i := range 3 {
		low, high := stripLow+4*i, stripHigh+2*i
		for half := range 2 {
			g.v("uzp2 h", low+2*half, low+2*half, low+2*half+1)
			g.v("add h", high+half, high+half, stripLost)
			g.v("add h", high+half, high+half, low+2*half)
		}
		g.shift("sqrshrun", 1+i, high, 6)
		g.shift("sqrshrun2", 1+i, high+1, 6)
	}
	g.Op("FSTPQ.P", pair(1, 2), at(2*bytes, "R0"))
	g.Op("FMOVQ.P", f(3), at(bytes, "R0"))
}

// weighed adds the products of a strip and a weight, or begins with them.
func (g gen) weighed(step string, first bool) {
	const weight, upper = 0, 4
	wide := [...]int{5, 6, 7, 28, 29, 30}
	low, high, lost := "umlal", "smlal", "smlsl h"
	if first {
		low, high = "umull", "smull"
		g.moviBytes(stripLost, 0)
	}
	g.Op("FMOVS.P", at(4, "R10"), f(weight))
	g.Op("FLDPQ", "(R9)", pair(1, 2))
	g.Op("FMOVQ", at(2*bytes, "R9"), f(3))
	g.Op("ADD", step, "R9")
	g.dupByte(upper, weight, 2)
	for i, from := range []int{1, 2, 3} { // ahead of their use, for processors that go in order
		g.v("uxtl", wide[2*i], from)
		g.v("uxtl2", wide[2*i+1], from)
		g.v("eor", from, from, stripMinus)
	}
	for i, from := range wide {
		g.byHalf(low, stripLow+2*i, from, weight, 0)
		g.byHalf(low+"2", stripLow+2*i+1, from, weight, 0)
	}
	for i, from := range []int{1, 2, 3} {
		g.v(high+" h", stripHigh+2*i, from, upper)
		g.v(high+"2h", stripHigh+2*i+1, from, upper)
	}
	g.v(lost, stripLost, stripMinus, upper)
}

// resampleRows writes rowsNEON: strips side by side, of rows under one another.
func (g gen) resampleRows() {
	g.Func("rowsNEON", 48, "(dst, rows *byte, stride int, weights *int32, count, strips int)")
	g.arguments("dst", "rows", "stride", "weights", "count", "strips")
	g.moviBytes(stripMinus, 128)
	g.Label("strip")
	g.Op("MOVD", "R1", "R9")
	g.Op("MOVD", "R3", "R10")
	g.Op("MOVD", "R4", "R11")
	g.strip48("R2")
	g.Op("ADD", strip, "R1")
	g.Op("SUBS", 1, "R5")
	g.Op("BNE", "strip")
	g.Op("RET")
}

// resampleTaps writes tapsNEON: a strip of each tap, of those one behind the other.
func (g gen) resampleTaps() {
	g.Func("tapsNEON", 40, "(dst, strips *byte, taps *tap, weights *int32, outs int)")
	g.arguments("dst", "strips", "taps", "weights", "outs")
	g.moviBytes(stripMinus, 128)
	g.Op("MOVD", strip, "R5")
	g.Label("tap")
	g.Op("MOVWU", "tap_first(R2)", "R9")
	g.Op("MOVWU", "tap_count(R2)", "R11")
	g.Op("MOVWU", "tap_weights(R2)", "R10")
	g.Op("ADD", "$tap__size", "R2")
	g.Op("MADD", "R5", "R1", "R9", "R9")
	g.Op("ADD", "R10<<2", "R3", "R10")
	g.strip48("R5")
	g.Op("SUBS", 1, "R4")
	g.Op("BNE", "tap")
	g.Op("RET")
}

// transpose16 writes transposeNEON: blocks of 16×16 bytes, from rows srcStep bytes apart to
// rows dstStep apart, each block's first row dstNext and srcNext from the last one's.
func (g gen) transpose16() {
	const side = 16
	g.Func("transposeNEON", 56, "(dst, src *byte, dstStep, srcStep, dstNext, srcNext, blocks int)")
	g.arguments("dst", "src", "dstStep", "srcStep", "dstNext", "srcNext", "blocks")
	g.Label("block")
	g.Op("MOVD", "R0", "R8")
	g.Op("MOVD", "R1", "R9")
	for r := range side {
		g.Op("VLD1.P", "(R9)(R3)", list(r, 1, "B16"))
	}
	from := g.turn(0, side, "b", "h", "s", "d")
	for r := range side {
		g.Op("VST1.P", list(from+r, 1, "B16"), "(R8)(R2)")
	}
	g.Op("ADD", "R4", "R0")
	g.Op("ADD", "R5", "R1")
	g.Op("SUBS", 1, "R6")
	g.Op("BNE", "block")
	g.Op("RET")
}

func (g gen) resampling() string {
	g.resampleRows()
	g.resampleTaps()
	g.transpose16()
	return g.String()
}
