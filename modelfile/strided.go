package modelfile

import (
	"errors"
	"fmt"
)

// read finds a tensor's elements: a part of its storage where they lie one after
// the other, else a copy.
func (c *checkpoint) read(t *tensorRef) ([]byte, error) {
	storage, ok := c.storages[t.storage.key]
	if !ok {
		return nil, fmt.Errorf("storage %.40q is missing", t.storage.key)
	}
	size := t.storage.dtype.Size()
	have := len(storage) / size
	n, ok := elements(t.shape, size)
	if !ok || t.storage.first > have || t.offset > have-t.storage.first {
		return nil, fmt.Errorf("shape %v at element %d does not fit a storage of %d", t.shape, t.offset, have)
	}
	if n == 0 {
		return nil, nil
	}
	first := t.storage.first + t.offset
	span, ok := t.span(have - first)
	switch {
	case !ok:
		return nil, fmt.Errorf("shape %v, stride %v at element %d reaches beyond a storage of %d", t.shape, t.stride, t.offset, have)
	case t.contiguous():
		return storage[first*size : (first+n)*size : (first+n)*size], nil
	case n > c.budget/size:
		return nil, errors.New("strided copies would be larger than the file")
	}
	c.budget -= n * size
	return gather(make([]byte, 0, n*size), storage[first*size:(first+span)*size], t.shape, t.stride, size), nil
}

// span is the number of elements from the tensor's first to its last, inclusive;
// ok is false if they are more than most. No dimension is 0.
func (t *tensorRef) span(most int) (span int, ok bool) {
	room := most - 1
	for i, d := range t.shape {
		if d == 1 || t.stride[i] == 0 {
			continue
		}
		if d-1 > room/t.stride[i] {
			return 0, false
		}
		room -= (d - 1) * t.stride[i]
	}
	return most - room, room >= 0
}

// contiguous reports whether the elements lie one after the other. No dimension
// is 0.
func (t *tensorRef) contiguous() bool {
	step := 1
	for i := len(t.shape) - 1; i >= 0; i-- {
		if t.shape[i] > 1 && t.stride[i] != step {
			return false
		}
		step *= t.shape[i]
	}
	return true
}

// gather appends strided elements of the given size in row-major order.
func gather(out, storage []byte, shape, stride []int, size int) []byte {
	if len(shape) == 0 {
		return append(out, storage[:size]...)
	}
	for i := range shape[0] {
		out = gather(out, storage[i*stride[0]*size:], shape[1:], stride[1:], size)
	}
	return out
}
