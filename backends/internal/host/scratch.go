package host

// scratch is memory for values that no caller sees. Alloc reserves what any operation
// could need for a tensor of that size, taking it for the input of each; pages
// that are never touched cost address space alone. The operations still call grow,
// for a caller that cuts its memory into tensors of other shapes.
type scratch struct {
	operands []float32 // a Linear's input, rounded to bf16 or f16
	codes    []int8    // the same as int8 codes
	scale    []float32 // their scale by row
	order    []uint32  // TopK's sort keys

	keys   []float32 // attention: keys and values of all heads in panels
	values []float32
	norms  []float32 // attention: ‖v‖ by head and token

	lanes []lane
}

// lane is the scratch of one thread.
type lane struct {
	tile  []float32 // one part's outputs, [rowBlock, partCols]
	sums  []int32   // the same before scaling, int8
	query []float32 // rounded queries or a rounded key, [queryBlock, width]
	score []float32 // [queryBlock, n]: products, then weights of the values
	mixed []float32 // [queryBlock, width]: weighted values
	total []float32 // [queryBlock]: the weights' sums

	received []int64 // [heads, n]: attention received, see attention.score
	broken   bool    // received missed a NaN
}

func (s *scratch) open(k *Kernels, threads int) {
	s.lanes = make([]lane, threads)
	for i := range s.lanes {
		l := &s.lanes[i]
		l.tile = make([]float32, rowBlock*max(partCols, k.Float.Cols, k.Int8.Cols))
		l.sums = make([]int32, len(l.tile))
		l.total = make([]float32, queryBlock)
	}
}

// reserve grows scratch to what a tensor of this size can need.
func (s *scratch) reserve(k *Kernels, rows, cols int) {
	grow(&s.operands, rows*cols)
	grow(&s.codes, rows*cols)
	grow(&s.scale, rows)
	grow(&s.order, rows)
	if c := cols / 3; cols%3 == 0 && c > 0 {
		s.reserveHeads(k, rows, c, max(1, c/k.Float.Cols))
	}
}

// reserveHeads grows the scratch of an attention over n tokens of width c.
func (s *scratch) reserveHeads(k *Kernels, n, c, heads int) {
	cols := k.Float.Cols
	grow(&s.keys, roundUp(n, cols)*c)
	grow(&s.values, n*min(heads*roundUp(c/heads, cols), heads*cols+c))
	grow(&s.norms, heads*n)
	for i := range s.lanes {
		l := &s.lanes[i]
		grow(&l.query, queryBlock*c)
		grow(&l.score, queryBlock*roundUp(n, cols))
		grow(&l.mixed, queryBlock*roundUp(c, cols))
		grow(&l.received, heads*n)
	}
}

// grow makes s at least n long.
func grow[T any](s *[]T, n int) {
	if len(*s) < n {
		*s = make([]T, n)
	}
}
