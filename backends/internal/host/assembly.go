package host

import (
	"math"
	"slices"

	"dynvit/backends"
)

// Kernels in assembly take pointers and trust them. What is here makes entries of Kernels
// and Product of those that the instruction sets have in common, each of which looks at
// the lengths first: what stands between a kernel and a mistake. table.go puts
// them together.

// Rows are kernels over the rows of a matrix: those of Kernels, strides in words.
type Rows struct {
	Softmax func(s *float32, stride, rows, n int, scale float32, total *float32)
	GELU    func(x *float32, stride, rows, cols int)
	Norm    func(dst, x, gamma, beta *float32, rows, n int, inverseN, eps float32)
	Divide  func(dst *float32, dstStride int, src *float32, srcStride, rows, cols int, total *float32)

	// Of n numbers, a multiple of Step and more than 0; AddHeads of the first n of each of
	// one or more heads.
	Add      func(sums *float64, x *float32, n int)
	AddHeads func(dst, x *float32, n, width, heads int) (squares float64)
	Receive  func(received *int64, weights *float32, n int, share float32)
	Step     int
}

// in sets the entries of k.
func (r *Rows) in(k *Kernels) {
	k.Softmax, k.GELU, k.Norm, k.Divide = r.softmax, r.gelu, r.norm, r.divide
	k.Add, k.AddHeads, k.Receive = r.add, r.addHeads, r.receive
}

// add leaves to plain Go what is behind the last whole step, as the next two do.
func (r *Rows) add(sums []float64, x []float32) {
	whole := len(x) / r.Step * r.Step
	if whole > 0 {
		_ = sums[whole-1]
		r.Add(&sums[0], &x[0], whole)
	}
	add(sums[whole:], x[whole:])
}

func (r *Rows) addHeads(dst, x []float32) (squares float64) {
	width := len(dst)
	whole := width / r.Step * r.Step
	if heads := len(x) / max(1, width); whole > 0 && heads > 0 {
		squares = r.AddHeads(&dst[0], &x[0], whole, width, heads)
	}
	if whole < width {
		squares += addColumns(dst[whole:], x[min(whole, len(x)):], width)
	}
	return squares
}

func (r *Rows) receive(received []int64, weights []float32, share float32) {
	whole := len(weights) / r.Step * r.Step
	if whole > 0 {
		_ = received[whole-1]
		r.Receive(&received[0], &weights[0], whole, share)
	}
	receive(received[whole:], weights[whole:], share)
}

func (r *Rows) softmax(s []float32, stride, rows, n int, scale float32, total []float32) {
	if rows > 0 && n > 0 {
		_, _ = s[(rows-1)*stride+n-1], total[rows-1]
		r.Softmax(&s[0], stride, rows, n, scale, &total[0])
	}
}

func (r *Rows) gelu(x []float32, stride, rows, cols int) {
	if rows > 0 && cols > 0 {
		_ = x[(rows-1)*stride+cols-1]
		r.GELU(&x[0], stride, rows, cols)
	}
}

func (r *Rows) norm(dst, x, gamma, beta []float32, rows int, eps float32) {
	if n := len(gamma); n > 0 && rows > 0 {
		_, _, _ = dst[rows*n-1], x[rows*n-1], beta[n-1]
		r.Norm(&dst[0], &x[0], &gamma[0], &beta[0], rows, n, 1/float32(n), eps)
	}
}

func (r *Rows) divide(dst []float32, dstStride int, src []float32, srcStride, rows, cols int, total []float32) {
	if rows > 0 && cols > 0 {
		_, _, _ = dst[(rows-1)*dstStride+cols-1], src[(rows-1)*srcStride+cols-1], total[rows-1]
		r.Divide(&dst[0], dstStride, &src[0], srcStride, rows, cols, &total[0])
	}
}

// Rounding is a kernel that rounds n numbers to operands that stay float32.
type Rounding func(dst *uint32, src *float32, n int)

// Convert is a Product's.
func (r Rounding) Convert(dst []uint32, src []float32, stride, rows, cols int, _ []float32, _ []int32) {
	for i := range rows {
		r.row(dst[i*cols:][:cols], src[i*stride:])
	}
}

// PackRows is that of a Product of panels of width outputs.
func (r Rounding) PackRows(width int) func(panel []uint32, src []float32, stride, rows, cols int) {
	return func(panel []uint32, src []float32, stride, rows, cols int) {
		for i := range rows {
			r.row(panel[i*width:][:cols], src[i*stride:])
		}
	}
}

func (r Rounding) row(dst []uint32, src []float32) {
	if n := len(dst); n > 0 {
		_ = src[n-1]
		r(&dst[0], &src[0], n)
	}
}

// Quantising is a kernel that makes rows of n numbers, stride words apart, int8's codes, four
// to a word, with each row's scale and zero point: less 128 both where its product takes
// signed bytes.
type Quantising func(dst *uint32, src *float32, stride, rows, n int, scale *float32, zero *int32)

