package arm64

import "fmt"

// element is tiles of up to six rows by 16 outputs, multiplied by one word of a row's
// operands at a time: the sums in registers 8 to 31, four words of each row's operands in
// 0 to 5, weights in 6 and 7. Panels are interleaved by word.
type element struct {
	// dot adds the products of b and a word of a to acc.
	dot func(g gen, acc, b, a, lane int)
}

const elementCols = 16

func (element) cols() int { return elementCols }

func (element) sum(r, j int) int { return 8 + 4*r + j }

func (element) describe(g gen, rows int) {
	g.Comment("A tile of %d by 16: sums in V8 to V%d, operands in V0 to V%d, weights in V6 and V7.", rows, 7+4*rows, rows-1)
}

func (e element) start(g gen, rows int, codes bool) {
	if codes {
		g.Op("FLDPQ", at(0, "R1"), pair(0, 1))
		g.Op("FLDPQ", at(2*bytes, "R1"), pair(2, 3))
		g.Op("ADD", 4*bytes, "R1")
		for r := range rows {
			g.Op("FMOVS", at(4*r, "R14"), f(4))
			for j := range 4 {
				g.mulBy(e.sum(r, j), j, 4)
			}
		}
		return
	}
	g.Op("FLDPQ", at(0, "R14"), pair(e.sum(0, 0), e.sum(0, 1)))
	g.Op("FLDPQ", at(2*bytes, "R14"), pair(e.sum(0, 2), e.sum(0, 3)))
	for r := 1; r < rows; r++ {
		for j := range 4 {
			g.move(e.sum(r, j), e.sum(0, j))
		}
	}
}

func (e element) multiply(g gen, rows int, name func(string) string) {
	g.Op("SUB", round, "R1")
	g.eachFourWords(rows, name, func() {
		for lane := range 4 {
			for j := 0; j < 4; j += 2 {
				if lane == 0 && j == 0 {
					g.Op("FLDPQ.W", at(round, "R1"), pair(6, 7))
				} else {
					g.Op("FLDPQ", at(lane*4*bytes+j*bytes, "R1"), pair(6, 7))
				}
				e.dots(g, rows, j, lane)
			}
		}
	}, func() { e.rest(g, rows, name("one")) })
}

// rest multiplies what is left of each row word by word.
func (e element) rest(g gen, rows int, one string) {
	g.Label(one)
	for r := range rows {
		g.Op("FMOVS", fmt.Sprintf("(R%d)(R2)", base(r)), f(r))
	}
	for j := 0; j < 4; j += 2 {
		g.Op("FLDPQ", at(round+j*bytes, "R1"), pair(6, 7))
		e.dots(g, rows, j, 0)
	}
	g.Op("ADD", 4*bytes, "R1")
	g.Op("ADD", 4, "R2")
	g.Op("CMP", bytes, "R2")
	g.Op("BNE", one)
}

// dots adds the products of weights 6 and 7.
func (e element) dots(g gen, rows, j, lane int) {
	for i := range 2 {
		for r := range rows {
			e.dot(g, e.sum(r, j+i), 6+i, r, lane)
		}
	}
}

func (e element) outputs(gen, int) func(r, j int) int { return e.sum }
