package arm64

// element is tiles of up to six rows by 16 outputs, multiplied by one word of a row's
// operands at a time: the sums in registers 8 to 31, four words of each row's operands in
// 0 to 5, weights in 6 and 7. Panels are interleaved by word.
type element struct {
	// dot adds the products of b and a word of a to acc.
	dot func(g gen, acc, b, a, lane int)
}

const elementCols = 16

func (element) sum(r, j int) int { return 8 + 4*r + j }

func (element) describe(g gen, rows int) {
	g.Comment("A tile of %d by 16: sums in V8 to V%d, operands in V0 to V%d, weights in V6 and V7.", rows, 7+4*rows, rows-1)
}

func (e element) tile(g gen, p product, rows int, name func(string) string) {
	if p.codes {
		e.startCodes(g, rows)
	} else {
		e.start(g, rows)
	}
	g.rowPointers(rows, "R3", "R12")
	g.Op("MOVD", call("Words"), "R2")
	g.Op("SUB", round, "R1")
	g.eachFourWords(name, func(load loading) {
		for r := range rows {
			load(r, r)
		}
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
	g.finish(p, rows, name, e.sum)
}

// start begins every row's sums with the bias.
func (e element) start(g gen, rows int) {
	for r := range rows {
		g.bias(e.sum(r, 0))
	}
}

// bias reads that of 16 outputs into registers from one on.
func (g gen) bias(r int) {
	g.Op("FLDPQ", at(0, "R23"), pair(r, r+1))
	g.Op("FLDPQ", at(2*bytes, "R23"), pair(r+2, r+3))
}

// startCodes begins them with the panel's header times the row's zero point.
func (e element) startCodes(g gen, rows int) {
	g.Op("FLDPQ.P", at(2*bytes, "R1"), pair(0, 1))
	g.Op("FLDPQ.P", at(2*bytes, "R1"), pair(2, 3))
	for r := range rows {
		g.lanesOf("R20", rows, r, 4)
		for j := range 4 {
			g.mulBy(e.sum(r, j), j, 4, r%4)
		}
	}
}

// rest multiplies what is left of each row word by word.
func (e element) rest(g gen, rows int, one string) {
	g.Label(one)
	for r := range rows {
		g.Op("FMOVS.P", at(4, base(r)), f(r))
	}
	for j := 0; j < 4; j += 2 {
		g.Op("FLDPQ", at(round+j*bytes, "R1"), pair(6, 7))
		e.dots(g, rows, j, 0)
	}
	g.Op("ADD", 4*bytes, "R1")
	g.Op("SUBS", 1, "R2")
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
