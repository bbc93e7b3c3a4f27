package arm64

// Rows end anywhere: a last vector of one to three words is read and written in parts.

// tailMask is the register of a mask of the tail's words.
const tailMask = 31

// setTail makes the mask of the lowest R2 words, 1 to 3.
func (g gen) setTail() {
	table := g.Table("tail", []uint32{^uint32(0), ^uint32(0), ^uint32(0), 0, 0, 0}) // read from word 3-n on
	g.Op("MOVD", "$"+table+"(SB)", "R17")
	g.Op("SUB", "R2<<2", "R17")
	g.Op("FMOVQ", at(4*3, "R17"), f(tailMask))
}

// load reads a vector, or its tail with zeros behind. Through R17.
func (g gen) load(tail bool, from string, r int) {
	if !tail {
		g.Op("FMOVQ", at(0, from), f(r))
		return
	}
	more, done := g.NewLabel("more"), g.NewLabel("done")
	g.Op("TBNZ", 1, "R2", more)
	g.Op("FMOVS", at(0, from), f(r))
	g.Op("B", done)
	g.Label(more)
	g.Op("FMOVD", at(0, from), f(r))
	g.Op("TBZ", 0, "R2", done)
	g.Op("ADD", 8, from, "R17")
	g.Op("VLD1", "(R17)", word(r, 2))
	g.Label(done)
}

// store writes a vector or its tail. Through R17.
func (g gen) store(tail bool, r int, to string) {
	if !tail {
		g.Op("FMOVQ", f(r), at(0, to))
		return
	}
	more, done := g.NewLabel("more"), g.NewLabel("done")
	g.Op("TBNZ", 1, "R2", more)
	g.Op("FMOVS", f(r), at(0, to))
	g.Op("B", done)
	g.Label(more)
	g.Op("FMOVD", f(r), at(0, to))
	g.Op("TBZ", 0, "R2", done)
	g.Op("ADD", 8, to, "R17")
	g.Op("VST1", word(r, 2), "(R17)")
	g.Label(done)
}

// clearPast zeroes what is behind the tail.
func (g gen) clearPast(tail bool, r int) {
	if tail {
		g.v("and", r, r, tailMask)
	}
}

// fillPast puts other's words behind the tail, through t.
func (g gen) fillPast(tail bool, r, other, t int) {
	if tail {
		g.move(t, other)
		g.v("bit", t, r, tailMask)
		g.move(r, t)
	}
}

// loadNext and storeNext are load and store that push the pointer on, past whole vectors.
func (g gen) loadNext(tail bool, from string, r int) {
	if tail {
		g.load(tail, from, r)
		return
	}
	g.Op("FMOVQ.P", at(bytes, from), f(r))
}

func (g gen) storeNext(tail bool, r int, to string) {
	if tail {
		g.store(tail, r, to)
		return
	}
	g.Op("FMOVQ.P", f(r), at(bytes, to))
}

// eachSome writes a loop over as many of R2 words as make n vectors a round: body for
// those, which pushes pointers on.
func (g gen) eachSome(n int, body func()) {
	loop, rest := g.NewLabel("loop"), g.NewLabel("rest")
	g.Op("SUBS", n*lanes, "R2")
	g.Op("BLT", rest)
	g.Label(loop)
	body()
	g.Op("SUBS", n*lanes, "R2")
	g.Op("BGE", loop)
	g.Label(rest)
	g.Op("ADD", n*lanes, "R2")
}

// eachPair is eachSome of two vectors, written twice where there are four.
func (g gen) eachPair(body func()) {
	done := g.NewLabel("done")
	g.eachSome(4, func() {
		body()
		body()
	})
	g.Op("TBZ", 3, "R2", done)
	body()
	g.Op("SUB", 2*lanes, "R2")
	g.Label(done)
}

// eachFour is eachSome of four vectors, read from R1 on into registers 2 to 5.
func (g gen) eachFour(body func()) {
	g.eachSome(4, func() {
		g.loadMore(2, 4)
		body()
	})
}

// loadMore reads n vectors, an even number, from R1 on into registers from one on.
func (g gen) loadMore(r, n int) {
	for i := 0; i < n; i += 2 {
		g.Op("FLDPQ.P", at(2*bytes, "R1"), pair(r+i, r+i+1))
	}
}

// eachVector writes a loop over R2 words: body for whole vectors, which pushes pointers
// on, then for the tail. R2 and R17 change, and the mask.
func (g gen) eachVector(body func(tail bool)) {
	loop, rest, done := g.NewLabel("loop"), g.NewLabel("rest"), g.NewLabel("done")
	g.Op("SUBS", lanes, "R2")
	g.Op("BLT", rest)
	g.Label(loop)
	body(false)
	g.Op("SUBS", lanes, "R2")
	g.Op("BGE", loop)
	g.Label(rest)
	g.Op("ADDS", lanes, "R2")
	g.Op("BEQ", done)
	g.setTail()
	body(true)
	g.Label(done)
}
