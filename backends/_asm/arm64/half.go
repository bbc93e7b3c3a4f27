package arm64

// Products of operands that are halves, two a word. A panel holds the 16 outputs' weights of
// one input beside each other, and those of the next input behind.

// halfLanes is the number of a vector's halves, and the inputs of four words.
const halfLanes = 2 * lanes

// inputBytes are those of an input's weights.
const inputBytes = round / halfLanes

// eachInput multiplies by n inputs of each row, which are in registers from 0 on: body for
// each, whose weights are in two registers that turn by turn are one of pairs. step: the
// first load steps the panel's pointer on to them.
func (g gen) eachInput(n int, pairs []int, step bool, body func(lane, weights int)) {
	for lane := range n {
		w := pairs[lane%len(pairs)]
		switch {
		case lane == 0 && step:
			g.Op("FLDPQ.W", at(round, "R1"), pair(w, w+1))
		case step:
			g.Op("FLDPQ", at(lane*inputBytes, "R1"), pair(w, w+1))
		default:
			g.Op("FLDPQ", at(round+lane*inputBytes, "R1"), pair(w, w+1))
		}
		body(lane, w)
	}
}

// eachHalfWord is the rest of eachFourWords: word by word.
func (g gen) eachHalfWord(rows int, one string, pairs []int, body func(lane, weights int)) {
	g.Label(one)
	for r := range rows {
		g.Op("FMOVS.P", at(4, base(r)), f(r))
	}
	g.eachInput(2, pairs, false, body)
	g.Op("ADD", 2*inputBytes, "R1")
	g.Op("SUBS", 1, "R2")
	g.Op("BNE", one)
}

// widening is tiles of up to six rows by 16 outputs whose products FMLAL adds up in float32:
// registers as element has them.
type widening struct{ element }

func (w widening) tile(g gen, p product, rows int, name func(string) string) {
	weights := []int{6}
	body := func(lane, _ int) { w.dots(g, rows, lane) }
	w.start(g, rows)
	g.rowPointers(rows, "R3", "R12")
	g.Op("MOVD", call("Words"), "R2")
	g.Op("SUB", round, "R1")
	g.eachFourWords(name, func(load loading) {
		for r := range rows {
			load(r, r)
		}
		g.eachInput(halfLanes, weights, true, body)
	}, func() { g.eachHalfWord(rows, name("one"), weights, body) })
	g.finish(p, rows, name, w.sum)
}

// dots adds the products of an input with the weights in 6 and 7.
func (w widening) dots(g gen, rows, lane int) {
	for j := range 4 {
		fmlal := [2]string{"fmlal", "fmlal2"}[j%2]
		for r := range rows {
			g.byHalf(fmlal, w.sum(r, j), 6+j/2, r, lane)
		}
	}
}

// halfSums is tiles of up to four rows by 16 outputs whose products FMLA adds up in halves,
// spanWords words of a row at a time, which are then added to sums in float32:
// backends.DotHalves.
type halfSums struct{}

// spanWords words hold backends.HalfSpan operands.
const spanWords = 16

// Registers: four words of each row's operands from 0 on, weights of two inputs, the half
// sums of a row's eight outputs, and its sums of four.
var halfWeights = []int{4, 6}

func (halfSums) half(r, j int) int { return 8 + 2*r + j }
func (halfSums) sum(r, j int) int  { return 16 + 4*r + j }

func (halfSums) describe(g gen, rows int) {
	g.Comment("A tile of %d by 16: sums in V16 to V%d, half sums in V8 to V%d, operands in V0 to V%d, weights in V4 to V7.", rows, 15+4*rows, 7+2*rows, rows-1)
}

func (h halfSums) tile(g gen, p product, rows int, name func(string) string) {
	for r := range rows {
		g.bias(h.sum(r, 0))
	}
	g.rowPointers(rows, "R3", "R12")
	g.Op("MOVD", call("Words"), "R2")
	g.Op("SUB", round, "R1")
	g.Op("PCALIGN", 16)
	g.Label(name("span"))
	g.Op("SUBS", spanWords, "R2")
	g.Op("BLT", name("last"))
	for four := range spanWords / 4 {
		h.products(g, rows, four == 0)(g.wholeOperands)
	}
	h.widen(g, rows)
	g.Op("CBNZ", "R2", name("span"))
	g.Op("B", name("sums"))
	g.Label(name("last"))
	g.Op("ADD", spanWords, "R2")
	for r := range 2 * rows {
		g.v("movi 0", h.half(0, r))
	}
	g.eachFourWords(name, h.products(g, rows, false), func() {
		g.eachHalfWord(rows, name("one"), halfWeights, h.dots(g, rows, false))
	})
	h.widen(g, rows)
	g.Label(name("sums"))
	g.finish(p, rows, name, h.sum)
}

