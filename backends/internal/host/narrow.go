package host

// Narrow completes a product of int16 by a kernel, as Checked does, whose weights are kept as
// the bytes that they are: half as many from memory for each frame. A panel is widened into
// scratch, which stays in a near cache, by the kernel widen: Cols words as they are, then so many words
// of int16 an output. Those first words are the kernel's own, of each row (Lead) or zeros.
func Narrow(p Product, mul func(*Call), widen func(dst, src *uint32, words int)) Product {
	p = Checked(p, 1-p.Lead, mul)
	cols, lead := p.Cols, p.Lead
	p.WideWords = p.PanelWords
	p.PanelWords = func(in int) int { return cols + (p.Words(in)-lead)*cols/2 }
	p.Pack = func(panel, rows []uint32, stride, n, words int) {
		clear(panel[:cols])
		if lead > 0 {
			for j := range n {
				panel[j] = rows[j*stride]
			}
		}
		pairs := halves(panel[cols:])
		for i := lead; i < words; i++ {
			dst := pairs[(i-lead)*cols:][:cols]
			for j := range n {
				w := rows[j*stride+i]
				dst[j] = uint16(w&0xff | w>>8&0xff00)
			}
		}
	}
	p.Widen = func(wide, panel []uint32) {
		words := (len(panel) - cols) / (cols / 2)
		_, _ = panel[cols], wide[(1+words)*cols-1]
		widen(&wide[0], &panel[0], words)
	}
	return p
}

// Halved is a product of bfloat16 operands that lie in a word each, as Checked has completed it,
// with weights kept as their upper halves alone. The kernel widen makes words of so many pairs.
func Halved(p Product, widen func(dst, src *uint32, pairs int)) *Product {
	cols := p.Cols
	p.WideWords = p.PanelWords
	p.PanelWords = func(in int) int { return in * cols / 2 }
	p.Pack = func(panel, rows []uint32, stride, n, words int) {
		kept := halves(panel)
		for j := range n {
			for i, w := range rows[j*stride:][:words] {
				kept[i*cols+j] = uint16(w >> 16)
			}
		}
	}
	p.Widen = func(wide, panel []uint32) {
		_, _ = panel[0], wide[2*len(panel)-1]
		widen(&wide[0], &panel[0], len(panel))
	}
	return &p
}
