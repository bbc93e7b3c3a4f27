package heif

import (
	"errors"
	"fmt"
)

// What a program may still do is counted down in a variable of its own, at the head of
// each loop, and it is stopped below 0. That makes decoding 13 % slower (a HEIC and an AVIF
// of 320×240, 300 times each, the least of either); wazero's own checks, which leave the
// program at each loop, five times. A count is the same on each machine, and needs no clock.
const fuelName = "fuel"

// metered is a program's code (the binary format of WebAssembly 2.0, chapter 5) that
// counts, and exports its count as fuelName.
func metered(code []byte) (out []byte, err error) {
	defer func() { // of a reader beyond the end
		if recover() != nil {
			out, err = nil, errors.New("its WebAssembly is damaged")
		}
	}()
	const header = 8
	out = append(out, code[:header]...)
	fuel := uint32(0)
	for r := (reader{code[header:]}); len(r.left) > 0; {
		id := r.byte()
		body := reader{r.take(int(r.number()))}
		var section []byte
		switch id {
		case sectionCustom:
			continue // names and notes, which count bytes of the code as it was
		case sectionImport:
			section = body.left
			functionsAlone(body)
		case sectionGlobal:
			fuel = body.count()
			section = body.appended(0x7e, 1, 0x42, 0, 0x0b) // i64, may change, begins as 0
		case sectionExport:
			name := append([]byte{byte(len(fuelName))}, fuelName...)
			section = body.appended(number(append(name, 3), fuel)...) // a global
		case sectionCode:
			if section, err = meteredBodies(body, fuel); err != nil {
				return nil, err
			}
		default:
			section = body.left
		}
		out = append(number(append(out, id), uint32(len(section))), section...)
	}
	return out, nil
}

const sectionCustom, sectionImport, sectionGlobal, sectionExport, sectionCode = 0, 2, 6, 7, 10

// functionsAlone panics where anything but functions is imported: globals would be counted
// ahead of the program's own.
func functionsAlone(r reader) {
	for range r.number() {
		r.take(int(r.number()))
		r.take(int(r.number()))
		if r.byte() != 0 {
			panic("no function")
		}
		r.number()
	}
}

func meteredBodies(r reader, fuel uint32) ([]byte, error) {
	n := r.number()
	out := number(nil, n)
	for range n {
		body, err := meteredBody(r.take(int(r.number())), fuel)
		if err != nil {
			return nil, err
		}
		out = append(number(out, uint32(len(body))), body...)
	}
	return out, nil
}

// meteredBody counts at each loop of a function.
func meteredBody(body []byte, fuel uint32) ([]byte, error) {
	count := number([]byte{0x23}, fuel)                         // global.get
	count = number(append(count, 0x42, 0x7f, 0x7c, 0x24), fuel) // i64.const -1, i64.add, global.set
	count = number(append(count, 0x23), fuel)
	count = append(count, 0x42, 0, 0x53, 0x04, 0x40, 0x00, 0x0b) // i64.const 0, i64.lt_s, if, unreachable, end

	r := reader{body}
	for range r.number() { // locals
		r.number()
		r.byte()
	}
	var out []byte
	copied := 0
	for len(r.left) > 0 {
		loop := r.left[0] == opLoop
		if err := r.skip(); err != nil {
			return nil, err
		}
		if loop {
			at := len(body) - len(r.left)
			out = append(append(out, body[copied:at]...), count...)
			copied = at
		}
	}
	return append(out, body[copied:]...), nil
}

const opLoop = 0x03

// skip passes over an instruction.
func (r *reader) skip() error {
	switch op := r.byte(); {
	case op == 0x02 || op == opLoop || op == 0x04: // block, loop, if: the type
		r.number()
	case op == 0x0c || op == 0x0d || op == 0x10 || op >= 0x20 && op <= 0x26 || op == 0xd2: // br, call, variables, tables
		r.number()
	case op == 0x0e: // br_table
		for range r.number() + 1 {
			r.number()
		}
	case op == 0x11: // call_indirect
		r.numbers(2)
	case op == 0x1c: // select of types
		r.take(int(r.number()))
	case op >= 0x28 && op <= 0x3e: // loads and stores: alignment, offset
		r.numbers(2)
	case op == 0x3f || op == 0x40 || op == 0xd0: // memory.size, memory.grow, ref.null
		r.byte()
	case op == 0x41 || op == 0x42: // i32.const, i64.const
		r.number()
	case op == 0x43:
		r.take(4)
	case op == 0x44:
		r.take(8)
	case op == 0xfc:
		return r.skipBulk()
	case op == 0xfd:
		return r.skipVector()
	case op <= 0x01 || op == 0x05 || op == 0x0b || op == 0x0f || op == 0x1a || op == 0x1b || op >= 0x45 && op <= 0xc4 || op == 0xd1:
	default:
		return fmt.Errorf("its WebAssembly has instruction %#x", op)
	}
	return nil
}

func (r *reader) skipBulk() error {
	switch op := r.number(); {
	case op < 8: // conversions that saturate
	case op == 9 || op == 11 || op == 13 || op >= 15 && op <= 17: // data.drop, memory.fill, …
		r.number()
	case op == 8 || op == 10 || op == 12 || op == 14: // memory.init, memory.copy, …
		r.numbers(2)
	default:
		return fmt.Errorf("its WebAssembly has instruction 0xfc %d", op)
	}
	return nil
}

func (r *reader) skipVector() error {
	switch op := r.number(); {
	case op <= 11 || op == 92 || op == 93: // loads and stores
		r.numbers(2)
	case op == 12 || op == 13: // a constant, a shuffle
		r.take(16)
	case op >= 21 && op <= 34: // a lane
		r.byte()
	case op >= 84 && op <= 91: // loads and stores of a lane
		r.numbers(2)
		r.byte()
	case op > 255:
		return fmt.Errorf("its WebAssembly has instruction 0xfd %d", op)
	}
	return nil
}

// reader takes bytes off what is left; beyond the end it panics.
type reader struct{ left []byte }

func (r *reader) take(n int) []byte {
	b := r.left[:n:n]
	r.left = r.left[n:]
	return b
}

func (r *reader) byte() byte { return r.take(1)[0] }

// number reads LEB128, of up to 64 bits where only its length is of interest.
func (r *reader) number() (v uint32) {
	for shift := 0; ; shift += 7 {
		b := r.byte()
		v |= uint32(b&0x7f) << min(shift, 31)
		if b < 0x80 {
			return v
		}
	}
}

func (r *reader) numbers(n int) {
	for range n {
		r.number()
	}
}

// count is the number ahead of a section's entries.
func (r reader) count() uint32 { return r.number() }

// appended is a section with one entry more.
func (r reader) appended(entry ...byte) []byte {
	n := r.number()
	return append(append(number(nil, n+1), r.left...), entry...)
}

// number appends v as LEB128.
func number(b []byte, v uint32) []byte {
	for ; v >= 0x80; v >>= 7 {
		b = append(b, byte(v)|0x80)
	}
	return append(b, byte(v))
}
