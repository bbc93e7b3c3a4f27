package modelfile

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// maxPickle bounds the object part of a checkpoint in bytes; it only names tensors,
// about 150 bytes each.
const maxPickle = 64 << 20

// ReadPTH reads a PyTorch checkpoint, in the zip form (PyTorch 1.6 and later) or
// the one before. Nothing is executed; tensors come out, and the rest is skipped.
//
// The state dict is the first of the entries "model", "state_dict",
// "model_state_dict" and "model_ema" that holds tensors, else the object itself.
// In it a prefix "module." (of DataParallel) is taken off the names; numbers, strings and
// containers are extra keys and left out. Objects of classes that are not known
// (argparse.Namespace, optimizers, numpy scalars, …) are ignored beside the state
// dict; in it they are an error that names entry and class.
//
// Tensors that lie in the file one element after the other alias the mapped
// file, with the caution that Open gives; strided ones are copied. The caller
// closes the File.
func ReadPTH(path string) (*File, error) {
	return openMapped(path, func(data []byte) (map[string]string, []Tensor, error) {
		tensors, err := parsePTH(data)
		return nil, tensors, err
	})
}

func parsePTH(data []byte) ([]Tensor, error) {
	c := newCheckpoint(len(data))
	read := c.readLegacy
	if bytes.HasPrefix(data, []byte("PK\x03\x04")) {
		read = c.readZip
	}
	root, err := read(data)
	if err != nil {
		return nil, err
	}
	state, err := findStateDict(root)
	if err != nil {
		return nil, err
	}
	return c.tensors(state)
}

// findStateDict finds the named tensors in what a checkpoint holds.
func findStateDict(root any) (*dict, error) {
	whole := func(where string, p *placeholder) error {
		return fmt.Errorf("%s is a whole object of class %s; save its state_dict() instead", where, p.class)
	}
	d, ok := root.(*dict)
	if p, is := root.(*placeholder); is {
		return nil, whole("the checkpoint", p)
	} else if !ok {
		return nil, fmt.Errorf("the checkpoint is a %s, not a dictionary of tensors", kind(root))
	}
	var candidates []*dict
	var refusal error
	for _, key := range []string{"model", "state_dict", "model_state_dict", "model_ema"} {
		switch inner := d.values[key].(type) {
		case *dict:
			candidates = append(candidates, inner)
		case *placeholder:
			refusal = whole(key, inner)
		}
	}
	candidates = append(candidates, d)
	for _, c := range candidates {
		if has[*tensorRef](c) {
			return c, nil
		}
	}
	if refusal != nil {
		return nil, refusal
	}
	if has[*placeholder](candidates[0]) {
		return candidates[0], nil // no tensor, but what might be one: its error names it
	}
	return nil, errors.New("the checkpoint holds no tensors")
}

// tensors reads every tensor of a state dict.
func (c *checkpoint) tensors(state *dict) ([]Tensor, error) {
	var out []Tensor
	seen := map[string]bool{}
	for _, key := range state.keys {
		value := state.values[key]
		p, unknown := value.(*placeholder)
		ref, isTensor := value.(*tensorRef)
		if !unknown && !isTensor {
			continue
		}
		name := strings.TrimPrefix(key, "module.")
		if err := checkName(name); err != nil {
			return nil, fmt.Errorf("tensor %.40q: %w", key, err)
		}
		switch {
		case unknown:
			return nil, fmt.Errorf("tensor %s: depends on class %s, which is not read", name, p.class)
		case seen[name]:
			return nil, fmt.Errorf("tensor %s: comes with and without the prefix module", name)
		case len(out) == maxTensors:
			return nil, fmt.Errorf("more than %d tensors", maxTensors)
		}
		seen[name] = true
		data, err := c.read(ref)
		if err != nil {
			return nil, fmt.Errorf("tensor %s: %w", name, err)
		}
		out = append(out, Tensor{name, ref.storage.dtype, ref.shape, data})
	}
	return out, nil
}
