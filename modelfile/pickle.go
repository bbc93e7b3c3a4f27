package modelfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
)

// The pickle machine below understands what torch.save writes, and nothing that
// acts: classes and functions are names, and a resolver decides what calling one
// gives. The opcodes are those of Python's pickletools.py, protocols 1 to 5,
// without the rare ones that torch never writes.

// maxSteps bounds what the pickles of a file do: an opcode is a step, each entry that
// it copies is one, and so are stepBytes of a text that it hashes or joins. Memory
// and time follow from it: no step takes more than some hundred bytes, of
// which the text of the pickle itself (maxPickle) is no part. A checkpoint takes about 40
// a tensor (mini_deit: 7,120 for 182), so this is room for 26,000.
const (
	maxSteps  = 1 << 20
	stepBytes = 64
)

// maxLine bounds the operand of an opcode that ends at a newline: a number in
// digits or the half of a class's name.
const maxLine = 4096

// steps are those that are left for a file.
type steps struct{ left int }

// spend takes n steps.
func (s *steps) spend(n int) error {
	if s.left -= n; s.left < 0 {
		return fmt.Errorf("pickle of more than %d operations", maxSteps)
	}
	return nil
}

// resolver gives names their meaning.
type resolver interface {
	// call makes the result of calling a class or function.
	call(f global, args tuple) (any, error)
	// load makes the object that a persistent id stands for.
	load(id tuple) (any, error)
}

// machine runs one pickle.
type machine struct {
	*steps
	data  []byte
	at    int
	stack []any
	memo  map[uint64]any
	names resolver
}

var errShort = errors.New("pickle ends early")

// unpickle reads one pickled object, in the steps that are left, and returns the
// number of bytes it took.
func unpickle(data []byte, names resolver, left *steps) (value any, n int, err error) {
	m := &machine{steps: left, data: data, memo: map[uint64]any{}, names: names}
	table := opcodes()
	for {
		op, err := m.take(1)
		if err == nil {
			err = m.spend(1)
		}
		if err != nil {
			return nil, 0, err
		}
		if op[0] == '.' { // STOP
			value, err = m.pop()
			return value, m.at, err
		}
		run := table[op[0]]
		if run == nil {
			return nil, 0, fmt.Errorf("pickle at byte %d: opcode %#02x is not known", m.at-1, op[0])
		}
		if err := run(m); err != nil {
			return nil, 0, fmt.Errorf("pickle at byte %d: %w", m.at, err)
		}
	}
}

type opcode func(*machine) error

// opcodes is the machine's instruction set.
func opcodes() *[256]opcode {
	return &[256]opcode{
		0x80: skip(1), // PROTO
		0x95: skip(8), // FRAME

		'N':  constant(nil),   // NONE
		0x88: constant(true),  // NEWTRUE
		0x89: constant(false), // NEWFALSE
		'K':  integer(1),      // BININT1
		'M':  integer(2),      // BININT2
		'J':  (*machine).int32,
		'I':  (*machine).decimal, // INT
		'L':  (*machine).decimal, // LONG
		0x8a: long(1),            // LONG1
		0x8b: long(4),            // LONG4
		'G':  (*machine).float,   // BINFLOAT

		'X':  text(4), // BINUNICODE
		0x8c: text(1), // SHORT_BINUNICODE
		0x8d: text(8), // BINUNICODE8
		'U':  text(1), // SHORT_BINSTRING, Python 2's
		'T':  text(4), // BINSTRING
		'B':  blob(4), // BINBYTES
		'C':  blob(1), // SHORT_BINBYTES
		0x8e: blob(8), // BINBYTES8
		0x96: blob(8), // BYTEARRAY8

		'(':  constant(mark{}),                                  // MARK
		')':  constant(tuple(nil)),                              // EMPTY_TUPLE
		'}':  func(m *machine) error { return m.push(&dict{}) }, // EMPTY_DICT
		']':  func(m *machine) error { return m.push(&list{}) }, // EMPTY_LIST
		0x8f: func(m *machine) error { return m.push(&list{}) }, // EMPTY_SET
		't':  (*machine).tuple,
		0x85: tupleOf(1),        // TUPLE1
		0x86: tupleOf(2),        // TUPLE2
		0x87: tupleOf(3),        // TUPLE3
		'l':  (*machine).list,   // LIST
		0x91: (*machine).list,   // FROZENSET
		'd':  (*machine).dict,   // DICT
		'a':  extendBy(1),       // APPEND
		's':  extendBy(2),       // SETITEM
		'e':  (*machine).extend, // APPENDS
		'u':  (*machine).extend, // SETITEMS
		0x90: (*machine).extend, // ADDITEMS

		'q':  put(1),                                                            // BINPUT
		'r':  put(4),                                                            // LONG_BINPUT
		0x94: func(m *machine) error { return m.remember(uint64(len(m.memo))) }, // MEMOIZE
		'h':  get(1),                                                            // BINGET
		'j':  get(4),                                                            // LONG_BINGET
		'0':  (*machine).discard,                                                // POP
		'1':  (*machine).discardToMark,                                          // POP_MARK
		'2':  (*machine).duplicate,                                              // DUP

		'c':  (*machine).global,
		0x93: (*machine).stackGlobal,
		'Q':  (*machine).persistent, // BINPERSID
		'R':  construct(2),          // REDUCE: callable, arguments
		0x81: construct(2),          // NEWOBJ: class, arguments
		0x92: construct(3),          // NEWOBJ_EX: class, arguments, keywords
		'o':  (*machine).object,     // OBJ
		'b':  (*machine).build,      // BUILD
	}
}

