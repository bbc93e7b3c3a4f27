package modelfile

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/big"
	"path"
	"strconv"
	"strings"
)

// maxPickle bounds the object part of a checkpoint, which only names tensors; a
// DeiT-B's is about 40 KB, and optimizer states beside it stay below a few MB.
const maxPickle = 64 << 20

// ReadPTH reads a PyTorch checkpoint, in the zip form (PyTorch 1.6 and later) or
// the one before. Tensors, numbers, strings and containers come out; nothing is
// executed. The state dict is the entry "model", else "state_dict", else
// "model_state_dict", else the object itself; "module." prefixes go. Objects of
// other classes beside the state dict are ignored; one that a tensor depends on is an
// error that names both.
func ReadPTH(name string) (*File, error) {
	data, unmap, err := mapFile(name)
	if err != nil {
		return nil, err
	}
	tensors, err := parsePTH(data)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), unmap())
	}
	f := newFile(name, data, nil, tensors)
	f.unmap = unmap
	return f, nil
}

func parsePTH(data []byte) ([]Tensor, error) {
	c := &checkpoint{budget: len(data), sizes: map[string]int{}}
	var root any
	var err error
	if bytes.HasPrefix(data, []byte("PK\x03\x04")) {
		root, err = c.readZip(data)
	} else {
		root, err = c.readLegacy(data)
	}
	if err != nil {
		return nil, err
	}
	state, err := stateDict(root)
	if err != nil {
		return nil, err
	}
	return c.tensors(state)
}

// checkpoint resolves the storages that a pickle refers to.
type checkpoint struct {
	storages map[string][]byte
	sizes    map[string]int // bytes of an element by storage, for the legacy form, which leaves them out
	budget   int            // bytes that may still be copied for tensors that are not contiguous
}

// storageTypes are the classes a storage may have.
var storageTypes = map[global]DType{
	"torch.FloatStorage": F32, "torch.HalfStorage": F16, "torch.BFloat16Storage": BF16,
	"torch.DoubleStorage": F64, "torch.LongStorage": I64, "torch.IntStorage": I32,
	"torch.ShortStorage": I16, "torch.CharStorage": I8, "torch.ByteStorage": U8, "torch.BoolStorage": Bool,
}

// tensorRef is a tensor whose storage is not read yet.
type tensorRef struct {
	dtype         DType
	key           string
	view          int // first element of the storage that a legacy view begins at
	offset        int
	shape, stride []int
}

// call is the machine's short list of functions.
func (c *checkpoint) call(f global, args tuple) (any, error) {
	switch f {
	case "collections.OrderedDict", "builtins.dict":
		return orderedDict(args)
	case "torch.Size", "builtins.tuple", "builtins.list", "builtins.set":
		if len(args) == 1 {
			return args[0], nil
		}
		return tuple{}, nil
	case "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor":
		return c.rebuild(f, args)
	case "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state":
		if len(args) > 0 {
			return args[0], nil
		}
	}
	return &placeholder{string(f)}, nil
}

func orderedDict(args tuple) (any, error) {
	d := newDict()
	if len(args) == 0 {
		return d, nil
	}
	pairs, ok := args[0].(*list)
	if !ok {
		return nil, errors.New("OrderedDict of something else than pairs")
	}
	for _, item := range pairs.items {
		var pair []any
		switch item := item.(type) {
		case *list:
			pair = item.items
		case tuple:
			pair = item
		}
		if len(pair) != 2 {
			return nil, errors.New("OrderedDict of something else than pairs")
		}
		d.set(pair[0], pair[1])
	}
	return d, nil
}

// rebuild makes a tensorRef of (storage, offset, shape, stride, …). Arguments of
// unknown classes make a placeholder that names the class.
func (c *checkpoint) rebuild(f global, args tuple) (any, error) {
	if len(args) < 4 {
		return nil, fmt.Errorf("%s with %d arguments", f, len(args))
	}
	for _, a := range args[:4] {
		if p, ok := a.(*placeholder); ok {
			return p, nil
		}
	}
	id, ok := args[0].(persistent)
	if !ok || len(id) < 5 || id[0] != "storage" {
		return nil, fmt.Errorf("%s without a storage", f)
	}
	class, _ := id[1].(global)
	dtype, known := storageTypes[class]
	if !known {
		return &placeholder{string(class)}, nil
	}
	t := &tensorRef{dtype: dtype, key: fmt.Sprint(id[2])}
	c.sizes[t.key] = dtype.Size()
	var okOffset, okShape, okStride bool
	t.offset, okOffset = asInt(args[1])
	t.shape, okShape = asInts(args[2])
	t.stride, okStride = asInts(args[3])
	if !okOffset || !okShape || !okStride || len(t.shape) != len(t.stride) || len(t.shape) > maxDims {
		return nil, fmt.Errorf("%s: offset, shape or stride make no sense", f)
	}
	if len(id) > 5 { // legacy views: (key, offset, elements)
		if view, ok := id[5].(tuple); ok && len(view) == 3 {
			t.view, _ = asInt(view[1])
		}
	}
	return t, nil
}

