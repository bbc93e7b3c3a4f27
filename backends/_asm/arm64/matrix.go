package arm64

// matrix is tiles of up to six rows by 16 outputs, multiplied by instructions that take
// the 8 bytes of operands of two rows and of two outputs: sums of two by two in
// registers 8 to 31. Panels hold, for each four words of an output, the first two of
// outputs 0 and 1, of 2 and 3 and so on, then the other two alike; behind the last
// word there are zeros.
type matrix struct{ name string }

// sum is the register of rows 2p and 2p+1, outputs 2j and 2j+1.
func (matrix) sum(p, j int) int { return 8 + 8*p + j }

// Two rows' first and last words, of pairs 0, 1 and 2, and the weights.
var (
	matrixLow     = [3]int{6, 0, 2}
	matrixHigh    = [3]int{1, 3, 5}
	matrixWeights = [2]int{4, 7}
)

func (matrix) describe(g gen, rows int) {
	g.Comment("A tile of %d by 16: sums of two by two in V8 to V%d, weights in V4 and V7, operands below V7.", rows, 7+8*pairs(rows))
}

// pairs is how many pairs rows make; an odd one's last row is taken twice.
func pairs(rows int) int { return (rows + 1) / 2 }

func (m matrix) tile(g gen, p product, rows int, name func(string) string) {
	m.start(g, rows, p.codes)
	g.rowPointers(rows, "R3", "R12")
	g.Op("MOVD", call("Words"), "R2")
	g.Op("SUB", round, "R1")
	g.eachBlock(name, func(load loading) { m.products(g, rows, load) })
	g.finish(p, rows, name, m.outputs(g, rows))
}

// start begins the sums with the bias, or with the panel's header times the rows' zero
// points.
func (m matrix) start(g gen, rows int, codes bool) {
	from := "R1"
	if !codes {
		from = "R23"
	}
	g.Op("FLDPQ", at(0, from), pair(0, 1))
	g.Op("FLDPQ", at(2*bytes, from), pair(2, 3))
	for j := range 4 {
		g.v("zip1 d", m.sum(0, 2*j), j, j)
		g.v("zip2 d", m.sum(0, 2*j+1), j, j)
	}
	if codes {
		g.Op("ADD", 4*bytes, "R1")
	}
	for p := pairs(rows) - 1; p >= 0; p-- { // the first pair's sums are what others start from
		if codes {
			g.Op(pickString(2*p+1 < rows, "FMOVD", "FMOVS"), at(8*p, "R20"), f(4))
			g.v("zip1", 4, 4, 4)
		}
		for j := range 8 {
			switch {
			case codes:
				g.v("mul", m.sum(p, j), m.sum(0, j), 4)
			case p > 0:
				g.move(m.sum(p, j), m.sum(0, j))
			}
		}
	}
}

func pickString(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}

// products multiplies four words of each row.
func (m matrix) products(g gen, rows int, load loading) {
	for r := range rows {
		load(r, r)
	}
	for p := range pairs(rows) {
		first := 2 * p
		other := min(first+1, rows-1)
		g.v("zip1 d", matrixLow[p], first, other)
		g.v("zip2 d", matrixHigh[p], first, other)
	}
	for half, operands := range [][3]int{matrixLow, matrixHigh} {
		for j := 0; j < 8; j += 2 {
			op := "FLDPQ"
			offset := half*8*bytes + j*bytes
			if offset == 0 {
				op, offset = "FLDPQ.W", round
			}
			g.Op(op, at(offset, "R1"), pair(matrixWeights[0], matrixWeights[1]))
			for i := range 2 {
				for p := range pairs(rows) {
					g.v(m.name, m.sum(p, j+i), operands[p], matrixWeights[i])
				}
			}
		}
	}
}

// outputs untangles the rows, through one free register at a time: it makes all sums
// vectors of four outputs of a row, and returns where they are, by row and vector.
// Registers 0, 1 and 3 to 7 it leaves free.
func (m matrix) outputs(g gen, rows int) func(r, j int) int {
	var where [6][4]int
	free := 2
	for p := range pairs(rows) {
		for j := range 4 {
			a, b := m.sum(p, 2*j), m.sum(p, 2*j+1)
			g.v("zip1 d", free, a, b)
			where[2*p][j] = free
			if 2*p+1 < rows {
				g.v("zip2 d", b, a, b)
				where[2*p+1][j] = b
			}
			free = a
		}
	}
	return func(r, j int) int { return where[r][j] }
}
