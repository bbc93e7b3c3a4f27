package host

import "dynvit/backends"

// unfoldBlock rows make one part of an Unfold.
const unfoldBlock = 64

// unfold is one call of Unfold as a task.
type unfold struct {
	dst, src backends.Tensor
	g        backends.Conv
	from     int
	width    int // of the output
}

func (b *driver) Unfold(dst, src backends.Tensor, g backends.Conv, from int) {
	h, w := g.Out()
	b.need("Unfold", src.Rows == g.H*g.W, "source is not the image")
	b.need("Unfold", dst.Cols == g.Kernel*g.Kernel*src.Cols && from >= 0 && from+dst.Rows <= h*w, "shapes differ")
	b.unfold = unfold{dst, src, g, from, w}
	b.pool.run(&b.unfold, panels(dst.Rows, unfoldBlock))
}

func (u *unfold) part(_, i int) {
	for r := i * unfoldBlock; r < min((i+1)*unfoldBlock, u.dst.Rows); r++ {
		y, x := (u.from+r)/u.width, (u.from+r)%u.width
		u.pixel(u.dst.Host[r*u.dst.Cols:(r+1)*u.dst.Cols], y*u.g.Stride-u.g.Pad, x*u.g.Stride-u.g.Pad)
	}
}

// pixel copies the inputs under one output; y, x is the kernel's corner.
func (u *unfold) pixel(dst []float32, y, x int) {
	g, c := u.g, u.src.Cols
	line := g.Kernel * c
	left, right := max(0, -x), min(g.Kernel, g.W-x) // kernel columns inside the image
	for k := range g.Kernel {
		part := dst[k*line : (k+1)*line]
		if y+k < 0 || y+k >= g.H || left >= right {
			clear(part)
			continue
		}
		clear(part[:left*c])
		copy(part[left*c:right*c], u.src.Host[((y+k)*g.W+x+left)*c:])
		clear(part[right*c:])
	}
}