// Reading the pickle.

func (m *machine) take(n int) ([]byte, error) {
	if n < 0 || n > len(m.data)-m.at {
		return nil, errShort
	}
	b := m.data[m.at : m.at+n]
	m.at += n
	return b, nil
}

// uint takes a little endian number of width bytes.
func (m *machine) uint(width int) (uint64, error) {
	b, err := m.take(width)
	if err != nil {
		return 0, err
	}
	var full [8]byte
	copy(full[:], b)
	return binary.LittleEndian.Uint64(full[:]), nil
}

// sized takes a length of width bytes and that many bytes.
func (m *machine) sized(width int) ([]byte, error) {
	n, err := m.uint(width)
	if err != nil {
		return nil, err
	}
	if n > uint64(len(m.data)) {
		return nil, errShort
	}
	return m.take(int(n))
}

// line takes the bytes up to a newline, and the newline.
func (m *machine) line() (string, error) {
	rest := m.data[m.at:]
	n := bytes.IndexByte(rest[:min(len(rest), maxLine)], '\n')
	switch {
	case n < 0 && len(rest) < maxLine:
		return "", errShort
	case n < 0:
		return "", fmt.Errorf("a line of more than %d bytes", maxLine)
	}
	b, err := m.take(n + 1)
	return string(b[:n]), err
}

// The stack.

func (m *machine) push(v any) error {
	m.stack = append(m.stack, v)
	return nil
}

// pushOr pushes what another call gave, or passes its error on.
func (m *machine) pushOr(v any, err error) error {
	if err != nil {
		return err
	}
	return m.push(v)
}

func (m *machine) top() (any, error) {
	if len(m.stack) == 0 {
		return nil, errors.New("stack is empty")
	}
	return m.stack[len(m.stack)-1], nil
}

func (m *machine) pop() (any, error) {
	v, err := m.top()
	if err != nil {
		return nil, err
	}
	if _, is := v.(mark); is {
		return nil, errors.New("unexpected mark")
	}
	m.stack = m.stack[:len(m.stack)-1]
	return v, nil
}

func (m *machine) popN(n int) (tuple, error) {
	items := make(tuple, n)
	for i := n - 1; i >= 0; i-- {
		var err error
		if items[i], err = m.pop(); err != nil {
			return nil, err
		}
	}
	return items, nil
}

// popMark takes everything above the last mark, and the mark.
func (m *machine) popMark() (tuple, error) {
	for i := len(m.stack) - 1; i >= 0; i-- {
		if _, is := m.stack[i].(mark); is {
			items := slices.Clone(tuple(m.stack[i+1:]))
			m.stack = m.stack[:i]
			return items, nil
		}
	}
	return nil, errors.New("no mark")
}

func (m *machine) discard() error {
	if _, err := m.top(); err != nil { // a mark may go too
		return err
	}
	m.stack = m.stack[:len(m.stack)-1]
	return nil
}

func (m *machine) discardToMark() error {
	_, err := m.popMark()
	return err
}

func (m *machine) duplicate() error { return m.pushOr(m.top()) }

// The memo.

func (m *machine) remember(slot uint64) error {
	v, err := m.top()
	m.memo[slot] = v
	return err
}

func put(width int) opcode {
	return func(m *machine) error {
		slot, err := m.uint(width)
		if err != nil {
			return err
		}
		return m.remember(slot)
	}
}

func get(width int) opcode {
	return func(m *machine) error {
		slot, err := m.uint(width)
		if err != nil {
			return err
		}
		v, ok := m.memo[slot]
		if !ok {
			return fmt.Errorf("memo %d is empty", slot)
		}
		return m.push(v)
	}
}

// Constants.

func skip(n int) opcode {
	return func(m *machine) error {
		_, err := m.take(n)
		return err
	}
}

func constant(v any) opcode {
	return func(m *machine) error { return m.push(v) }
}

func integer(width int) opcode {
	return func(m *machine) error {
		n, err := m.uint(width)
		return m.pushOr(int64(n), err)
	}
}

func (m *machine) int32() error {
	n, err := m.uint(4)
	return m.pushOr(int64(int32(n)), err)
}

// maxInt bounds an integer in bytes or digits; the magic number of the legacy
// form has 24 digits.
const maxInt = 1024

