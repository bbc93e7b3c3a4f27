package arm64

import "fmt"

// Rows' operands come four words at a time, from pointers that step on.

// round is the bytes of a panel of 16 outputs that four words of its operands are
// multiplied with. Where a round's first load steps on to them, the panel's pointer begins
// as many before.
const round = 4 * elementCols * lanes

// base is the general register of row r's operands.
func base(r int) string { return fmt.Sprintf("R%d", 6+r) }

// loading reads operands of row r into a vector register.
type loading func(r, into int)

// eachFourWords writes a layout's loop over R2 words of each row's operands: body for four
// of each, two of them a turn, then rest where one to three are left, in R2.
func (g gen) eachFourWords(name func(string) string, body func(loading), rest func()) {
	g.Op("SUBS", 8, "R2")
	g.Op("BLT", name("four"))
	g.Op("PCALIGN", 16)
	g.Label(name("loop"))
	body(g.wholeOperands)
	body(g.wholeOperands)
	g.Op("SUBS", 8, "R2")
	g.Op("BGE", name("loop"))
	g.Label(name("four"))
	g.Op("TBZ", 2, "R2", name("rest"))
	body(g.wholeOperands)
	g.Label(name("rest"))
	g.Op("ANDS", 3, "R2")
	g.Op("BEQ", name("end"))
	rest()
	g.Label(name("end"))
}

// eachBlock is eachFourWords where zeros follow a row's last words, as in its panel.
func (g gen) eachBlock(name func(string) string, body func(loading)) {
	g.eachFourWords(name, body, func() { body(g.tailOperands) })
}

// wholeOperands is the loading of four words.
func (g gen) wholeOperands(r, into int) { g.Op("FMOVQ.P", at(bytes, base(r)), f(into)) }

// tailOperands is the loading of a row's last R2 words, with zeros behind.
func (g gen) tailOperands(r, into int) { g.load(true, base(r), into) }
