// Package amx executes the instructions of AMX for tests on processors without: there each
// is a trap, which [Run] takes from tests that run in a process of their own, and leaves all else to the
// processor. Every kernel so runs as the bytes that it is, beside guard pages.
//
// It is strict where processors are (Intel SDM 325462, volume 2, "TDPBF16PS" and the like; exception classes AMX-E1 to
// E6), and where kernels are to be: what is configured is released before it is configured again, and before the thread ends.
package amx

import (
	"encoding/binary"
	"fmt"
)

// The palette of all processors so far: tiles, rows of one, bytes of a row.
const (
	tiles   = 8
	most    = 16
	longest = 64
)

// tile is a tile register. Rows and bytes behind its shape are 0.
type tile struct {
	rows, bytes int
	data        [most][longest]byte
}

// State is that of one thread.
type State struct {
	configured bool
	tiles      [tiles]tile
}

// Memory is that of the program.
type Memory interface {
	Read(address uint64, p []byte) error
	Write(address uint64, p []byte) error
}

// Do executes an instruction, whose general registers are register's by number.
func (s *State) Do(i Instruction, m Memory, register func(n int) uint64) error {
	if i.Op == "ldtilecfg" {
		return s.configure(i.address(register), m)
	}
	if i.Op == "tilerelease" {
		*s = State{}
		return nil
	}
	for _, n := range i.tiles() {
		if !s.configured || s.tiles[n].rows == 0 {
			return fmt.Errorf("%v: tile %d has no shape", i, n)
		}
	}
	t := &s.tiles[i.Tile]
	switch i.Op {
	case "tilezero":
		t.data = [most][longest]byte{}
	case "tileloadd":
		return t.load(i, m, register)
	case "tilestored":
		return t.store(i, m, register)
	default:
		return s.multiply(i)
	}
	return nil
}

// configure is LDTILECFG.
func (s *State) configure(address uint64, m Memory) error {
	if s.configured {
		return fmt.Errorf("ldtilecfg: the kernel before did not release its tiles")
	}
	var c [64]byte
	if err := m.Read(address, c[:]); err != nil {
		return fmt.Errorf("ldtilecfg: %w", err)
	}
	if c[0] != 1 || c[1] != 0 {
		return fmt.Errorf("ldtilecfg: palette %d, start row %d: want 1, 0", c[0], c[1])
	}
	for i, b := range c {
		shape := i >= 16 && i < 16+2*tiles || i >= 48 && i < 48+tiles
		if i > 1 && !shape && b != 0 {
			return fmt.Errorf("ldtilecfg: byte %d is %d, which is reserved", i, b)
		}
	}
	*s = State{configured: true}
	for i := range s.tiles {
		t := &s.tiles[i]
		t.rows, t.bytes = int(c[48+i]), int(c[16+2*i])|int(c[17+2*i])<<8
		if t.rows > most || t.bytes > longest || (t.rows == 0) != (t.bytes == 0) {
			return fmt.Errorf("ldtilecfg: tile %d of %d rows by %d bytes", i, t.rows, t.bytes)
		}
	}
	return nil
}

func (t *tile) load(i Instruction, m Memory, register func(n int) uint64) error {
	t.data = [most][longest]byte{}
	for r := range t.rows {
		if err := m.Read(i.row(r, register), t.data[r][:t.bytes]); err != nil {
			return fmt.Errorf("%v, row %d of %d: %w", i, r, t.rows, err)
		}
	}
	return nil
}

func (t *tile) store(i Instruction, m Memory, register func(n int) uint64) error {
	for r := range t.rows {
		if err := m.Write(i.row(r, register), t.data[r][:t.bytes]); err != nil {
			return fmt.Errorf("%v, row %d of %d: %w", i, r, t.rows, err)
		}
	}
	return nil
}

// multiply is TDPBUSD and its like, and TDPBF16PS.
func (s *State) multiply(i Instruction) error {
	c, a, b := &s.tiles[i.Tile], &s.tiles[i.A], &s.tiles[i.B]
	switch {
	case i.Tile == i.A || i.Tile == i.B || i.A == i.B:
		return fmt.Errorf("%v: a tile stands there twice", i)
	case c.rows != a.rows || a.bytes != 4*b.rows || c.bytes != b.bytes || c.bytes%4 != 0:
		return fmt.Errorf("%v: %d×%d bytes, %d×%d, %d×%d", i, c.rows, c.bytes, a.rows, a.bytes, b.rows, b.bytes)
	}
	var x, y [most]uint32
	for m := range c.rows {
		for n := range c.bytes / 4 {
			for k := range b.rows {
				x[k], y[k] = word(&a.data[m], k), word(&b.data[k], n)
			}
			setWord(&c.data[m], n, i.dot(word(&c.data[m], n), x[:b.rows], y[:b.rows]))
		}
	}
	return nil
}

func word(row *[longest]byte, i int) uint32 { return binary.LittleEndian.Uint32(row[4*i:]) }

func setWord(row *[longest]byte, i int, v uint32) { binary.LittleEndian.PutUint32(row[4*i:], v) }