// decimal reads a number in text, as protocol 1 writes long ones; there "00" and
// "01" are its booleans.
func (m *machine) decimal() error {
	s, err := m.line()
	switch {
	case err != nil:
		return err
	case s == "00" || s == "01":
		return m.push(s == "01")
	case len(s) > maxInt:
		return fmt.Errorf("integer of %d digits", len(s))
	}
	n, ok := new(big.Int).SetString(strings.TrimSuffix(s, "L"), 10)
	if !ok {
		return fmt.Errorf("integer %.20q has more than digits", s)
	}
	return m.push(shortest(n))
}

// long reads a two's complement integer.
func long(width int) opcode {
	return func(m *machine) error {
		b, err := m.sized(width)
		if err != nil {
			return err
		}
		if len(b) > maxInt {
			return fmt.Errorf("integer of %d bytes", len(b))
		}
		return m.push(shortest(twosComplement(b)))
	}
}

// shortest is an int64 where that is enough.
func shortest(n *big.Int) any {
	if n.IsInt64() {
		return n.Int64()
	}
	return n
}

func twosComplement(littleEndian []byte) *big.Int {
	b := slices.Clone(littleEndian)
	slices.Reverse(b)
	n := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return n
}

// float reads BINFLOAT, the one big endian number.
func (m *machine) float() error {
	b, err := m.take(8)
	if err != nil {
		return err
	}
	return m.push(math.Float64frombits(binary.BigEndian.Uint64(b)))
}

func text(width int) opcode {
	return func(m *machine) error {
		b, err := m.sized(width)
		return m.pushOr(string(b), err)
	}
}

func blob(width int) opcode {
	return func(m *machine) error {
		b, err := m.sized(width)
		return m.pushOr(b, err)
	}
}

// Containers.

func (m *machine) tuple() error {
	items, err := m.popMark()
	return m.pushOr(items, err)
}

func tupleOf(n int) opcode {
	return func(m *machine) error {
		items, err := m.popN(n)
		return m.pushOr(items, err)
	}
}

func (m *machine) list() error {
	items, err := m.popMark()
	return m.pushOr(&list{items}, err)
}

func (m *machine) dict() error {
	items, err := m.popMark()
	if err != nil {
		return err
	}
	d := &dict{}
	return m.pushOr(d, d.setAll(items, m.steps))
}

func (m *machine) extend() error {
	items, err := m.popMark()
	if err != nil {
		return err
	}
	return m.add(items)
}

func extendBy(n int) opcode {
	return func(m *machine) error {
		items, err := m.popN(n)
		if err != nil {
			return err
		}
		return m.add(items)
	}
}

// add puts items into the container on top of the stack.
func (m *machine) add(items tuple) error {
	v, err := m.top()
	if err != nil {
		return err
	}
	switch c := v.(type) {
	case *list:
		c.items = append(c.items, items...)
		return nil
	case *dict:
		return c.setAll(items, m.steps)
	case *placeholder:
		return nil
	}
	return fmt.Errorf("a %s holds no items", kind(v))
}

// Names and objects.

func (m *machine) global() error {
	module, err := m.line()
	if err != nil {
		return err
	}
	name, err := m.line()
	if err != nil {
		return err
	}
	return m.pushOr(m.named(module, name))
}

func (m *machine) stackGlobal() error {
	args, err := m.popN(2)
	if err != nil {
		return err
	}
	module, ok1 := args[0].(string)
	name, ok2 := args[1].(string)
	if !ok1 || !ok2 {
		return errors.New("a global's name is no string")
	}
	return m.pushOr(m.named(module, name))
}

func (m *machine) persistent() error {
	v, err := m.pop()
	if err != nil {
		return err
	}
	id, ok := v.(tuple)
	if !ok {
		return fmt.Errorf("persistent id is a %s, not a tuple", kind(v))
	}
	return m.pushOr(m.names.load(id))
}

// construct calls the first of n operands with the second.
func construct(n int) opcode {
	return func(m *machine) error {
		operands, err := m.popN(n)
		if err != nil {
			return err
		}
		args, ok := operands[1].(tuple)
		if _, inert := operands[0].(*placeholder); !ok && !inert {
			return fmt.Errorf("arguments are a %s, not a tuple", kind(operands[1]))
		}
		return m.apply(operands[0], args)
	}
}

func (m *machine) object() error {
	operands, err := m.popMark()
	if err != nil {
		return err
	}
	if len(operands) == 0 {
		return errors.New("object without class")
	}
	return m.apply(operands[0], operands[1:])
}

func (m *machine) apply(f any, args tuple) error {
	switch f := f.(type) {
	case global:
		return m.pushOr(m.names.call(f, args))
	case *placeholder:
		return m.push(f)
	}
	return fmt.Errorf("a %s cannot be called", kind(f))
}

// build drops the state of an object: no class that we know has any that matters.
func (m *machine) build() error {
	if _, err := m.pop(); err != nil {
		return err
	}
	_, err := m.top()
	return err
}

// named accepts a dotted name that is fit for a message.
func (m *machine) named(module, name string) (global, error) {
	if err := m.spend((len(module) + len(name)) / stepBytes); err != nil {
		return "", err
	}
	full := module + "." + name
	if err := checkName(full); err != nil {
		return "", fmt.Errorf("a global's %w", err)
	}
	return global(full), nil
}
