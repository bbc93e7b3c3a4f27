package teach

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
	"gonum.org/v1/gonum/optimize"
)

// regression is multinomial logistic regression on the rows of pictures, centred and
// scaled: its parameters are W+1 numbers a class, the last one the bias. The loss is the
// mean over the weighted pictures, a picture's own the weighted mean over its rows, and
// l2/2 times the squared weights without the biases.
type regression struct {
	classes, rows, width int
	shares               []float64 // of the rows in a picture's loss, 1 together
	x                    []float64 // [pictures · rows, width]
	class                []int     // of each picture
}

// kernels are gonum's in one goroutine: folds are fitted beside each other.
var kernels gonum.Implementation

// fit minimises the loss of the pictures whose weight is not 0, from start on (nil: from
// zeros). Equal arguments give equal bits.
func (r regression) fit(weight []float64, l2 float64, start []float64) []float64 {
	if start == nil {
		start = make([]float64, r.classes*(r.width+1))
	}
	total := 0.0
	for _, w := range weight {
		total += w
	}
	work := r.workspace()
	settings := &optimize.Settings{
		GradientThreshold: 1e-5, // of a loss of about 1
		MajorIterations:   200,  // Imagenette's ten classes take 15 to 60
		Converger:         &optimize.FunctionConverge{Absolute: 1e-7, Iterations: 5},
	}
	loss := func(p, gradient []float64) float64 { return r.loss(work, p, gradient, weight, total, l2) }
	problem := optimize.Problem{
		Func: func(p []float64) float64 { return loss(p, nil) },
		Grad: func(gradient, p []float64) { loss(p, gradient) },
	}
	found, err := optimize.Minimize(problem, start, settings, &optimize.LBFGS{})
	if found == nil || err != nil && len(found.X) == 0 {
		return start // nothing better: a line search that cannot go on has found its minimum
	}
	return found.X
}

// workspace is scratch of a fit.
type workspace struct {
	logits []float64 // [rows, classes], then what they are off by
	memo   memo
}

// memo keeps the loss and gradient of the point asked for last: the optimizer asks for
// both, one after the other.
type memo struct {
	at, gradient []float64
	loss         float64
	known        bool
}

func (r regression) workspace() *workspace {
	n := r.classes * (r.width + 1)
	return &workspace{make([]float64, r.rows*r.classes), memo{at: make([]float64, n), gradient: make([]float64, n)}}
}

// loss returns the loss at p, and writes its gradient where that is wanted.
func (r regression) loss(work *workspace, p, gradient, weight []float64, total, l2 float64) float64 {
	m := &work.memo
	if !m.known || !equal(m.at, p) {
		copy(m.at, p)
		m.loss, m.known = r.compute(work, p, m.gradient, weight, total, l2), true
	}
	if gradient != nil {
		copy(gradient, m.gradient)
	}
	return m.loss
}

func equal(a, b []float64) bool {
	for i, x := range a {
		if x != b[i] {
			return false
		}
	}
	return true
}

func (r regression) compute(work *workspace, p, gradient, weight []float64, total, l2 float64) (loss float64) {
	clear(gradient)
	stride := r.width + 1
	for picture, w := range weight {
		if w == 0 {
			continue
		}
		x, logits := r.block(picture), work.logits
		r.logits(logits, x, p)
		for row, share := range r.shares {
			share *= w / total
			off := logits[row*r.classes : (row+1)*r.classes]
			loss += share * surprise(off, r.class[picture])
			for class := range off {
				off[class] *= share
				gradient[class*stride+r.width] += off[class]
			}
		}
		kernels.Dgemm(blas.Trans, blas.NoTrans, r.classes, r.width, r.rows, 1, logits, r.classes, x, r.width, 1, gradient, stride)
	}
	for class := range r.classes {
		for i, v := range p[class*stride : class*stride+r.width] {
			loss += l2 / 2 * v * v
			gradient[class*stride+i] += l2 * v
		}
	}
	return loss
}

func (r regression) block(picture int) []float64 {
	n := r.rows * r.width
	return r.x[picture*n : (picture+1)*n]
}

// logits writes those of rows of features, [rows, classes].
func (r regression) logits(dst, x, p []float64) {
	stride, rows := r.width+1, len(x)/r.width
	for i := range rows * r.classes {
		dst[i] = p[i%r.classes*stride+r.width]
	}
	kernels.Dgemm(blas.NoTrans, blas.Trans, rows, r.classes, r.width, 1, x, r.width, p, stride, 1, dst, r.classes)
}

// surprise is -log of the probability that logits give a class. In their place it leaves
// how far each probability is off.
func surprise(logits []float64, class int) float64 {
	most := math.Inf(-1)
	for _, v := range logits {
		most = max(most, v)
	}
	own, sum := logits[class]-most, 0.0
	for i, v := range logits {
		logits[i] = math.Exp(v - most)
		sum += logits[i]
	}
	for i := range logits {
		logits[i] /= sum
	}
	logits[class]--
	return math.Log(sum) - own
}

// balanced weights pictures so that each class counts alike; those that out names have
// none.
func (r regression) balanced(out func(picture int) bool) []float64 {
	counts, n := make([]int, r.classes), 0
	for i, class := range r.class {
		if !out(i) {
			counts[class]++
			n++
		}
	}
	weight := make([]float64, len(r.class))
	for i, class := range r.class {
		if !out(i) {
			weight[i] = float64(n) / float64(r.classes*counts[class])
		}
	}
	return weight
}
