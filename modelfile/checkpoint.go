package modelfile

import (
	"errors"
	"fmt"
)

// checkpoint gives torch's names in a pickle their meaning, and finds the bytes
// of the storages that it refers to.
type checkpoint struct {
	types    map[string]DType  // of the storages that the pickle names, by key
	storages map[string][]byte // their bytes, by key
	budget   int               // bytes that may still be copied for strided tensors
	steps    *steps            // for all of the file's pickles
}

// newCheckpoint begins a checkpoint that lies in a file of size bytes.
func newCheckpoint(size int) *checkpoint {
	return &checkpoint{types: map[string]DType{}, storages: map[string][]byte{}, budget: size, steps: &steps{maxSteps}}
}

// storageRef is a storage that a pickle names; its bytes come elsewhere.
type storageRef struct {
	dtype DType
	key   string
	first int // element that it begins at, for the views of the legacy form
}

// tensorRef is a tensor whose storage is not read yet. Offset and stride count
// elements.
type tensorRef struct {
	storage       *storageRef
	offset        int
	shape, stride []int
}

// storageType is the element type of a storage's class, "" if it has none that we read.
func storageType(class global) DType {
	switch class {
	case "torch.FloatStorage":
		return F32
	case "torch.HalfStorage":
		return F16
	case "torch.BFloat16Storage":
		return BF16
	case "torch.DoubleStorage":
		return F64
	case "torch.LongStorage":
		return I64
	case "torch.IntStorage":
		return I32
	case "torch.ShortStorage":
		return I16
	case "torch.CharStorage":
		return I8
	case "torch.ByteStorage", "torch.storage.UntypedStorage":
		return U8
	case "torch.BoolStorage":
		return Bool
	}
	return ""
}

// load reads torch's two persistent ids: ("storage", class, key, device, elements
// [, view]) and, in the legacy form, ("module", class, file, source).
func (c *checkpoint) load(id tuple) (any, error) {
	if len(id) < 2 {
		return nil, errors.New("persistent id makes no sense")
	}
	class, ok := id[1].(global)
	switch {
	case id[0] == "module" && ok:
		return class, nil
	case id[0] != "storage" || !ok || len(id) < 5:
		return nil, errors.New("persistent id is no storage")
	}
	key, ok := id[2].(string)
	if !ok {
		return nil, fmt.Errorf("a storage's key is a %s, not a string", kind(id[2]))
	}
	dtype := storageType(class)
	if dtype == "" {
		return &placeholder{class}, nil
	}
	if t, there := c.types[key]; there && t != dtype {
		return nil, fmt.Errorf("storage %.40q is %s and %s", key, t, dtype)
	}
	c.types[key] = dtype
	first, err := viewStart(id[5:])
	if err != nil {
		return nil, fmt.Errorf("storage %.40q: %w", key, err)
	}
	return &storageRef{dtype, key, first}, nil
}

// viewStart reads the sixth part of a legacy id: None, or (key, first element,
// elements) of a view into the storage.
func viewStart(rest tuple) (int, error) {
	if len(rest) == 0 || rest[0] == nil {
		return 0, nil
	}
	view, ok := rest[0].(tuple)
	if ok && len(view) == 3 {
		if first, ok := asInt(view[1]); ok {
			return first, nil
		}
	}
	return 0, errors.New("its view makes no sense")
}

// call is the short list of functions that are known; any other gives a placeholder.
func (c *checkpoint) call(f global, args tuple) (any, error) {
	switch f {
	case "collections.OrderedDict", "builtins.dict", "__builtin__.dict":
		return makeDict(args, c.steps)
	case "torch.Size", "builtins.tuple", "builtins.list", "builtins.set",
		"__builtin__.tuple", "__builtin__.list", "__builtin__.set",
		"torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state":
		if len(args) > 0 {
			return args[0], nil
		}
		return tuple(nil), nil
	case "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor":
		return rebuildTensor(args)
	}
	return &placeholder{f}, nil
}

// makeDict makes a dict of nothing, another dict or a list of pairs. Each entry is a
// step: one dict can be copied again and again.
func makeDict(args tuple, left *steps) (any, error) {
	d := &dict{}
	if len(args) == 0 {
		return d, nil
	}
	switch from := args[0].(type) {
	case *dict:
		return d, d.copy(from, left)
	case *list:
		return d, d.setPairs(from.items, left)
	}
	return nil, fmt.Errorf("a dict of a %s", kind(args[0]))
}

// rebuildTensor makes a tensorRef of (storage, offset, shape, stride, …). One that
// depends on an unknown class becomes that class's placeholder.
func rebuildTensor(args tuple) (any, error) {
	if len(args) < 4 {
		return nil, fmt.Errorf("a tensor of %d arguments", len(args))
	}
	for _, a := range args[:4] {
		if p, is := a.(*placeholder); is {
			return p, nil
		}
	}
	storage, ok := args[0].(*storageRef)
	if !ok {
		return nil, fmt.Errorf("a tensor's storage is a %s", kind(args[0]))
	}
	offset, ok1 := asInt(args[1])
	shape, ok2 := asInts(args[2])
	stride, ok3 := asInts(args[3])
	if !ok1 || !ok2 || !ok3 || len(shape) != len(stride) {
		return nil, errors.New("a tensor's offset, shape or stride makes no sense")
	}
	return &tensorRef{storage, offset, shape, stride}, nil
}
