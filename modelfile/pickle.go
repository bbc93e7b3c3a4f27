package modelfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"
)

// The pickle machine below understands what torch.save writes and nothing that
// acts: classes and functions are names, and calling one that is not on the
// short list of known makes an inert placeholder. Its stack, memo and strings
// are bounded by the length of the pickle itself.

// object kinds that come out of a pickle, beside string, []byte, int64, *big.Int,
// float64, bool and nil.
type (
	list  struct{ items []any }
	tuple []any
	dict  struct {
		keys   []string // entries whose key is a string, in order
		values map[string]any
	}
	// global is a class or function, by name.
	global string
	// placeholder stands for an object of a class we don't know.
	placeholder struct{ class string }
	// persistent is torch's reference to a storage.
	persistent tuple
	// mark separates the arguments of variadic opcodes.
	mark struct{}
)

func (d *dict) set(key, value any) {
	k, ok := key.(string)
	if !ok {
		return // a state dict has names; other keys belong to what we skip
	}
	if _, there := d.values[k]; !there {
		d.keys = append(d.keys, k)
	}
	d.values[k] = value
}

func newDict() *dict { return &dict{values: map[string]any{}} }

// pickle runs one pickle; call makes the result of a known function, or a
// placeholder.
type pickle struct {
	data  []byte
	at    int
	stack []any
	memo  map[int]any
	call  func(f global, args tuple) (any, error)
}

var errShort = errors.New("pickle ends early")

// unpickle reads one pickled object and returns the number of bytes it took.
func unpickle(data []byte, call func(global, tuple) (any, error)) (value any, n int, err error) {
	p := &pickle{data: data, memo: map[int]any{}, call: call}
	for {
		op, err := p.take(1)
		if err != nil {
			return nil, 0, err
		}
		if op[0] == '.' {
			value, err = p.pop()
			return value, p.at, err
		}
		if err := p.step(op[0]); err != nil {
			return nil, 0, fmt.Errorf("pickle at byte %d: %w", p.at-1, err)
		}
	}
}

func (p *pickle) take(n int) ([]byte, error) {
	if n < 0 || n > len(p.data)-p.at {
		return nil, errShort
	}
	b := p.data[p.at : p.at+n]
	p.at += n
	return b, nil
}

// sized takes a length of width bytes and that many bytes.
func (p *pickle) sized(width int) ([]byte, error) {
	n, err := p.uint(width)
	if err != nil {
		return nil, err
	}
	if n > uint64(len(p.data)) {
		return nil, errShort
	}
	return p.take(int(n))
}

func (p *pickle) uint(width int) (uint64, error) {
	b, err := p.take(width)
	if err != nil {
		return 0, err
	}
	var full [8]byte
	copy(full[:], b)
	return binary.LittleEndian.Uint64(full[:]), nil
}

func (p *pickle) line() (string, error) {
	for i := p.at; i < len(p.data); i++ {
		if p.data[i] == '\n' {
			s := string(p.data[p.at:i])
			p.at = i + 1
			return s, nil
		}
	}
	return "", errShort
}

func (p *pickle) push(v any) { p.stack = append(p.stack, v) }

func (p *pickle) pop() (any, error) {
	if len(p.stack) == 0 {
		return nil, errors.New("stack is empty")
	}
	v := p.stack[len(p.stack)-1]
	p.stack = p.stack[:len(p.stack)-1]
	if _, ok := v.(mark); ok {
		return nil, errors.New("unexpected mark")
	}
	return v, nil
}

// popMark takes everything above the last mark, and the mark.
func (p *pickle) popMark() (tuple, error) {
	for i := len(p.stack) - 1; i >= 0; i-- {
		if _, ok := p.stack[i].(mark); ok {
			items := append(tuple(nil), p.stack[i+1:]...)
			p.stack = p.stack[:i]
			return items, nil
		}
	}
	return nil, errors.New("no mark")
}

func (p *pickle) popN(n int) (tuple, error) {
	items := make(tuple, n)
	for i := n - 1; i >= 0; i-- {
		var err error
		if items[i], err = p.pop(); err != nil {
			return nil, err
		}
	}
	return items, nil
}

// step runs one opcode; each group of opcodes has its function, which reports
// whether the opcode was its own.
func (p *pickle) step(op byte) error {
	for _, group := range []func(byte) (bool, error){p.literal, p.container, p.memory, p.construct} {
		if mine, err := group(op); mine || err != nil {
			return err
		}
	}
	return fmt.Errorf("opcode %#02x is not known", op)
}

// literal pushes constants.
func (p *pickle) literal(op byte) (bool, error) {
	var v any
	var err error
	switch op {
	case 'N': // NONE
	case 0x88:
		v = true
	case 0x89:
		v = false
	case 'K', 'M', 'J': // BININT1, BININT2, BININT
		v, err = p.fixedInt(op)
	case 0x8a: // LONG1
		v, err = p.long(1)
	case 0x8b: // LONG4
		v, err = p.long(4)
	case 'G': // BINFLOAT, big endian
		var b []byte
		if b, err = p.take(8); err == nil {
			v = math.Float64frombits(binary.BigEndian.Uint64(b))
		}
	case 'X', 0x8c, 0x8d, 'U', 'T': // unicode of 4, 1, 8; old strings of 1, 4
		var b []byte
		b, err = p.sized(map[byte]int{'X': 4, 0x8c: 1, 0x8d: 8, 'U': 1, 'T': 4}[op])
		v = string(b)
	case 'B', 'C', 0x8e, 0x96: // bytes of 4, 1, 8; bytearray
		v, err = p.sized(map[byte]int{'B': 4, 'C': 1, 0x8e: 8, 0x96: 8}[op])
	default:
		return false, nil
	}
	p.push(v)
	return true, err
}