func asInt(v any) (int, bool) {
	n, ok := v.(int64)
	return int(n), ok && n >= 0 && int64(int(n)) == n
}

func asInts(v any) ([]int, bool) {
	items, ok := v.(tuple)
	if l, isList := v.(*list); isList {
		items, ok = l.items, true
	}
	out := make([]int, len(items))
	for i, item := range items {
		n, good := asInt(item)
		out[i], ok = n, ok && good
	}
	return out, ok
}

// readZip reads archive/data.pkl and the stored entries archive/data/<key>.
func (c *checkpoint) readZip(data []byte) (any, error) {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	c.storages = map[string][]byte{}
	var object []byte
	for _, entry := range z.File {
		dir, base := path.Split(entry.Name)
		switch {
		case base == "data.pkl":
			if object != nil {
				return nil, errors.New("two data.pkl")
			}
			object, err = stored(data, entry)
		case base == "byteorder":
			var order []byte
			if order, err = stored(data, entry); err == nil && string(order) != "little" {
				err = fmt.Errorf("byte order %.10q: only little endian is read", order)
			}
		case strings.HasSuffix(dir, "/data/") && base != "":
			if _, twice := c.storages[base]; twice {
				return nil, fmt.Errorf("two entries %s", entry.Name)
			}
			c.storages[base], err = stored(data, entry)
		}
		if err != nil {
			return nil, err
		}
	}
	if object == nil {
		return nil, errors.New("zip without data.pkl: not a PyTorch checkpoint")
	}
	return c.object(object)
}

// stored returns the bytes of an uncompressed entry, which is the only kind that
// torch.save writes, without copying them.
func stored(data []byte, entry *zip.File) ([]byte, error) {
	at, err := entry.DataOffset()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", entry.Name, err)
	}
	size := entry.UncompressedSize64
	if entry.Method != zip.Store || size != entry.CompressedSize64 {
		return nil, fmt.Errorf("%s: compressed, which torch.save never does", entry.Name)
	}
	if at < 0 || at > int64(len(data)) || size > uint64(int64(len(data))-at) {
		return nil, fmt.Errorf("%s: reaches beyond the file", entry.Name)
	}
	b := data[at : at+int64(size) : at+int64(size)]
	if crc32.ChecksumIEEE(b) != entry.CRC32 {
		return nil, fmt.Errorf("%s: checksum differs", entry.Name)
	}
	return b, nil
}

func (c *checkpoint) object(data []byte) (any, error) {
	if len(data) > maxPickle {
		return nil, fmt.Errorf("object part of %d bytes, at most %d are read", len(data), maxPickle)
	}
	root, _, err := unpickle(data, c.call)
	return root, err
}

// legacyMagic begins every checkpoint of PyTorch before 1.6.
const legacyMagic = "1950a86a20f9469cfc6c"

// readLegacy reads the form before 1.6: five pickles (magic number, protocol,
// system, the object, the keys of the storages), then each storage as its
// element count and bytes.
func (c *checkpoint) readLegacy(data []byte) (any, error) {
	var parts [5]any
	for i := range parts {
		head := data[:min(len(data), maxPickle)]
		v, n, err := unpickle(head, c.call)
		magic, _ := v.(*big.Int)
		if i == 0 && (err != nil || magic == nil || magic.Text(16) != legacyMagic) {
			return nil, errors.New("neither form of a PyTorch checkpoint")
		}
		if err != nil {
			return nil, err
		}
		parts[i], data = v, data[n:]
	}
	if sys, ok := parts[2].(*dict); ok && sys.values["little_endian"] == false {
		return nil, errors.New("big endian: only little endian is read")
	}
	keys, ok := parts[4].(*list)
	if !ok {
		return nil, errors.New("no list of storages")
	}
	return parts[3], c.legacyStorages(data, keys.items)
}

func (c *checkpoint) legacyStorages(data []byte, keys []any) error {
	c.storages = map[string][]byte{}
	for i, key := range keys {
		name := fmt.Sprint(key)
		size, ok := c.sizes[name]
		if !ok {
			return c.skipped(i, name)
		}
		if len(data) < 8 {
			return fmt.Errorf("storage %s: file ends early", name)
		}
		n := binary.LittleEndian.Uint64(data)
		if n > uint64(len(data)-8)/uint64(size) {
			return fmt.Errorf("storage %s: %d elements, file ends early", name, n)
		}
		c.storages[name] = data[8 : 8+int(n)*size]
		data = data[8+int(n)*size:]
	}
	return nil
}

