package preprocess

import "math"

// Filter is an interpolation kernel.
type Filter uint8

const (
	Bicubic  Filter = iota // Keys' kernel, a = -0.5
	Bilinear               // triangle
)

func (f Filter) support() float64 {
	if f == Bilinear {
		return 1
	}
	return 2
}

// at evaluates the kernel as Pillow's Resample.c does: same operations in the
// same order, each rounded (the conversions keep compilers from fusing them).
func (f Filter) at(x float64) float64 {
	x = math.Abs(x)
	if f == Bilinear {
		return max(1-x, 0)
	}
	const a = -0.5
	switch {
	case x < 1:
		return float64(float64(float64(float64((a+2)*x)-(a+3))*x)*x) + 1
	case x < 2:
		return float64(float64(float64(float64(float64(x-5)*x)+8)*x)-4) * a
	}
	return 0
}

// precision is Pillow's fixed point: 32 bits less 8 of the pixel and 2 of head room.
const precision = 32 - 8 - 2

// axis says how output pixels first… along one axis are made of input pixels.
type axis struct {
	copy  bool      // the axis keeps its size: output i is input offset+i
	first []int32   // first input of each output
	taps  int       // inputs of each output, at most
	coef  []int32   // [outputs, taps], zero after the last input
	count []int32   // inputs of each output
	out   int       // outputs
	pad   int       // outputs before them that stay black
	from  int       // first input that any output needs
	to    int       // end of the inputs needed
	tmp   []float64 // scratch of build
}

// plan is what one picture size needs.
type plan struct {
	width, height int
	x, y          axis
}

// prepare rebuilds the plan when the picture's size has changed.
func (p *Preprocessor) prepare() {
	w, h := p.width, p.height
	if p.plan.width == w && p.plan.height == h {
		return
	}
	p.plan.width, p.plan.height = w, h
	toW, toH := p.spec.target(w, h)
	p.plan.x.build(w, toW, p.spec.Size, p.spec.Filter)
	p.plan.y.build(h, toH, p.spec.Size, p.spec.Filter)
	need := 3 * p.plan.x.out * (p.plan.y.to - p.plan.y.from)
	if cap(p.rows) < need {
		p.rows = make([]byte, need)
	}
	p.rows = p.rows[:need]
	p.sum = grow(p.sum, 3*p.plan.x.out)
	clear(p.out)
}

// target is the size after Resize: short side s.Resize, long side
// int(resize·long/short) (torchvision, _compute_resized_output_size).
func (s Spec) target(w, h int) (int, int) {
	if s.Resize == 0 {
		return s.Size, s.Size
	}
	if w <= h {
		return s.Resize, int(float64(s.Resize*h) / float64(w))
	}
	return int(float64(s.Resize*w) / float64(h)), s.Resize
}

// build computes the taps for the middle crop of an axis resized from in to
// resized pixels (Pillow, precompute_coeffs and normalize_coeffs_8bpc; crop offset
// round-half-even((resized-crop)/2), torchvision's center_crop).
func (a *axis) build(in, resized, crop int, f Filter) {
	offset := 0
	a.pad, a.out = 0, crop
	if resized < crop {
		a.pad, a.out = (crop-resized)/2, resized
	} else {
		offset = int(math.RoundToEven(float64(resized-crop) / 2))
	}
	a.copy = in == resized
	if a.copy {
		a.from, a.to = offset, offset+a.out
		return
	}
	scale := float64(in) / float64(resized)
	wide := max(scale, 1)
	support := f.support() * wide
	a.taps = int(math.Ceil(support))*2 + 1
	a.first = grow(a.first, a.out)
	a.count = grow(a.count, a.out)
	a.coef = grow(a.coef, a.out*a.taps)
	clear(a.coef)
	if cap(a.tmp) < a.taps {
		a.tmp = make([]float64, a.taps)
	}
	a.from, a.to = in, 0
	for i := range a.out {
		center := float64((float64(offset+i) + 0.5) * scale)
		first := max(0, int(center-support+0.5))
		end := min(in, int(center+support+0.5))
		a.first[i], a.count[i] = int32(first), int32(end-first)
		a.from, a.to = min(a.from, first), max(a.to, end)
		weigh(a.coef[i*a.taps:][:end-first], a.tmp, f, first, center, 1/wide)
	}
}

func grow(s []int32, n int) []int32 {
	if cap(s) < n {
		return make([]int32, n)
	}
	return s[:n]
}

// weigh writes the normalised fixed-point weights of the inputs first… around a
// centre.
func weigh(coef []int32, tmp []float64, f Filter, first int, center, shrink float64) {
	sum := 0.0
	for i := range coef {
		tmp[i] = f.at(float64(float64(first+i)-center+0.5) * shrink)
		sum += tmp[i]
	}
	for i := range coef {
		w := tmp[i]
		if sum != 0 {
			w /= sum
		}
		w = float64(w * (1 << precision))
		if w < 0 {
			coef[i] = int32(w - 0.5)
		} else {
			coef[i] = int32(w + 0.5)
		}
	}
}

// resize makes p.out from p.rgb: horizontally first, rounded to bytes between
// the passes, and only what the crop needs.
func (p *Preprocessor) resize() {
	p.prepare()
	x, y := &p.plan.x, &p.plan.y
	n := 3 * x.out
	for i := y.from; i < y.to; i++ {
		x.horizontal(p.rows[(i-y.from)*n:][:n], p.rgb[3*i*p.width:][:3*p.width])
	}
	for i := range y.out {
		dst := p.out[3*((i+y.pad)*p.spec.Size+x.pad):][:n]
		y.vertical(dst, p.rows, p.sum[:n], i)
	}
}

// horizontal resamples one row of pixels.
func (a *axis) horizontal(dst, src []byte) {
	if a.copy {
		copy(dst, src[3*a.from:3*a.to])
		return
	}
	for i := range a.out {
		coef := a.coef[i*a.taps:][:a.count[i]]
		line := src[3*a.first[i]:][:3*len(coef)]
		r, g, b := int32(1<<(precision-1)), int32(1<<(precision-1)), int32(1<<(precision-1))
		for j, k := range coef {
			r += int32(line[3*j]) * k
			g += int32(line[3*j+1]) * k
			b += int32(line[3*j+2]) * k
		}
		dst[3*i], dst[3*i+1], dst[3*i+2] = clip(r), clip(g), clip(b)
	}
}

// vertical makes output row i of rows, which begin at input a.from; sum is
// scratch as long as dst.
func (a *axis) vertical(dst, rows []byte, sum []int32, i int) {
	n := len(dst)
	if a.copy {
		copy(dst, rows[i*n:])
		return
	}
	for x := range sum {
		sum[x] = 1 << (precision - 1)
	}
	rows = rows[(int(a.first[i])-a.from)*n:]
	for j, k := range a.coef[i*a.taps:][:a.count[i]] {
		row := rows[j*n:][:len(sum)]
		for x, v := range row {
			sum[x] += int32(v) * k
		}
	}
	for x, v := range sum {
		dst[x] = clip(v)
	}
}

func clip(v int32) byte {
	return byte(max(0, min(255, v>>precision)))
}
