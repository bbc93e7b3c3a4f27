package preprocess

// Passes is how the region of a raw frame becomes a model's input, for a device that does it
// itself and gives the bits that [Preprocessor.Do] gives: along one axis, rounded to bytes,
// then along the other. No backend has it so yet: package kernels of backends/cuda has the
// kernels, and its tests hold them to this.
type Passes struct {
	X, Y, Width, Height int // the frame's pixels that they need
	Across, Down        Pass
	DownFirst           bool
	Table               *[3][256]float32 // the number that stands for a byte of R, G, B; not to be changed
}

// Pass is a resize along one axis in fixed point with 22 fractional bits, a half added before
// they are dropped, and clamped to a byte.
type Pass struct {
	Pad, Out int        // black pixels of the input before the first that is made, and how many are made
	Taps     [][3]int32 // [Out]: the first pixel of those needed, how many, index of their first weight
	Weights  []int32
}

// Passes returns those for frames of w×h; an error where Decode would refuse the size. The
// caller owns it.
func (p *Preprocessor) Passes(w, h int, r Region) (Passes, error) {
	if err := checkSize(w, h); err != nil {
		return Passes{}, err
	}
	b := r.pixels(w, h)
	plan := p.plans.of(p.spec, b.width(), b.height())
	x, y := &plan.x, &plan.y
	return Passes{
		X: b.x0 + x.from, Y: b.y0 + y.from, Width: x.to - x.from, Height: y.to - y.from,
		Across: x.pass(), Down: y.pass(), DownFirst: plan.downFirst, Table: (*[3][256]float32)(&p.norm),
	}, nil
}

func (a *axis) pass() Pass {
	pass := Pass{Pad: a.pad, Out: a.out}
	if a.copied {
		pass.Weights = []int32{1 << fraction}
		for i := range a.out {
			pass.Taps = append(pass.Taps, [3]int32{int32(i), 1, 0})
		}
		return pass
	}
	pass.Weights = append(pass.Weights, a.weights...)
	for _, t := range a.taps {
		pass.Taps = append(pass.Taps, [3]int32{t.first, t.count, t.weights})
	}
	return pass
}
