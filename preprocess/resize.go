package preprocess

// resize makes p.out of the window in two passes, the first one's picture rounded to
// bytes (Pillow, ImagingResampleInner).
func (p *Preprocessor) resize() {
	w := &p.window
	x, y := &w.plan.x, &w.plan.y
	wide, n, side := 3*w.box.width(), 3*x.out, 3*p.spec.Size
	if x.out < p.spec.Size || y.out < p.spec.Size {
		clear(p.out) // the padding is black
	}
	out := p.out[y.pad*side+3*x.pad:]
	if w.plan.downFirst {
		p.rows = grow(p.rows, wide*y.out+x.behind())[:wide*y.out]
		p.vertical(p.rows, wide, w.rgb, wide)
		p.horizontal(out, side, p.rows, wide, y.out)
		return
	}
	p.rows = grow(p.rows, n*w.box.height())
	p.horizontal(p.rows, n, w.rgb, wide, w.box.height())
	p.vertical(out, side, p.rows, n)
}

// vertical makes the output's rows, stride bytes apart, of rows of n bytes.
func (p *Preprocessor) vertical(dst []byte, stride int, rows []byte, n int) {
	y := &p.window.plan.y
	p.sums = grow(p.sums, n)
	for i := range y.out {
		line := dst[i*stride:][:n]
		if y.copied {
			copy(line, rows[i*n:])
			continue
		}
		t := y.taps[i]
		y.column(line, p.sums, rows[int(t.first)*n:], y.weights[t.weights:][:t.count])
	}
}

// horizontal makes rows of the output's width, stride bytes apart, of as many rows
// of wide bytes, by a kernel for many of them or two at a time.
func (p *Preprocessor) horizontal(dst []byte, stride int, rows []byte, wide, height int) {
	x := &p.window.plan.x
	n := 3 * x.out
	if x.copied {
		for i := range height {
			copy(dst[i*stride:][:n], rows[i*wide:])
		}
		return
	}
	p.pairs = grow(p.pairs, wide)
	for i := x.bands(dst, stride, rows, wide, height, &p.band); i < height; i += 2 {
		other := min(i+1, height-1)
		x.rows(dst[i*stride:][:n], dst[other*stride:][:n], rows[i*wide:], rows[other*wide:], p.pairs)
	}
}

// join packs two rows: the first in the lower half of each number. A sum of such
// numbers, each times a weight, holds the two rows' sums, because they stay
// within 32 bits; one multiplication does the work of two.
func join(dst []int64, a, b []byte) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = int64(a[i]) | int64(b[i])<<32
	}
}

// split undoes join for a sum: the upper half has lent or borrowed one where the
// lower is negative.
func split(sum int64) (a, b byte) {
	lower := int32(sum)
	return level(lower), level(int32((sum - int64(lower)) >> 32))
}

// rows resamples two rows; pairs is scratch of a row's length.
func (a *axis) rows(dst0, dst1, row0, row1 []byte, pairs []int64) {
	done := a.across(dst0, dst1, row0, row1)
	first := 3 * int(a.taps[done].first)
	n := len(pairs) - first
	join(pairs[first:], row0[first:][:n], row1[first:][:n])
	a.joined(dst0[3*done:], dst1[3*done:], pairs, a.taps[done:])
}

// joined resamples the two rows joined in pairs.
func (a *axis) joined(dst0, dst1 []byte, pairs []int64, taps []tap) {
	const start = rounding | rounding<<32
	for _, t := range taps {
		r, g, b := int64(start), int64(start), int64(start)
		weights := a.weights[t.weights:][:t.count]
		line := pairs[3*t.first:][:3*t.count]
		for _, k := range weights {
			k := int64(k)
			r += line[0] * k
			g += line[1] * k
			b += line[2] * k
			line = line[3:]
		}
		dst0[0], dst1[0] = split(r)
		dst0[1], dst1[1] = split(g)
		dst0[2], dst1[2] = split(b)
		dst0, dst1 = dst0[3:], dst1[3:]
	}
}

// column makes one output row of as many rows as there are weights; sums is
// scratch of its length.
func (a *axis) column(dst []byte, sums []int32, rows []byte, weights []int32) {
	if down(dst, rows, weights) {
		return
	}
	n := len(dst)
	sums = sums[:n]
	for i := range sums {
		sums[i] = rounding
	}
	for ; len(weights) >= 4; weights = weights[4:] {
		add4(sums, rows, [4]int32(weights))
		rows = rows[4*n:]
	}
	for _, k := range weights {
		add1(sums, rows, k)
		rows = rows[n:]
	}
	for i, v := range sums {
		dst[i] = level(v)
	}
}

// add1 adds a row of bytes, each times k.
func add1(sums []int32, row []byte, k int32) {
	row = row[:len(sums)]
	for i, v := range row {
		sums[i] += int32(v) * k
	}
}

// add4 adds four rows at once: the sums are read and written a fourth as often.
func add4(sums []int32, rows []byte, k [4]int32) {
	n := len(sums)
	r0, r1, r2, r3 := rows[:n], rows[n:][:n], rows[2*n:][:n], rows[3*n:][:n]
	for i := range sums {
		sums[i] += int32(r0[i])*k[0] + int32(r1[i])*k[1] + int32(r2[i])*k[2] + int32(r3[i])*k[3]
	}
}
