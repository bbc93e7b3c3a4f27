package modelfile

import (
	"errors"
	"math/big"
)

// The kinds of object that come out of a pickle, beside string, []byte, int64,
// *big.Int, float64, bool, nil, *storageRef and *tensorRef. They may hold one
// another in circles and share parts, so nothing here prints or walks them whole.
type (
	// list is a list or set.
	list  struct{ items []any }
	tuple []any
	// dict holds the entries whose key is a string; others cannot name a tensor.
	dict struct {
		keys   []string // in order
		values map[string]any
	}
	// global is a class or function, by its full name.
	global string
	// placeholder stands for an object of a class that is not known. It swallows
	// whatever is done to it.
	placeholder struct{ class global }
	// mark separates the operands of variadic opcodes.
	mark struct{}
)

// set replaces or adds an entry. The steps for it are those of hashing its key.
func (d *dict) set(key, value any, left *steps) error {
	k, ok := key.(string)
	if !ok {
		return nil
	}
	if err := left.spend(len(k) / stepBytes); err != nil {
		return err
	}
	if d.values == nil { // late: a pickle may make a million empty ones
		d.values = map[string]any{}
	}
	if _, there := d.values[k]; !there {
		d.keys = append(d.keys, k)
	}
	d.values[k] = value
	return nil
}

// setAll sets keys and values that alternate.
func (d *dict) setAll(items tuple, left *steps) error {
	if len(items)%2 != 0 {
		return errors.New("key without value")
	}
	for i := 0; i < len(items); i += 2 {
		if err := d.set(items[i], items[i+1], left); err != nil {
			return err
		}
	}
	return nil
}

// copy sets all entries of another dict.
func (d *dict) copy(from *dict, left *steps) error {
	if err := left.spend(len(from.keys)); err != nil {
		return err
	}
	for _, k := range from.keys {
		if err := d.set(k, from.values[k], left); err != nil {
			return err
		}
	}
	return nil
}

// setPairs sets entries given as tuples or lists of key and value.
func (d *dict) setPairs(pairs []any, left *steps) error {
	if err := left.spend(len(pairs)); err != nil {
		return err
	}
	for _, item := range pairs {
		if l, is := item.(*list); is {
			item = tuple(l.items)
		}
		pair, ok := item.(tuple)
		if !ok || len(pair) != 2 {
			return errors.New("a dict of something else than pairs")
		}
		if err := d.set(pair[0], pair[1], left); err != nil {
			return err
		}
	}
	return nil
}

// has reports whether one of the values is a T.
func has[T any](d *dict) bool {
	for _, v := range d.values {
		if _, is := v.(T); is {
			return true
		}
	}
	return false
}

// kind names an object's kind for messages, as Python would.
func kind(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		return "bool"
	case int64, *big.Int:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case []byte:
		return "bytes"
	case tuple:
		return "tuple"
	case *list:
		return "list"
	case *dict:
		return "dict"
	case *tensorRef:
		return "tensor"
	case *storageRef:
		return "storage"
	case *placeholder:
		return string(v.class)
	}
	return "name"
}

// asInt takes a whole number from 0.
func asInt(v any) (int, bool) {
	n, ok := v.(int64)
	if !ok || n < 0 || int64(int(n)) != n {
		return 0, false
	}
	return int(n), true
}

// asInts takes a short tuple or list of whole numbers from 0.
func asInts(v any) ([]int, bool) {
	items, ok := v.(tuple)
	if l, is := v.(*list); is {
		items, ok = l.items, true
	}
	if !ok || len(items) > maxDims {
		return nil, false
	}
	out := make([]int, len(items))
	for i, item := range items {
		if out[i], ok = asInt(item); !ok {
			return nil, false
		}
	}
	return out, true
}
