package modelfile

import (
	"bytes"
	"fmt"
	"strings"
)

// maxPickle bounds the object part of a checkpoint in bytes; it only names tensors,
// about 150 bytes each.
const maxPickle = 64 << 20

// ReadPTH reads a PyTorch checkpoint, in the zip form (PyTorch 1.6 and later) or
// the one before. Nothing is executed; tensors come out, and the rest is skipped.
//
// key names the entry that holds the state dict, those within others joined by "."
// ("teacher", "net.weights"); "" takes the first of stateKeys that holds tensors, else
// the object itself, else the only other entry that does. Taken says which it was. In
// it numbers, strings and containers are extra keys and left out. Objects of classes
// that are not known (argparse.Namespace, optimizers, numpy scalars, …) are ignored
// beside the state dict; in it they are an error that names entry and class, but for
// modules' _extra_state.
//
// Tensors that lie in the file one element after the other alias the mapped
// file, with the caution that Open gives; strided ones are copied. The caller
// closes the File.
func ReadPTH(path, key string) (*File, error) {
	var taken Taken
	f, err := openMapped(path, func(data []byte) (_ map[string]string, tensors []Tensor, err error) {
		tensors, taken, err = parsePTH(data, key)
		return nil, tensors, err
	})
	if err != nil {
		return nil, err
	}
	f.Taken = taken
	return f, nil
}

func parsePTH(data []byte, key string) ([]Tensor, Taken, error) {
	if err := foreign(data); err != nil {
		return nil, Taken{}, err
	}
	c := newCheckpoint(len(data))
	read := c.readLegacy
	if bytes.HasPrefix(data, []byte("PK\x03\x04")) {
		read = c.readZip
	}
	root, err := read(data)
	if err != nil {
		return nil, Taken{}, err
	}
	state, taken, err := findStateDict(root, key)
	if err != nil {
		return nil, Taken{}, err
	}
	tensors, err := c.tensors(state)
	return tensors, taken, err
}

// extraState is what modules keep beside their tensors; no vision transformer has any.
const extraState = "_extra_state"

// tensors reads every tensor of a state dict.
func (c *checkpoint) tensors(state *dict) ([]Tensor, error) {
	var out []Tensor
	for _, key := range state.keys {
		value := state.values[key]
		p, unknown := value.(*placeholder)
		ref, isTensor := value.(*tensorRef)
		if !isTensor && (!unknown || strings.HasSuffix(key, extraState)) {
			continue
		}
		if err := checkName(key); err != nil {
			return nil, fmt.Errorf("tensor %.40q: %w", key, err)
		}
		switch {
		case unknown:
			return nil, fmt.Errorf("tensor %s: depends on class %s, which is not read", key, p.class)
		case len(out) == maxTensors:
			return nil, fmt.Errorf("more than %d tensors", maxTensors)
		}
		data, err := c.read(ref)
		if err != nil {
			return nil, fmt.Errorf("tensor %s: %w", key, err)
		}
		out = append(out, Tensor{key, ref.storage.dtype, ref.shape, data})
	}
	return out, nil
}