// skipped handles a storage of unknown element size: its length in bytes is not
// known, so nothing after it can be found. That is no loss where every tensor
// has its storage already.
func (c *checkpoint) skipped(i int, name string) error {
	for key := range c.sizes {
		if _, found := c.storages[key]; !found {
			return fmt.Errorf("storage %s (number %d) belongs to an object of unknown class; save the state dict alone", name, i)
		}
	}
	return nil
}

// stateDict finds the named tensors in what a checkpoint holds.
func stateDict(root any) (*dict, error) {
	d, ok := root.(*dict)
	if p, is := root.(*placeholder); is {
		return nil, fmt.Errorf("holds a whole object of class %s; save its state_dict() instead", p.class)
	}
	if !ok {
		return nil, fmt.Errorf("holds no dictionary of tensors")
	}
	for _, key := range []string{"model", "state_dict", "model_state_dict"} {
		switch inner := d.values[key].(type) {
		case *dict:
			return inner, nil
		case *placeholder:
			return nil, fmt.Errorf("%s is a whole object of class %s; save its state_dict() instead", key, inner.class)
		}
	}
	return d, nil
}

// tensors reads every tensor of a state dict. Numbers, strings and containers in
// it are extra keys, left out.
func (c *checkpoint) tensors(state *dict) ([]Tensor, error) {
	var out []Tensor
	seen := map[string]bool{}
	for _, key := range state.keys {
		name := strings.TrimPrefix(key, "module.")
		var ref *tensorRef
		switch v := state.values[key].(type) {
		case *tensorRef:
			ref = v
		case *placeholder:
			return nil, fmt.Errorf("tensor %s: depends on class %s, which is not read", key, v.class)
		default:
			continue
		}
		if name == "" || seen[name] {
			return nil, fmt.Errorf("tensor %q is empty or comes twice", key)
		}
		seen[name] = true
		data, err := c.bytes(ref)
		if err != nil {
			return nil, fmt.Errorf("tensor %s: %w", key, err)
		}
		out = append(out, Tensor{name, ref.dtype, ref.shape, data})
		if len(out) > maxTensors {
			return nil, fmt.Errorf("more than %d tensors", maxTensors)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("holds no tensors")
	}
	return out, nil
}

// bytes finds a tensor's elements: a part of its storage where it is contiguous,
// else a copy.
func (c *checkpoint) bytes(t *tensorRef) ([]byte, error) {
	storage, ok := c.storages[t.key]
	if !ok {
		return nil, fmt.Errorf("storage %s is missing", strconv.Quote(t.key))
	}
	size := t.dtype.Size()
	have := len(storage) / size
	n, ok := elements(t.shape, size)
	if !ok || n > have || t.view > have || t.offset > have-t.view {
		return nil, fmt.Errorf("shape %v at %d does not fit a storage of %d", t.shape, t.offset, have)
	}
	first := t.view + t.offset
	if n == 0 {
		return nil, nil
	}
	last, contiguous := reach(t.shape, t.stride, have)
	if last > have-1-first {
		return nil, fmt.Errorf("shape %v, stride %v at %d reaches beyond a storage of %d", t.shape, t.stride, t.offset, have)
	}
	if contiguous {
		return storage[first*size : (first+n)*size : (first+n)*size], nil
	}
	if c.budget -= n * size; c.budget < 0 {
		return nil, errors.New("more strided copies than the file is long")
	}
	return gather(storage[first*size:], t.shape, t.stride, n, size), nil
}

// reach is the distance of the last element from the first (most+1 where it is
// further than most), and whether the elements lie one after the other.
func reach(shape, stride []int, most int) (last int, contiguous bool) {
	contiguous = true
	step := 1
	for i := len(shape) - 1; i >= 0; i-- {
		if shape[i] > 1 {
			contiguous = contiguous && stride[i] == step
			if stride[i] > most || (shape[i]-1) > most/max(stride[i], 1) {
				return most + 1, false
			}
			last += (shape[i] - 1) * stride[i]
		}
		step *= shape[i]
	}
	return last, contiguous
}

// gather copies strided elements into row-major order.
func gather(storage []byte, shape, stride []int, n, size int) []byte {
	out := make([]byte, 0, n*size)
	at := make([]int, len(shape))
	for range n {
		pos := 0
		for i, k := range at {
			pos += k * stride[i]
		}
		out = append(out, storage[pos*size:(pos+1)*size]...)
		for i := len(at) - 1; i >= 0; i-- {
			if at[i]++; at[i] < shape[i] {
				break
			}
			at[i] = 0
		}
	}
	return out
}
