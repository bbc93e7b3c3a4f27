package modelfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
)

// legacyMagic is the number that every checkpoint of PyTorch before 1.6 begins
// with (torch/serialization.py, MAGIC_NUMBER), in hexadecimal.
const legacyMagic = "1950a86a20f9469cfc6c"

// readLegacy reads the form before 1.6: five pickles (magic number, protocol,
// system, the object, the keys of the storages), then in the order of the keys
// each storage as its element count and its elements.
func (c *checkpoint) readLegacy(data []byte) (any, error) {
	var parts [5]any
	room := maxPickle
	for i := range parts {
		v, n, err := unpickle(data[:min(len(data), room)], c, c.steps)
		if i == 0 && (err != nil || !isMagic(v)) {
			return nil, notTorch(data)
		}
		if err != nil {
			return nil, err
		}
		parts[i], data, room = v, data[n:], room-n
	}
	if sys, ok := parts[2].(*dict); ok && sys.values["little_endian"] == false {
		return nil, errors.New("big endian: only little endian is read")
	}
	keys, ok := parts[4].(*list)
	if !ok {
		return nil, fmt.Errorf("the list of storages is a %s", kind(parts[4]))
	}
	return parts[3], c.readStorages(data, keys.items)
}

func isMagic(v any) bool {
	n, ok := v.(*big.Int)
	return ok && n.Text(16) == legacyMagic
}

func (c *checkpoint) readStorages(data []byte, keys []any) error {
	for _, k := range keys {
		key, ok := k.(string)
		if !ok {
			return fmt.Errorf("a storage's key is a %s, not a string", kind(k))
		}
		if _, twice := c.storages[key]; twice {
			return fmt.Errorf("storage %.40q comes twice", key)
		}
		size := c.types[key].Size()
		if size == 0 {
			return c.stopAt(key)
		}
		if len(data) < 8 {
			return fmt.Errorf("storage %.40q: the file ends early", key)
		}
		n := binary.LittleEndian.Uint64(data)
		data = data[8:]
		if n > uint64(len(data)/size) {
			return fmt.Errorf("storage %.40q: %d elements, the file ends early", key, n)
		}
		c.storages[key], data = data[:int(n)*size:int(n)*size], data[int(n)*size:]
	}
	return nil
}

// stopAt handles a storage of a type that is not known: its length in bytes is
// not known either, so nothing behind it can be found. That is no loss where
// every tensor has its storage already.
func (c *checkpoint) stopAt(key string) error {
	for needed := range c.types {
		if _, found := c.storages[needed]; !found {
			return fmt.Errorf("storage %.40q is of a type that is not known, and hides those after it; save the state dict alone", key)
		}
	}
	return nil
}
