package amd64

import "slices"

// Rows end anywhere: the last vector of one goes through a mask, K1 or, on AVX2,
// a register.

// tailMask is the register of AVX2's mask.
const tailMask = 15

// setTail makes the mask of the lowest DX words, 1 to Lanes-1. It changes CX and BX.
func (g *gen) setTail() {
	if g.wide {
		g.Op("MOVQ", "DX", "CX")
		g.Op("MOVL", 1, "BX")
		g.Op("SHLL", "CX", "BX")
		g.Op("DECL", "BX")
		g.Op("KMOVW", "BX", "K1")
		return
	}
	ones := slices.Concat(slices.Repeat([]uint32{^uint32(0)}, 8), make([]uint32, 8))
	table := g.Table("tail", ones) // read from word 8-n on it is the mask of n words
	g.Op("MOVQ", 8, "CX")
	g.Op("SUBQ", "DX", "CX")
	g.Op("LEAQ", table+"(SB)", "BX")
	g.Op("VMOVUPS", "(BX)(CX*4)", g.r(tailMask))
}

// load reads a vector, or its tail with zeros behind.
func (g *gen) load(tail bool, from string, r int) {
	switch {
	case !tail:
		g.Op("VMOVUPS", from, g.r(r))
	case g.wide:
		g.Op("VMOVUPS.Z", from, "K1", g.r(r))
	default:
		g.Op("VMASKMOVPS", from, g.r(tailMask), g.r(r))
	}
}

// store writes a vector or its tail.
func (g *gen) store(tail bool, r int, to string) {
	switch {
	case !tail:
		g.Op("VMOVUPS", g.r(r), to)
	case g.wide:
		g.Op("VMOVUPS", g.r(r), "K1", to)
	default:
		g.Op("VMASKMOVPS", g.r(r), g.r(tailMask), to)
	}
}

// clearPast zeroes what is behind the tail.
func (g *gen) clearPast(tail bool, r int) {
	switch {
	case !tail:
	case g.wide:
		g.Op("VMOVAPS.Z", g.r(r), "K1", g.r(r))
	default:
		g.Op("VANDPS", g.r(tailMask), g.r(r), g.r(r))
	}
}

// fillPast puts other's words behind the tail.
func (g *gen) fillPast(tail bool, r, other int) {
	switch {
	case !tail:
	case g.wide:
		g.Op("VBLENDMPS", g.r(r), g.r(other), "K1", g.r(r))
	default:
		g.Op("VBLENDVPS", g.r(tailMask), g.r(r), g.r(other), g.r(r))
	}
}

// eachVector writes a loop over DX words: body for whole vectors, then for the tail.
// Pointers are pushed on; DX, CX and BX change, and the mask.
func (g *gen) eachVector(pointers []string, body func(tail bool)) {
	g.loopVectors(pointers, g.setTail, body)
}

// eachTwo writes a loop over as many DX words as make two vectors a round: body for the
// vector at pointer, which is pushed on, and the odd one behind it.
func (g *gen) eachTwo(pointer string, body func(from string, odd bool)) {
	loop, rest := g.NewLabel("loop"), g.NewLabel("rest")
	g.Op("SUBQ", 2*g.lanes(), "DX")
	g.Op("JLT", rest)
	g.Label(loop)
	body(at(0, pointer), false)
	body(at(g.bytes(), pointer), true)
	g.Op("ADDQ", 2*g.bytes(), pointer)
	g.Op("SUBQ", 2*g.lanes(), "DX")
	g.Op("JGE", loop)
	g.Label(rest)
	g.Op("ADDQ", 2*g.lanes(), "DX")
}

// eachVectorAgain is EachVector where the mask stands already.
func (g *gen) eachVectorAgain(pointers []string, body func(tail bool)) {
	g.loopVectors(pointers, func() {}, body)
}

func (g *gen) loopVectors(pointers []string, mask func(), body func(tail bool)) {
	loop, rest, done := g.NewLabel("loop"), g.NewLabel("rest"), g.NewLabel("done")
	g.Op("SUBQ", g.lanes(), "DX")
	g.Op("JLT", rest)
	g.Label(loop)
	body(false)
	for _, p := range pointers {
		g.Op("ADDQ", g.bytes(), p)
	}
	g.Op("SUBQ", g.lanes(), "DX")
	g.Op("JGE", loop)
	g.Label(rest)
	g.Op("ADDQ", g.lanes(), "DX")
	g.Op("JEQ", done)
	mask()
	body(true)
	g.Label(done)
}

// reduce folds register r into its lowest word by the three-operand instruction
// op, through register t.
func (g *gen) reduce(op string, r, t int) {
	x, y := func(i int) string { return "X" + g.r(i)[1:] }, func(i int) string { return "Y" + g.r(i)[1:] }
	if g.wide {
		g.Op("VEXTRACTF64X4", 1, g.r(r), y(t))
		g.Op(op, y(t), y(r), y(r))
	}
	g.Op("VEXTRACTF128", 1, y(r), x(t))
	g.Op(op, x(t), x(r), x(r))
	g.Op("VPSHUFD", 0x4e, x(r), x(t))
	g.Op(op, x(t), x(r), x(r))
	g.Op("VPSHUFD", 0xb1, x(r), x(t))
	g.Op(op, x(t), x(r), x(r))
}
