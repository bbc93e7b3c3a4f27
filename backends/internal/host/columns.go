package host

import "dynvit/backends"

// MeanHalf and MaxRows run over the columns of a few hundred rows: too little work to
// share.

func (b *driver) MeanHalf(x backends.Tensor) {
	b.need("MeanHalf", x.Cols%2 == 0, "odd number of columns")
	half := x.Cols / 2
	grow(&b.scratch.sums, half)
	grow(&b.scratch.means, half)
	sums, means := b.scratch.sums[:half], b.scratch.means[:half]
	clear(sums)
	for i := range x.Rows {
		b.k.Add(sums, x.Host[i*x.Cols+half:][:half])
	}
	for j, total := range sums {
		means[j] = float32(total / float64(x.Rows))
	}
	for i := range x.Rows {
		copy(x.Host[i*x.Cols+half:][:half], means)
	}
}

func (b *driver) MaxRows(dst, x backends.Tensor) {
	b.need("MaxRows", dst.Rows == 1 && dst.Cols == x.Cols && x.Rows >= 1, "shapes differ")
	copy(dst.Host, x.Host[:x.Cols])
	for i := 1; i < x.Rows; i++ {
		for j, v := range x.Host[i*x.Cols : (i+1)*x.Cols] {
			dst.Host[j] = max(dst.Host[j], v)
		}
	}
}
