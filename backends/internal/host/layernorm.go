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
	c := n.x.Cols
	for r := i * normBlock; r < min((i+1)*normBlock, n.x.Rows); r++ {
		n.k.Norm(n.dst.Host[r*c:(r+1)*c], n.x.Host[r*c:(r+1)*c], n.gamma.Host, n.beta.Host, n.eps)
	}
}
