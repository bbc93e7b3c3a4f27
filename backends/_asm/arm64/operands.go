package arm64

import "fmt"

// Rows' operands come four words at a time, row r's into register r.

// round is the bytes of a panel of 16 outputs that four words of its operands are
// multiplied with. Where a round's first load steps on to them, the panel's pointer begins
// as many before.
const round = 4 * elementCols * lanes

// eachFourWords writes a layout's loop over the words of the operands: body for four of
// each row, in registers, then, where one to three are left, rest. R2 changes.
func (g gen) eachFourWords(rows int, name func(string) string, body, rest func()) {
	g.Op("CMP", 0, "R2")
	g.Op("BGT", name("rest"))
	g.Op("PCALIGN", 16)
	g.Label(name("loop"))
	for r := range rows {
		g.loadIndexed(r, base(r), 2)
	}
	body()
	g.Op("ADDS", bytes, "R2")
	g.Op("BLE", name("loop"))
	g.Label(name("rest"))
	g.Op("CMP", bytes, "R2")
	g.Op("BEQ", name("end"))
	rest()
	g.Label(name("end"))
}

// eachBlock is eachFourWords where zeros follow a row's last words, as in its panel.
func (g gen) eachBlock(rows int, name func(string) string, body func()) {
	g.eachFourWords(rows, name, body, func() {
		g.tailOperands(rows, name)
		body()
	})
}

// tailOperands reads the last one to three words of each row, with zeros behind; R2 is 4,
// 8 or 12 where they are three, two or one.
func (g gen) tailOperands(rows int, name func(string) string) {
	g.Op("TBNZ", 3, "R2", name("few"))
	for r := range rows {
		g.Op("FMOVD", fmt.Sprintf("(R%d)(R2)", base(r)), f(r))
		g.Op("ADD", "R2", fmt.Sprintf("R%d", base(r)), "R13")
		g.Op("ADD", 8, "R13")
		g.Op("VLD1", "(R13)", fmt.Sprintf("V%d.S[2]", r))
	}
	g.Op("B", name("tail"))
	g.Label(name("few"))
	g.Op("TBNZ", 2, "R2", name("single"))
	for r := range rows {
		g.Op("FMOVD", fmt.Sprintf("(R%d)(R2)", base(r)), f(r))
	}
	g.Op("B", name("tail"))
	g.Label(name("single"))
	for r := range rows {
		g.Op("FMOVS", fmt.Sprintf("(R%d)(R2)", base(r)), f(r))
	}
	g.Label(name("tail"))
}
