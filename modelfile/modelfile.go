// Package modelfile reads and writes what models are kept in: safetensors
// files with the project's metadata, PyTorch's .pth checkpoints (read only, in a
// restricted form that executes nothing), and lists of labels.
//
// Every length that a file claims is checked against the file's own size before
// anything is allocated for it, so memory is bounded by what is really there.
package modelfile

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"sort"
	"sync"
)

// DType is an element type, by the name safetensors gives it.
type DType string

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

// Tensor is one named array. Data is little endian, row-major, and belongs to
// the File it came from.
type Tensor struct {
	Name  string
	DType DType
	Shape []int
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

// File is an open model file: tensors by name, and metadata. It may be read by
// several goroutines until Close.
type File struct {
	// Meta is the file's metadata; never nil.
	Meta map[string]string

	path    string
	data    []byte // the whole file, for its checksum
	tensors map[string]Tensor
	unmap   func() error
	sum     func() string
}

func newFile(path string, data []byte, meta map[string]string, tensors []Tensor) *File {
	f := &File{Meta: meta, path: path, data: data, tensors: make(map[string]Tensor, len(tensors))}
	if f.Meta == nil {
		f.Meta = map[string]string{}
	}
	for _, t := range tensors {
		f.tensors[t.Name] = t
	}
	f.sum = sync.OnceValue(func() string {
		sum := sha256.Sum256(f.data)
		return hex.EncodeToString(sum[:])
	})
	return f
}

// Close unmaps the file: every Tensor's Data is invalid from then on. It may be
// called twice.
func (f *File) Close() error {
	if f.unmap == nil {
		return nil
	}
	unmap := f.unmap
	f.unmap, f.data, f.tensors = nil, nil, nil
	return unmap()
}

// Names lists the tensors, ascending.
func (f *File) Names() []string {
	names := make([]string, 0, len(f.tensors))
	for name := range f.tensors {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// Tensor finds a tensor by name.
func (f *File) Tensor(name string) (Tensor, bool) {
	t, ok := f.tensors[name]
	return t, ok
}

// Has reports whether there is a tensor of that name.
func (f *File) Has(name string) bool {
	_, ok := f.tensors[name]
	return ok
}

// SHA256 is the hexadecimal checksum of the whole file, computed on first use;
// call it before Close.
func (f *File) SHA256() string { return f.sum() }

// scaleSuffix names the F32 [out] scales that belong to an I8 [out, in] tensor.
const scaleSuffix = ".scale"

// Float32 returns a fresh slice with a tensor's values. An I8 tensor with scales
// beside it is multiplied out. A missing tensor, NaN or Inf is an error that
// names it.
func (f *File) Float32(name string) ([]float32, []int, error) {
	t, ok := f.tensors[name]
	if !ok {
		return nil, nil, fmt.Errorf("tensor %s: missing", name)
	}
	data, err := t.Float32()
	if err != nil {
		return nil, nil, err
	}
	if t.DType == I8 {
		if err := f.dequantise(t, data); err != nil {
			return nil, nil, err
		}
	}
	for i, v := range data {
		if v-v != 0 {
			return nil, nil, fmt.Errorf("tensor %s: element %d is %v", name, i, v)
		}
	}
	return data, t.Shape, nil
}

func (f *File) dequantise(t Tensor, data []float32) error {
	s, ok := f.tensors[t.Name+scaleSuffix]
	if !ok {
		return fmt.Errorf("tensor %s: int8 without %s", t.Name, t.Name+scaleSuffix)
	}
	scale, err := s.Float32()
	if err != nil {
		return err
	}
	if len(t.Shape) < 1 || s.DType != F32 || len(scale) != t.Shape[0] {
		return fmt.Errorf("tensor %s: shape %v does not fit its scales %v", t.Name, t.Shape, s.Shape)
	}
	if len(scale) == 0 {
		return nil
	}
	row := len(data) / len(scale)
	for i := range data {
		data[i] *= scale[i/row]
	}
	return nil
}

// Verify reads every tensor and reports the first that is damaged: NaN, Inf, or
// int8 without scales.
func (f *File) Verify() error {
	for _, name := range f.Names() {
		if _, _, err := f.Float32(name); err != nil {
			return fmt.Errorf("%s: %w", f.path, err)
		}
	}
	return nil
}
