package backends

import "fmt"

// Tensor is a dense row-major float32 matrix [Rows, Cols]. Exactly one of Host
// and Dev is set; Host has Rows*Cols elements. It is a value: copying it does
// not copy the elements, and what View and Reshape return shares them.
type Tensor struct {
	Rows, Cols int
	Host       []float32 // memory of this process, or nil
	Dev        uint64    // address of the first element on a device, in bytes, or 0
}

// IsZero reports whether t is the zero Tensor, "none".
func (t Tensor) IsZero() bool { return t.Host == nil && t.Dev == 0 }

// View returns rows from..to-1 of t. from == to is legal.
func (t Tensor) View(from, to int) Tensor {
	if from < 0 || from > to || to > t.Rows {
		panic(fmt.Sprintf("backends: Tensor.View: rows %d to %d of %d", from, to, t.Rows))
	}
	if t.Host != nil {
		t.Host = t.Host[from*t.Cols : to*t.Cols]
	}
	if t.Dev != 0 {
		t.Dev += elementSize * uint64(from*t.Cols)
	}
	t.Rows = to - from
	return t
}

// Reshape returns the first rows·cols elements of t as a matrix of that shape.
func (t Tensor) Reshape(rows, cols int) Tensor {
	if rows < 0 || cols < 0 || rows*cols > t.Rows*t.Cols {
		panic(fmt.Sprintf("backends: Tensor.Reshape: [%d, %d] of [%d, %d]", rows, cols, t.Rows, t.Cols))
	}
	if t.Host != nil {
		t.Host = t.Host[:rows*cols]
	}
	t.Rows, t.Cols = rows, cols
	return t
}

// elementSize is how many bytes an element takes on a device.
const elementSize = 4

// Index is a list of N row numbers.
type Index struct {
	N    int
	Host []int32
	Dev  uint64
}

// First returns the first n entries of x as an Index that shares its memory.
// It allocates nothing; n is 0..x.N.
func (x Index) First(n int) Index {
	if n < 0 || n > x.N {
		panic(fmt.Sprintf("backends: Index.First: %d of %d entries", n, x.N))
	}
	if x.Host != nil {
		x.Host = x.Host[:n]
	}
	x.N = n
	return x
}
