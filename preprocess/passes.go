package preprocess

import "dynvit/camera"

// Source is the pixels in hand, for a device that makes the input of them itself
// (backends.Resizer) and gives the bits that Render gives.
type Source struct {
	Data          []byte        // the frame's own, of a raw format, else of the next Decode
	Format        camera.Format // RGB24 or the frame's
	Width, Height int           // of Data
	X, Y          int           // the first pixel that is needed
	Region        [2]int        // width and height of the region: those alike have the same Passes
}

// Source returns the pixels in hand. It panics where the last Decode failed.
func (p *Preprocessor) Source() Source {
	w := &p.window
	w.need("Source")
	s := Source{Region: [2]int{w.plan.width, w.plan.height}}
	if raw := &w.raw; raw.Data != nil {
		s.Data, s.Format, s.Width, s.Height, s.X, s.Y = raw.Data, raw.Format, raw.Width, raw.Height, w.box.x0, w.box.y0
		return s
	}
	s.Data, s.Format, s.Width, s.Height = w.rgb, camera.RGB24, w.box.width(), w.box.height()
	return s
}

// Passes is how the pixels that are needed become a model's input: along one axis, rounded to
// bytes, then along the other.
type Passes struct {
	Width, Height int // of what is needed
	Across, Down  Pass
	DownFirst     bool
	Table         *[3][256]float32 // the number that stands for a byte of R, G, B; not to be changed
}

// Pass is a resize along one axis in fixed point with 22 fractional bits, a half added before
// they are dropped, and clamped to a byte.
type Pass struct {
	Pad, Out int        // black pixels of the input before the first that is made, and how many are made
	Taps     [][3]int32 // [Out]: the first pixel of those needed, how many, index of their first weight
	Weights  []int32
}

// Passes returns those of the pixels in hand, which the caller owns. It panics where the last
// Decode failed.
func (p *Preprocessor) Passes() Passes {
	w := &p.window
	w.need("Passes")
	x, y := &w.plan.x, &w.plan.y
	return Passes{
		Width: x.to - x.from, Height: y.to - y.from,
		Across: x.pass(), Down: y.pass(), DownFirst: w.plan.downFirst, Table: (*[3][256]float32)(&p.norm),
	}
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