// products multiplies four words of each row. first: the half sums begin with them.
func (h halfSums) products(g gen, rows int, first bool) func(loading) {
	return func(load loading) {
		for r := range rows {
			load(r, r)
		}
		g.eachInput(halfLanes, halfWeights, true, h.dots(g, rows, first))
	}
}

func (h halfSums) dots(g gen, rows int, first bool) func(lane, weights int) {
	return func(lane, weights int) {
		name := "fmla h"
		if first && lane == 0 {
			name = "fmul h"
		}
		for j := range 2 {
			for r := range rows {
				g.byHalf(name, h.half(r, j), weights+j, r, lane)
			}
		}
	}
}

// widen adds the half sums to those in float32, through registers 0 to 7, four at a time.
func (h halfSums) widen(g gen, rows int) {
	const some = 4
	for from := 0; from < 2*rows; from += some {
		to := min(from+some, 2*rows)
		for i := from; i < to; i++ {
			t := 2 * (i - from)
			g.v("fcvtl", t, h.half(0, i))
			g.v("fcvtl2", t+1, h.half(0, i))
		}
		for i := from; i < to; i++ {
			for k := range 2 {
				g.v("fadd", h.sum(0, 2*i+k), h.sum(0, 2*i+k), 2*(i-from)+k)
			}
		}
	}
}

// Registers of the conversion to halves: the bounds.
const halfLeast, halfMost = 30, 31

func (g gen) halfBounds() {
	g.constant(halfLeast, -65504)
	g.constant(halfMost, 65504)
}

// toHalves rounds n registers from one on, an even number, to half that many from there on.
func (g gen) toHalves(r, n int) {
	for i := range n {
		g.v("fmin", r+i, r+i, halfMost)
	}
	for i := range n {
		g.v("fmax", r+i, r+i, halfLeast)
	}
	for i := range n / 2 {
		g.v("fcvtn", r+i, r+2*i)
		g.v("fcvtn2", r+i, r+2*i+1)
	}
}

// pairsF16 writes pairsF16: n numbers, a multiple of 8 and more than 0, as halves two to a
// word.
func (g gen) pairsF16() {
	g.Func("pairsF16", 24, "(dst *uint32, src *float32, n int)")
	g.arguments("dst", "src", "n")
	g.halfBounds()
	g.Label("loop")
	g.loadMore(0, 2)
	g.toHalves(0, 2)
	g.Op("FMOVQ.P", f(0), at(bytes, "R0"))
	g.Op("SUBS", halfLanes, "R2")
	g.Op("BNE", "loop")
	g.Op("RET")
}

// packRowsF16 writes packRowsF16: rows of 16 numbers, step bytes apart, one behind the other.
func (g gen) packRowsF16() {
	g.Func("packRowsF16", 32, "(panel *uint32, src *float32, step, rows int)")
	g.arguments("panel", "src", "step", "rows")
	g.halfBounds()
	g.Label("row")
	for j := 0; j < 4; j += 2 {
		g.Op("FLDPQ", at(j*bytes, "R1"), pair(j, j+1))
	}
	g.Op("ADD", "R2", "R1")
	g.toHalves(0, 4)
	g.Op("FSTPQ.P", pair(0, 1), at(2*bytes, "R0"))
	g.Op("SUBS", 1, "R3")
	g.Op("BNE", "row")
	g.Op("RET")
}

// splitPairs writes splitPairs: of each 16 words the low halves, then the high ones, n times
// in place.
func (g gen) splitPairs() {
	g.Func("splitPairs", 16, "(panel *uint32, n int)")
	g.arguments("panel", "n")
	g.Label("loop")
	g.Op("FLDPQ", at(0, "R0"), pair(0, 1))
	g.Op("FLDPQ", at(2*bytes, "R0"), pair(2, 3))
	g.v("uzp1 h", 4, 0, 1)
	g.v("uzp1 h", 5, 2, 3)
	g.v("uzp2 h", 6, 0, 1)
	g.v("uzp2 h", 7, 2, 3)
	g.Op("FSTPQ.P", pair(4, 5), at(2*bytes, "R0"))
	g.Op("FSTPQ.P", pair(6, 7), at(2*bytes, "R0"))
	g.Op("SUBS", 1, "R1")
	g.Op("BNE", "loop")
	g.Op("RET")
}
