package host

import "dynvit/backends"

// normBlock rows make one part of a LayerNorm.
const normBlock = 8

// layerNorm is one call of LayerNorm as a task.
type layerNorm struct {
	k                   *Kernels
	dst, x, gamma, beta backends.Tensor
	eps                 float32
}

func (b *driver) LayerNorm(dst, x, gamma, beta backends.Tensor, eps float32) {
	b.need("LayerNorm", dst.Rows == x.Rows && dst.Cols == x.Cols, "shapes differ")
	b.need("LayerNorm", gamma.Rows == 1 && beta.Rows == 1 && gamma.Cols == x.Cols && beta.Cols == x.Cols, "gamma or beta is not [1, c]")
	b.layerNorm = layerNorm{&b.k, dst, x, gamma, beta, eps}
	b.pool.run(&b.layerNorm, panels(x.Rows, normBlock))
}

func (n *layerNorm) part(_, i int) {
	from := i * normBlock
	at := from * n.x.Cols
	n.k.Norm(n.dst.Host[at:], n.x.Host[at:], n.gamma.Host, n.beta.Host, min(normBlock, n.x.Rows-from), n.eps)
}