// Convert is a Product's.
func (q Quantising) Convert(dst []uint32, src []float32, stride, rows, cols int, scale []float32, zero []int32) {
	if rows > 0 && cols > 0 {
		_, _, _, _ = dst[rows*((cols+3)/4)-1], src[(rows-1)*stride+cols-1], scale[rows-1], zero[rows-1]
		q(&dst[0], &src[0], stride, rows, cols, &scale[0], &zero[0])
	}
}

// Packing are kernels that fill panels of two vectors of outputs; steps are in bytes.
type Packing struct {
	Lanes     int                                            // words of a vector
	Transpose func(dst, src *uint32, dstStep, srcStep int)   // of Lanes by Lanes words
	Rows      func(panel *uint32, src *float32, step, n int) // n rows of two vectors
}

// width is the number of a panel's outputs.
func (p *Packing) width() int { return 2 * p.Lanes }

// Pack is a Product's. It transposes squares of words; what is left over goes word by word.
func (p *Packing) Pack(panel, rows []uint32, stride, n, words int) {
	lanes, cols := p.Lanes, p.width()
	squares, whole := n/lanes*lanes, words/lanes*lanes
	for j := 0; j < squares; j += lanes {
		for i := 0; i < whole; i += lanes {
			src, dst := rows[j*stride+i:], panel[i*cols+j:]
			_, _ = src[(lanes-1)*stride+lanes-1], dst[(lanes-1)*cols+lanes-1]
			p.Transpose(&dst[0], &src[0], 4*cols, 4*stride)
		}
	}
	if whole < words && squares > 0 {
		interleave(panel[whole*cols:], rows[whole:], stride, squares, words-whole, cols)
	}
	if squares < n {
		interleave(panel[squares:], rows[squares*stride:], stride, n-squares, words, cols)
	}
}

// PackRows is a Product's for operands that are float32 as they are.
func (p *Packing) PackRows(panel []uint32, src []float32, stride, rows, cols int) {
	width := p.width()
	if cols == width && rows > 0 {
		_, _ = panel[rows*width-1], src[(rows-1)*stride+cols-1]
		p.Rows(&panel[0], &src[0], 4*stride, rows)
		return
	}
	for r := range rows {
		copy(panel[r*width:][:cols], Words(src[r*stride:][:cols]))
	}
}

// Headed makes a Pack of one of panels of cols outputs, of signed bytes, behind the
// negative sums of each output's: a row's sums start with them times its zero point.
func Headed(cols int, pack func(panel, rows []uint32, stride, n, words int)) func([]uint32, []uint32, int, int, int) {
	return func(panel, rows []uint32, stride, n, words int) {
		clear(panel[:cols])
		for j := range n {
			sum := int32(0)
			for _, w := range rows[j*stride:][:words] {
				sum += int32(int8(w)) + int32(int8(w>>8)) + int32(int8(w>>16)) + int32(w)>>24
			}
			panel[j] = uint32(-sum)
		}
		pack(panel[cols:], rows, stride, n, words)
	}
}

// BF16 is the bits of a rounded number, half a word of bfloat16 operands.
func BF16(v float32) uint32 { return math.Float32bits(backends.RoundBF16(v)) >> 16 }

// ScaleOf is codeScale of a row whose range a kernel finds, in the form that rangeOf reads.
func ScaleOf(rowRange func(src *float32, n int) (most, least uint32), src []float32) (scale, inverse float32, zero int32) {
	most, least := rowRange(&src[0], len(src))
	return codeScale(rangeOf(int32(most), least))
}

// Checked completes a product by a kernel: its Mul panics where a call does not fit its
// memory. Panels have Words words an output, behind header more.
func Checked(p Product, header int, mul func(*Call)) Product {
	p.PanelWords = func(in int) int { return (header + p.Words(in)) * p.Cols }
	p.Mul = func(c *Call) {
		if !c.fits(&p, header) {
			panic("host: a kernel's arguments do not fit")
		}
		if p.Beside {
			mul(c)
			return
		}
		c.each(p.Cols, mul)
	}
	return p
}

// fits reports whether all that a call reads and writes is there.
func (c *Call) fits(p *Product, header int) bool {
	if c.Panels < 1 || c.Rows < 1 || !slices.Contains(p.Heights, c.Tile) || c.Rows%c.Tile != 0 || c.Words < 1 || c.AStride < 0 || c.DstStride < 0 {
		return false
	}
	cols := c.Panels * p.Cols
	if p.Codes && (len(c.Scale) < c.Rows || len(c.Zero) < c.Rows || len(c.Unit) < cols) {
		return false
	}
	outputs := (c.Rows-1)*c.DstStride + cols
	if c.Pairs {
		outputs -= cols / 2
	}
	if len(c.Dst) < outputs || c.Res != nil && (c.Pairs || len(c.Res) < outputs) {
		return false
	}
	return len(c.Bias) >= cols && len(c.Panel) >= (header+c.Words)*cols && len(c.A) >= (c.Rows-1)*c.AStride+c.Words
}
