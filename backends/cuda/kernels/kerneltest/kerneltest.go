// Package kerneltest holds the CUDA kernels to backends/ref, one by one, whatever runs them:
// awkward shapes, rows around the tiles, numbers that are none, guards around every result.
// Codes and scales of int8 are compared to the bit.
package kerneltest

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"dynvit/backends"
	"dynvit/backends/backendtest"
	"dynvit/backends/cuda/kernels"
	"dynvit/backends/ref"
)

// Machine runs kernels: the emulator, an interpreter of PTX, a GPU.
type Machine interface {
	Alloc(bytes int) (address uint64)
	Free(address uint64)
	Write(address uint64, data []byte)
	Read(address uint64, data []byte)
	// Launch runs a kernel to its end. args are as the kernel has them, in the low bytes.
	Launch(kernel string, grid, block [3]int, args []uint64) error
}

// Case is a test of one kernel, or of a few that follow each other.
type Case struct {
	Name string // begins with the kernels' family
	test func(*bench)
}

// Cases are all of them.
func Cases() []Case {
	return slices.Concat(gemmCases(), attentionCases(), rowCases(), tokenCases(), pictureCases())
}

// Run runs all cases on a machine that has the target's kernels.
func Run(t *testing.T, m Machine, target kernels.Target) {
	for _, c := range Cases() {
		t.Run(c.Name, func(t *testing.T) {
			if err := c.Check(m, target); err != nil {
				t.Error(err)
			}
		})
	}
}

// Check runs the case and returns what was wrong first.
func (c Case) Check(m Machine, target kernels.Target) (err error) {
	want, err := ref.Open(backends.Options{})
	if err != nil {
		return err
	}
	b := &bench{Machine: m, target: target, want: want, rng: rand.New(rand.NewPCG(5, 6))}
	defer func() {
		b.release()
		switch r := recover().(type) {
		case nil:
		case failure:
			err = r.error
		default:
			panic(r)
		}
	}()
	c.test(b)
	return nil
}

// failure ends a case.
type failure struct{ error }

func fail(format string, args ...any) { panic(failure{fmt.Errorf(format, args...)}) }

// bench is a machine with what a case needs.
type bench struct {
	Machine
	target kernels.Target
	want   backends.Backend
	rng    *rand.Rand
	owned  []uint64
}

// release frees what was taken.
func (b *bench) release() {
	for _, a := range b.owned {
		b.Free(a)
	}
	b.owned = nil
}

// random are normally distributed numbers.
func (b *bench) random(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(b.rng.NormFloat64())
	}
	return x
}

// bytes puts data in memory of its own.
func (b *bench) bytes(data []byte) uint64 {
	a := b.Alloc(len(data))
	b.owned = append(b.owned, a)
	b.Write(a, data)
	return a
}

// floats puts numbers in memory of their own; none are address 0.
func (b *bench) floats(x []float32) uint64 {
	if x == nil {
		return 0
	}
	return b.bytes(encode(x))
}

func (b *bench) ints(x []int32) uint64 {
	if x == nil {
		return 0
	}
	data := make([]byte, 4*len(x))
	for i, v := range x {
		binary.LittleEndian.PutUint32(data[4*i:], uint32(v))
	}
	return b.bytes(data)
}

// get reads numbers.
func (b *bench) get(address uint64, n int) []float32 {
	data := make([]byte, 4*n)
	b.Read(address, data)
	x := make([]float32, n)
	for i := range x {
		x[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return x
}

func (b *bench) getInts(address uint64, n int) []int32 {
	x := make([]int32, n)
	for i, v := range b.get(address, n) {
		x[i] = int32(math.Float32bits(v))
	}
	return x
}

func encode(x []float32) []byte {
	data := make([]byte, 4*len(x))
	for i, v := range x {
		binary.LittleEndian.PutUint32(data[4*i:], math.Float32bits(v))
	}
	return data
}

// launch runs a kernel with arguments of Go's types: uint64 addresses, ints, float32s.
func (b *bench) launch(kernel string, grid [3]int, threads int, args ...any) {
	words := make([]uint64, len(args))
	for i, a := range args {
		switch v := a.(type) {
		case uint64:
			words[i] = v
		case int:
			words[i] = uint64(uint32(int32(v)))
		case float32:
			words[i] = uint64(math.Float32bits(v))
		default:
			fail("%s: argument %d is a %T", kernel, i, a)
		}
	}
	if err := b.Launch(kernel, grid, [3]int{threads, 1, 1}, words); err != nil {
		panic(failure{err})
	}
}

// result is memory with guards before and behind, which a kernel must leave alone.
type result struct {
	b     *bench
	whole uint64
	n     int // numbers
}

const (
	guard  = 12345.5
	guards = 64
)

// result begins with what data holds.
func (b *bench) result(data []float32) result {
	whole := slices.Repeat([]float32{guard}, len(data)+2*guards)
	copy(whole[guards:], data)
	return result{b, b.floats(whole), len(data)}
}

func (r result) address() uint64 { return r.whole + 4*guards }

// read checks the guards.
func (r result) read(what string) []float32 {
	all := r.b.get(r.whole, r.n+2*guards)
	for i := range guards {
		if all[i] != guard || all[len(all)-1-i] != guard {
			fail("%s: wrote outside its result", what)
		}
	}
	return all[guards:][:r.n]
}

// near compares by normalised mean square error.
func near(what string, got, want []float32, limit float64) {
	if e := backendtest.NMSE(got, want); !(e <= limit) {
		fail("%s: error %.2g, want at most %.0e", what, e, limit)
	}
}

// same compares bits; any NaN is as good as another.
func same(what string, got, want []float32) {
	for i, w := range want {
		if got[i] != w && (got[i] == got[i] || w == w) {
			fail("%s: number %d of %d is %v, want %v", what, i, len(want), got[i], w)
		}
	}
}

// tensor is a matrix of the oracle.
func (b *bench) tensor(rows, cols int, data []float32) backends.Tensor {
	x, _ := b.want.Alloc(rows, cols) // the oracle allocates what it is asked to
	copy(x.Host, data)
	return x
}

func ceil(a, b int) int { return (a + b - 1) / b }
