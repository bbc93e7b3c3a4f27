package emit

// Rows end anywhere: the last vector of one goes through a mask, K1 or, on AVX2,
// a register.

// tailMask is the register of AVX2's mask.
const tailMask = 15

// SetTail makes the mask of the lowest DX words, 1 to Lanes-1. It changes CX and BX.
func (g *Gen) SetTail() {
	if g.Wide {
		g.Op("MOVQ", "DX", "CX")
		g.Op("MOVL", 1, "BX")
		g.Op("SHLL", "CX", "BX")
		g.Op("DECL", "BX")
		g.Op("KMOVW", "BX", "K1")
		return
	}
	g.tail = true
	g.Op("MOVQ", 8, "CX")
	g.Op("SUBQ", "DX", "CX")
	g.Op("LEAQ", "tail<>(SB)", "BX")
	g.Op("VMOVUPS", "(BX)(CX*4)", g.R(tailMask))
}

// Load reads a vector, or its tail with zeros behind.
func (g *Gen) Load(tail bool, from string, r int) {
	switch {
	case !tail:
		g.Op("VMOVUPS", from, g.R(r))
	case g.Wide:
		g.Op("VMOVUPS.Z", from, "K1", g.R(r))
	default:
		g.Op("VMASKMOVPS", from, g.R(tailMask), g.R(r))
	}
}

// Store writes a vector or its tail.
func (g *Gen) Store(tail bool, r int, to string) {
	switch {
	case !tail:
		g.Op("VMOVUPS", g.R(r), to)
	case g.Wide:
		g.Op("VMOVUPS", g.R(r), "K1", to)
	default:
		g.Op("VMASKMOVPS", g.R(r), g.R(tailMask), to)
	}
}

// ClearPast zeroes what is behind the tail.
func (g *Gen) ClearPast(tail bool, r int) {
	switch {
	case !tail:
	case g.Wide:
		g.Op("VMOVAPS.Z", g.R(r), "K1", g.R(r))
	default:
		g.Op("VANDPS", g.R(tailMask), g.R(r), g.R(r))
	}
}

// FillPast puts other's words behind the tail.
func (g *Gen) FillPast(tail bool, r, other int) {
	switch {
	case !tail:
	case g.Wide:
		g.Op("VBLENDMPS", g.R(r), g.R(other), "K1", g.R(r))
	default:
		g.Op("VBLENDVPS", g.R(tailMask), g.R(r), g.R(other), g.R(r))
	}
}

// EachVector writes a loop over DX words: body for whole vectors, then for the tail.
// Pointers are pushed on; DX, CX and BX change, and the mask.
func (g *Gen) EachVector(pointers []string, body func(tail bool)) {
	g.eachVector(pointers, func() { g.SetTail() }, body)
}

// EachTwo writes a loop over as many DX words as make two vectors a round: body for the
// vector at pointer, which is pushed on, and the odd one behind it.
func (g *Gen) EachTwo(pointer string, body func(from string, odd bool)) {
	loop, rest := g.NewLabel("loop"), g.NewLabel("rest")
	g.Op("SUBQ", 2*g.Lanes(), "DX")
	g.Op("JLT", rest)
	g.Label(loop)
	body(at(0, pointer), false)
	body(at(g.Bytes(), pointer), true)
	g.Op("ADDQ", 2*g.Bytes(), pointer)
	g.Op("SUBQ", 2*g.Lanes(), "DX")
	g.Op("JGE", loop)
	g.Label(rest)
	g.Op("ADDQ", 2*g.Lanes(), "DX")
}

// EachVectorAgain is EachVector where the mask stands already.
func (g *Gen) EachVectorAgain(pointers []string, body func(tail bool)) {
	g.eachVector(pointers, func() {}, body)
}

func (g *Gen) eachVector(pointers []string, mask func(), body func(tail bool)) {
	loop, rest, done := g.NewLabel("loop"), g.NewLabel("rest"), g.NewLabel("done")
	g.Op("SUBQ", g.Lanes(), "DX")
	g.Op("JLT", rest)
	g.Label(loop)
	body(false)
	for _, p := range pointers {
		g.Op("ADDQ", g.Bytes(), p)
	}
	g.Op("SUBQ", g.Lanes(), "DX")
	g.Op("JGE", loop)
	g.Label(rest)
	g.Op("ADDQ", g.Lanes(), "DX")
	g.Op("JEQ", done)
	mask()
	body(true)
	g.Label(done)
}

// Reduce folds register r into its lowest word by the three-operand instruction
// op, through register t.
func (g *Gen) Reduce(op string, r, t int) {
	x, y := func(i int) string { return "X" + g.R(i)[1:] }, func(i int) string { return "Y" + g.R(i)[1:] }
	if g.Wide {
		g.Op("VEXTRACTF64X4", 1, g.R(r), y(t))
		g.Op(op, y(t), y(r), y(r))
	}
	g.Op("VEXTRACTF128", 1, y(r), x(t))
	g.Op(op, x(t), x(r), x(r))
	g.Op("VPSHUFD", 0x4e, x(r), x(t))
	g.Op(op, x(t), x(r), x(r))
	g.Op("VPSHUFD", 0xb1, x(r), x(t))
	g.Op(op, x(t), x(r), x(r))
}
