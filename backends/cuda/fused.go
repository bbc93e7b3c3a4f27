package cuda

import "dynvit/backends"

// Fuser: what lies between two kernels stays in scratch, in the operands' own 16 bits
// where the next kernel takes those.

func (b *backend) Reserve(k backends.Block) error {
	need("Reserve", k.Tokens > 0 && k.Width > 0 && k.Hidden > 0 && k.Heads > 0 && k.Width%k.Heads == 0, "no block")
	strips, pieces := parts(k.Tokens, blockQueries), parts(k.Width/k.Heads, blockColumns)
	for _, r := range []struct {
		of    *scratch
		bytes int
	}{
		{&b.qkv, k.Tokens * wholeTiles(3*k.Width) * elementBytes},
		{&b.hidden, k.Tokens * wholeTiles(k.Hidden) * elementBytes},
		{&b.ranges, k.Tokens * max(parts(k.Hidden, tileOutputs), k.Heads*pieces) * rangeBytes},
		{&b.shares, k.Heads * strips * k.Tokens * elementBytes},
		{&b.match, matchBytes(k.Tokens)},
	} {
		if err := b.reserve(r.of, r.bytes); err != nil {
			return err
		}
	}
	return nil
}

// rangeBytes is the size of the least and the most of a part of a row.
const rangeBytes = 8

func wholeTiles(cols int) int { return parts(cols, tileOutputs) * tileOutputs }

func (b *backend) SelfAttention(dst, x backends.Tensor, packed backends.Weight, sizes backends.Tensor, heads int, p backends.Precision) {
	w := b.weight("SelfAttention", packed)
	c := x.Cols
	need("SelfAttention", heads > 0 && c%heads == 0 && w.in == c && w.out == 3*c, "weight is not [3c, c]")
	need("SelfAttention", dst.Cols == c && dst.Rows <= x.Rows, "shapes differ")
	need("SelfAttention", sizes.IsZero() || sizes.Rows == x.Rows && sizes.Cols == 1, "sizes are not [n, 1]")
	need("SelfAttention", p < backends.Int8 && b.carries(p), "products are of a precision that the device does not carry")
	y := product{x: spanOf(x), ldx: c, w: w, rows: x.Rows, stored: storedAs(p)}
	b.between(&y, &b.qkv)
	b.multiply(&y)
	b.mix(&mixture{qkv: y.dst, sizes: spanOf(sizes), ld: y.ldy, packed: y.stored != asF32, dst: dst, tokens: x.Rows, heads: heads, product: p})
}

// between has a product's result lie in scratch.
func (b *backend) between(p *product, s *scratch) {
	size := elementBytes
	p.ldy = p.w.out
	if p.stored != asF32 {
		p.ldy, size = wholeTiles(p.w.out), elementBytes/2
	}
	bytes := p.rows * p.ldy * size
	p.dst = span{b.use(s, bytes), bytes}
}

func (b *backend) MLP(dst, x backends.Tensor, first, second backends.Weight) {
	fc1, fc2 := b.weight("MLP", first), b.weight("MLP", second)
	need("MLP", x.Cols == fc1.in && fc2.in == fc1.out && fc2.out == dst.Cols && dst.Rows == x.Rows, "shapes differ")
	up := product{x: spanOf(x), ldx: x.Cols, w: fc1, act: backends.GELU, rows: x.Rows, stored: storedAs(fc2.precision)}
	b.between(&up, &b.hidden)
	down := product{x: up.dst, ldx: up.ldy, packed: up.stored != asF32, w: fc2, res: dst, dst: spanOf(dst), ldy: dst.Cols, rows: dst.Rows}
	if fc2.precision == backends.Int8 {
		down.parts = parts(fc1.out, tileOutputs)
		bytes := up.rows * down.parts * rangeBytes
		up.left = span{b.use(&b.ranges, bytes), bytes}
		down.ranges = up.left
	}
	b.multiply(&up)
	b.multiply(&down)
}
