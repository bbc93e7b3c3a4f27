// Package modelfile reads and writes what models are kept in: safetensors
// files with the project's metadata, PyTorch's .pth checkpoints (read only, in a
// restricted form that executes nothing), and lists of labels.
//
// Open, Parse and ReadPTH give a File: tensors by name, as bytes or as float32.
// Write makes a safetensors file of tensors, and FromFloat32 makes tensors.
// ParseManifest gives the metadata types, ReadLabels reads class names.
//
// Files come from strangers. Every length that one claims is checked against
// its own size before anything is allocated for it, so memory is bounded by
// what is really there; errors are one line and name the tensor or key.
package modelfile

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"sync"

	"dynvit/internal/finite"
)

// File is an open model file: tensors by name, and metadata. It may be read by
// several goroutines until Close.
type File struct {
	// Meta is the file's metadata; never nil, empty for a .pth.
	Meta map[string]string
	// Taken is where in a .pth the tensors come from.
	Taken Taken

	path    string
	data    []byte // the whole file; nil after Close
	tensors map[string]Tensor
	unmap   func() error
	once    sync.Once
	sum     string
}

// newFile makes a File of tensors that lie in data, the whole file. unmap is nil
// for memory that needs no release.
func newFile(path string, data []byte, meta map[string]string, tensors []Tensor, unmap func() error) *File {
	f := &File{Meta: meta, path: path, data: data, unmap: unmap, tensors: make(map[string]Tensor, len(tensors))}
	if f.Meta == nil {
		f.Meta = map[string]string{}
	}
	for _, t := range tensors {
		f.tensors[t.Name] = t
	}
	return f
}

// New makes a File of tensors whose Data must stay as it is while the File is used;
// it needs no Close. Of two of the same name the last stays.
func New(meta map[string]string, tensors []Tensor) *File {
	return newFile("tensors", nil, meta, tensors, nil)
}

// Close unmaps the file: the Data of every Tensor is invalid from then on, and
// the File has no tensors any more. It may be called twice.
func (f *File) Close() error {
	if f.unmap == nil {
		return nil
	}
	unmap := f.unmap
	f.unmap, f.data, f.tensors = nil, nil, nil
	return unmap()
}

// Path is what an open file was opened by; "" of one in memory.
func (f *File) Path() string {
	if f.unmap == nil {
		return ""
	}
	return f.path
}

// Names lists the tensors, ascending.
func (f *File) Names() []string { return slices.Sorted(maps.Keys(f.tensors)) }

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
// "" if that comes after Close.
func (f *File) SHA256() string {
	f.once.Do(func() {
		if f.data != nil {
			sum := sha256.Sum256(f.data)
			f.sum = hex.EncodeToString(sum[:])
		}
	})
	return f.sum
}

// Float32 returns a fresh slice with a tensor's values, and its shape, which must
// not be changed. An I8 tensor is multiplied out with the scales beside it: value
// [i, …] is code · scale[i]. A missing tensor, NaN or Inf is an error that names it.
func (f *File) Float32(name string) (data []float32, shape []int, err error) {
	return f.Float32In(nil, name)
}

// Float32In is Float32 whose slice is memory's beginning, where that is long enough.
func (f *File) Float32In(memory []float32, name string) (data []float32, shape []int, err error) {
	t, ok := f.tensors[name]
	if !ok {
		return nil, nil, fmt.Errorf("tensor %s: missing", name)
	}
	if data, err = t.float32In(memory); err != nil {
		return nil, nil, err
	}
	if t.DType == I8 {
		if err := f.dequantise(t, data); err != nil {
			return nil, nil, err
		}
	}
	if i := finite.IndexNot(data); i >= 0 {
		return nil, nil, fmt.Errorf("tensor %s: element %d is %v", name, i, data[i])
	}
	return data, t.Shape, nil
}

// dequantise multiplies the codes in data with the scales of their rows.
func (f *File) dequantise(t Tensor, data []float32) error {
	s, ok := f.tensors[t.Name+scaleSuffix]
	if !ok {
		return fmt.Errorf("tensor %s: int8 without %s", t.Name, t.Name+scaleSuffix)
	}
	if s.DType != F32 || len(s.Shape) != 1 || len(t.Shape) < 1 || s.Shape[0] != t.Shape[0] {
		return fmt.Errorf("tensor %s: shape %v does not fit its scales %s %v", t.Name, t.Shape, s.DType, s.Shape)
	}
	scales, err := s.Float32()
	if err != nil {
		return err
	}
	for r, scale := range scales {
		row := len(data) / len(scales)
		for i := range row {
			data[r*row+i] *= scale
		}
	}
	return nil
}

// Verify reads every tensor and reports the first that is damaged: NaN, Inf, or
// int8 without fitting scales. It wants the memory of the largest tensor.
func (f *File) Verify() error {
	var memory []float32
	for _, name := range f.Names() {
		data, _, err := f.Float32In(memory, name)
		if err != nil {
			return fmt.Errorf("%s: %w", f.path, err)
		}
		if len(data) > len(memory) {
			memory = data
		}
	}
	return nil
}