func (p *pickle) fixedInt(op byte) (any, error) {
	width := map[byte]int{'K': 1, 'M': 2, 'J': 4}[op]
	n, err := p.uint(width)
	if op == 'J' {
		return int64(int32(n)), err
	}
	return int64(n), err
}

// long reads a two's complement integer; beyond 64 bits it stays a *big.Int.
func (p *pickle) long(width int) (any, error) {
	b, err := p.sized(width)
	if err != nil {
		return nil, err
	}
	if len(b) > 1024 {
		return nil, errors.New("integer too long")
	}
	reversed := make([]byte, len(b))
	for i, c := range b {
		reversed[len(b)-1-i] = c
	}
	n := new(big.Int).SetBytes(reversed)
	if len(b) > 0 && b[len(b)-1]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	if n.IsInt64() {
		return n.Int64(), nil
	}
	return n, nil
}

// container builds tuples, lists and dicts.
func (p *pickle) container(op byte) (bool, error) {
	var items tuple
	var err error
	switch op {
	case '(':
		p.push(mark{})
	case ')':
		p.push(tuple{})
	case ']', 0x8f: // list, set
		p.push(&list{})
	case '}':
		p.push(newDict())
	case 't': // TUPLE
		items, err = p.popMark()
		p.push(items)
	case 0x85, 0x86, 0x87: // TUPLE1…3
		items, err = p.popN(int(op) - 0x84)
		p.push(items)
	case 'l', 0x91: // LIST, FROZENSET
		items, err = p.popMark()
		p.push(&list{items})
	case 'd': // DICT
		if items, err = p.popMark(); err == nil {
			d := newDict()
			p.push(d)
			err = setItems(d, items)
		}
	case 'a', 's': // APPEND, SETITEM
		items, err = p.popN(map[byte]int{'a': 1, 's': 2}[op])
		err = errors.Join(err, p.extend(items))
	case 'e', 'u', 0x90: // APPENDS, SETITEMS, ADDITEMS
		items, err = p.popMark()
		err = errors.Join(err, p.extend(items))
	default:
		return false, nil
	}
	return true, err
}

// extend adds items to the container on top of the stack.
func (p *pickle) extend(items tuple) error {
	if len(p.stack) == 0 {
		return errors.New("stack is empty")
	}
	switch c := p.stack[len(p.stack)-1].(type) {
	case *list:
		c.items = append(c.items, items...)
	case *dict:
		return setItems(c, items)
	case *placeholder:
	default:
		return fmt.Errorf("cannot add items to %T", c)
	}
	return nil
}

func setItems(d *dict, items tuple) error {
	if len(items)%2 != 0 {
		return errors.New("key without value")
	}
	for i := 0; i < len(items); i += 2 {
		d.set(items[i], items[i+1])
	}
	return nil
}

// memory handles protocol, frames, the memo and the stack itself.
func (p *pickle) memory(op byte) (bool, error) {
	var err error
	switch op {
	case 0x80: // PROTO
		_, err = p.take(1)
	case 0x95: // FRAME
		_, err = p.take(8)
	case 'q', 'r': // BINPUT, LONG_BINPUT
		var n uint64
		n, err = p.uint(map[byte]int{'q': 1, 'r': 4}[op])
		err = errors.Join(err, p.remember(int(n)))
	case 0x94: // MEMOIZE
		err = p.remember(len(p.memo))
	case 'h', 'j': // BINGET, LONG_BINGET
		var n uint64
		n, err = p.uint(map[byte]int{'h': 1, 'j': 4}[op])
		v, ok := p.memo[int(n)]
		if err == nil && !ok {
			err = fmt.Errorf("memo %d is empty", n)
		}
		p.push(v)
	case '0': // POP
		if len(p.stack) == 0 {
			return true, errors.New("stack is empty")
		}
		p.stack = p.stack[:len(p.stack)-1]
	case '1': // POP_MARK
		_, err = p.popMark()
	default:
		return false, nil
	}
	return true, err
}

func (p *pickle) remember(slot int) error {
	if len(p.stack) == 0 {
		return errors.New("stack is empty")
	}
	p.memo[slot] = p.stack[len(p.stack)-1]
	return nil
}

// construct handles names, calls and references to storages.
func (p *pickle) construct(op byte) (bool, error) {
	var args tuple
	var err error
	switch op {
	case 'c': // GLOBAL
		module, e1 := p.line()
		name, e2 := p.line()
		p.push(global(module + "." + name))
		err = errors.Join(e1, e2)
	case 0x93: // STACK_GLOBAL
		if args, err = p.popN(2); err == nil {
			p.push(global(fmt.Sprintf("%v.%v", args[0], args[1])))
		}
	case 'Q': // BINPERSID
		if args, err = p.popN(1); err == nil {
			t, _ := args[0].(tuple)
			p.push(persistent(t))
		}
	case 'R', 0x81: // REDUCE, NEWOBJ
		if args, err = p.popN(2); err == nil {
			err = p.apply(args[0], args[1])
		}
	case 0x92: // NEWOBJ_EX
		if args, err = p.popN(3); err == nil {
			err = p.apply(args[0], args[1])
		}
	case 'o': // OBJ
		if args, err = p.popMark(); err == nil && len(args) > 0 {
			err = p.apply(args[0], args[1:])
		}
	case 'b': // BUILD: state of an object; none that we know has any that matters
		_, err = p.pop()
	default:
		return false, nil
	}
	return true, err
}

func (p *pickle) apply(f, args any) error {
	switch f := f.(type) {
	case global:
		list, _ := args.(tuple)
		v, err := p.call(f, list)
		p.push(v)
		return err
	case *placeholder:
		p.push(f)
		return nil
	}
	return fmt.Errorf("cannot call %T", f)
}
