package modelfile

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"dynvit/printable"
)

// DType is an element type, by the name safetensors gives it.
type DType string

// The element types that are read. Bool is one byte, 0 or 1.
const (
	F64  DType = "F64"
	F32  DType = "F32"
	F16  DType = "F16"
	BF16 DType = "BF16"
	I64  DType = "I64"
	I32  DType = "I32"
	I16  DType = "I16"
	I8   DType = "I8"
	U8   DType = "U8"
	Bool DType = "BOOL"
)

// Size is the number of bytes of one element, 0 for a type that is not known.
func (d DType) Size() int {
	switch d {
	case F64, I64:
		return 8
	case F32, I32:
		return 4
	case F16, BF16, I16:
		return 2
	case I8, U8, Bool:
		return 1
	}
	return 0
}

// Limits of what a file may hold; models stay far below each.
const (
	maxTensors = 100_000
	maxDims    = 16
	maxName    = 512 // bytes of a tensor's name
)

// Tensor is one named array. Data is little endian, row-major and not aligned; it
// belongs to the File it came from, must not be written to, and is valid until
// the File's Close.
type Tensor struct {
	Name  string
	DType DType
	Shape []int // no dimensions at all: one element
	Data  []byte
}

// Len is the number of elements.
func (t Tensor) Len() int {
	if size := t.DType.Size(); size > 0 {
		return len(t.Data) / size
	}
	return 0
}

// elements multiplies a shape out; ok is false where a dimension is negative or
// the bytes would overflow.
func elements(shape []int, size int) (n int, ok bool) {
	n = 1
	for _, d := range shape {
		if d < 0 || (d > 0 && n > math.MaxInt/d) {
			return 0, false
		}
		n *= d
	}
	return n, size > 0 && n <= math.MaxInt/size
}

// checkName accepts a tensor's name: messages print names, so none may break a
// line or fill a screen.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("a name is empty")
	case len(name) > maxName:
		return fmt.Errorf("name %.40q… is longer than %d bytes", name, maxName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, printable.Hidden):
		return fmt.Errorf("name %.40q holds control characters or hidden ones, or is no UTF-8", name)
	}
	return nil
}
