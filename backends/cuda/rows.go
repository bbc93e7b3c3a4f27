package cuda

import (
	"dynvit/backends"
	"dynvit/backends/cuda/device"
)

func (b *backend) LayerNorm(dst, x, gamma, beta backends.Tensor, eps float32) {
	need("LayerNorm", dst.Rows == x.Rows && dst.Cols == x.Cols, "shapes differ")
	need("LayerNorm", gamma.Rows == 1 && beta.Rows == 1 && gamma.Cols == x.Cols && beta.Cols == x.Cols, "gamma or beta is not [1, c]")
	s := b.begin(layerNorm, device.Size{parts(x.Rows, 4), 1, 1}, 128)
	s.add(tensor(x), tensor(gamma), tensor(beta), tensor(dst), real(eps), number(x.Rows), number(x.Cols))
	s.reads = [4]span{spanOf(x)}
	s.writes = [3]span{spanOf(dst)}
	b.do(s)
}

func (b *backend) MeanHalf(x backends.Tensor) {
	need("MeanHalf", x.Cols%2 == 0, "odd number of columns")
	if x.Rows == 0 {
		return
	}
	s := b.begin(meanHalf, device.Size{parts(x.Cols/2, 32), 1, 1}, 256)
	s.add(tensor(x), number(x.Rows), number(x.Cols))
	s.reads, s.writes = [4]span{spanOf(x)}, [3]span{spanOf(x)}
	b.do(s)
}

func (b *backend) MaxRows(dst, x backends.Tensor) {
	need("MaxRows", dst.Rows == 1 && dst.Cols == x.Cols && x.Rows >= 1, "shapes differ")
	s := b.begin(maxRows, device.Size{parts(x.Cols, 32), 1, 1}, 256)
	s.add(tensor(dst), tensor(x), number(x.Rows), number(x.Cols))
	s.reads, s.writes = [4]span{spanOf(x)}, [3]span{spanOf(dst)}
	b.do(s)
}

func (b *backend) TopK(kept backends.Index, score backends.Tensor) {
	need("TopK", score.Cols == 1 && kept.N >= 1 && kept.N <= score.Rows+1, "shapes differ")
	s := b.begin(topK, device.Size{1, 1, 1}, 256)
	s.add(kept.Dev, tensor(score), number(score.Rows), number(kept.N))
	s.reads, s.writes = [4]span{spanOf(score)}, [3]span{spanOfIndex(kept)}
	b.do(s)
}

func spanOfIndex(x backends.Index) span { return span{device.Address(x.Dev), x.N * elementBytes} }

func (b *backend) Gather(dst, x backends.Tensor, kept backends.Index) {
	need("Gather", dst.Rows == kept.N && dst.Cols == x.Cols, "shapes differ")
	s := b.begin(gather, device.Size{kept.N, 1, 1}, 128)
	s.add(tensor(dst), tensor(x), kept.Dev, number(x.Rows), number(x.Cols), at(b.badRow))
	s.reads, s.writes = [4]span{spanOf(x), spanOfIndex(kept)}, [3]span{spanOf(dst)}
	b.do(s)
}

func (b *backend) Unfold(dst, src backends.Tensor, g backends.Conv, from int) {
	h, w := g.Out()
	need("Unfold", src.Rows == g.H*g.W && dst.Cols == g.Kernel*g.Kernel*src.Cols, "shapes differ")
	need("Unfold", from >= 0 && from+dst.Rows <= h*w, "rows beyond the output")
	s := b.begin(unfold, device.Size{dst.Rows, 1, 1}, 128)
	s.add(tensor(dst), tensor(src), number(src.Cols), number(g.H), number(g.W), number(g.Kernel), number(g.Stride), number(g.Pad), number(w), number(from))
	s.reads, s.writes = [4]span{spanOf(src)}, [3]span{spanOf(dst)}
	b.do(s)
}
