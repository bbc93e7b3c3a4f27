package host

import "dynvit/backends"

// scratch is memory for values that no caller sees. Alloc sets aside what an operation on
// rows or columns needs with a tensor of that size as its input, Reserve what attention
// and the fused operations need; pages that are never touched cost address space alone.
// The operations still call grow, for a caller that cuts its memory into tensors
// of other shapes or reserved nothing.
type scratch struct {
	operands []uint32  // a Linear's input in the words of its product
	scale    []float32 // the scale of its rows, int8
	zero     []int32   // their zero points
	order    []uint32  // TopK's and Match's sort keys, and the same in another order
	sums     []float64 // MeanHalf: of the columns
	means    []float32

	between []float32 // MLP's hidden layer, or SelfAttention's q, k and v
	keys    []uint32  // attention: keys and values of all heads in panels
	values  []uint32
	norms   []float32 // attention: ‖v‖ by head and token
	zeros   []float32 // attention: of all panels' width
	bias    []float32 // attention: of the keys' panels, from sizes

	rest    []int32   // Match: rows that are not dropped
	sources []int32   // Match: of them
	targets []int32   // Match: of them
	target  []int32   // Match: of a source
	gain    []float32 // Match: of a source that goes
	moves   []int32   // Match: sources that go there

	lanes []lane
}

// lane is the scratch of one thread.
type lane struct {
	call    Call      // arguments of the running kernel
	wide    []uint32  // a panel that was widened for it
	tile    []float32 // outputs of a panel that is not full
	query   []uint32  // queries of a tile, or keys of a panel, as operands
	score   []float32 // [Rows, n]: products, then weights of the values
	weights []uint32  // [Rows, n]: the same as operands
	mixed   []float32 // [Rows, width]: weighted values
	total   []float32 // [Rows]: the weights' sums

	received []int64 // [heads, n]: attention received, see attention.score
	broken   bool    // received missed a NaN
}

func (s *scratch) open(k *Kernels, threads int) {
	rows, cols := k.tallest(), k.widest()
	s.lanes = make([]lane, threads)
	for i := range s.lanes {
		l := &s.lanes[i]
		l.tile = make([]float32, rows*cols)
		l.total = make([]float32, rows)
	}
}

// tallest is the largest number of rows in a call.
func (k *Kernels) tallest() int {
	most := 0
	for i := range k.Products {
		if heights := k.Products[i].Heights; len(heights) > 0 {
			most = max(most, heights[len(heights)-1])
		}
	}
	return most
}

// widest is the largest number of columns of a panel.
func (k *Kernels) widest() int {
	most := 0
	for i := range k.Products {
		most = max(most, k.Products[i].Cols)
	}
	return most
}

// reserve grows scratch to what operations with an input of this size need. An input's
// operands have at most one word more than its numbers.
func (s *scratch) reserve(rows, cols int) {
	grow(&s.operands, rows*(cols+1))
	grow(&s.scale, rows)
	grow(&s.zero, rows)
	grow(&s.order, 2*rows)
	grow(&s.sums, cols/2)
	grow(&s.means, cols/2)
}

// reservePanel grows scratch to what a weight of in inputs needs.
func (s *scratch) reservePanel(p *Product, in int) {
	if p.Widen == nil {
		return
	}
	for i := range s.lanes {
		grow(&s.lanes[i].wide, p.WideWords(in))
	}
}

// reserveBlock grows scratch to what blocks up to this size need.
func (s *scratch) reserveBlock(k *Kernels, b backends.Block) {
	s.reserve(b.Tokens, b.Width) // which is room for a few tokens of the hidden layer, of any precision
	if p := &k.Products[b.Precision]; p.Convert != nil {
		grow(&s.operands, b.Tokens*p.Words(b.Hidden))
	}
	grow(&s.between, b.Tokens*max(b.Hidden+hiddenPad, 3*b.Width))
	s.reserveHeads(k, b.Tokens, b.Width, b.Heads)
}

// reserveHeads grows the scratch of an attention over n tokens of width c.
func (s *scratch) reserveHeads(k *Kernels, n, c, heads int) {
	rows, cols := k.tallest(), k.widest()
	for i := range k.Products[:backends.Int8] {
		if p := &k.Products[i]; p.PanelWords != nil {
			grow(&s.keys, heads*panels(n, p.Cols)*p.PanelWords(c/heads))
			grow(&s.values, heads*panels(c/heads, p.Cols)*p.PanelWords(n))
		}
	}
	grow(&s.norms, heads*n)
	grow(&s.zeros, max(n, c/heads)+cols)
	grow(&s.bias, n+cols)
	grow(&s.rest, n)
	grow(&s.sources, n)
	grow(&s.targets, n)
	grow(&s.target, n)
	grow(&s.gain, n)
	grow(&s.moves, n)
	for i := range s.lanes {
		l := &s.lanes[i]
		grow(&l.query, max(rows, cols)*c)
		grow(&l.score, rows*(n+cols))
		grow(&l.weights, rows*n)
		grow(&l.mixed, rows*(c+cols))
		grow(&l.received, heads*n)
	}
}

// grow makes s at least n long.
func grow[T any](s *[]T, n int) {
	if len(*s) < n {
		*s = make([]T, n)
	}
}
