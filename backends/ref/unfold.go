package ref

import "dynvit/backends"

func (r *ref) Unfold(dst, src backends.Tensor, g backends.Conv, from int) {
	h, w := g.Out()
	c := src.Cols
	need("Unfold", src.Rows == g.H*g.W, "source is not the image")
	need("Unfold", dst.Cols == g.Kernel*g.Kernel*c && from >= 0 && from+dst.Rows <= h*w, "shapes differ")
	for i := range dst.Rows {
		y, x := (from+i)/w*g.Stride-g.Pad, (from+i)%w*g.Stride-g.Pad // the kernel's corner
		for k := range g.Kernel * g.Kernel {
			pixel := row(dst, i)[k*c:][:c]
			clear(pixel)
			if y, x := y+k/g.Kernel, x+k%g.Kernel; y >= 0 && y < g.H && x >= 0 && x < g.W {
				copy(pixel, row(src, y*g.W+x))
			}
		}
	}
}
