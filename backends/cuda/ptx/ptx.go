// Package ptx runs the kernels that a GPU would be handed, from their PTX, instruction by
// instruction, so that what is committed can be tested where there is no GPU. It is slow, and
// strict: what CUDA leaves undefined is an error here. Lanes of a warp that stand at the same
// instruction do it together; those that have parted go on until they stand together again.
//
//   - Memory: every access to global or shared memory lies within one allocation
//     and is aligned to its size; nothing is read that nobody wrote.
//   - Races: two threads that touch a byte, one of them to write, are ordered by a
//     barrier of their block or warp, also where one instruction does both. A warp's barrier orders what
//     lanes do where it names all of the warp's. Threads of different blocks never are ordered, within a launch.
//   - Barriers: all threads of a block reach one, none has returned. Lanes that a warp's
//     instruction names are all there.
//   - Matrices: the layout of wmma's fragments is nobody's business, that of mma.sync's is the ISA's;
//     rows are aligned as the ISA wants.
//   - Instructions it doesn't know are refused when the text is read, and memory of a
//     thread's own: no kernel of ours may spill.
//
// The order of blocks, of a block's warps, and of the lanes in an instruction that touches memory is drawn from a
// seed, and so is, where lanes have parted, which of them go first. Registers begin with zeros in a launch's first
// block, and in others with what the one before has left. Sums on tensor cores are
// rounded once an instruction; those of hardware differ in the last bits. ex2.approx and
// rcp.approx are off by a unit in the last place now and then, as the ISA allows them to be.
//
// The ISA is NVIDIA's "Parallel Thread Execution ISA", version 8.8; sections are cited by
// the names of instructions.
package ptx

import (
	"fmt"
	"slices"
)

// Module is a text that has been read. It is not changed afterwards.
type Module struct {
	Version string // of the ISA, which a driver must know: "7.4"
	Target  string // "sm_80"
	kernels []*Kernel
}

// Kernels are the module's, in the order of the text.
func (m *Module) Kernels() []*Kernel { return slices.Clone(m.kernels) }

// Kernel finds an entry by its name; nil: there is none.
func (m *Module) Kernel(name string) *Kernel {
	for _, k := range m.kernels {
		if k.Name == name {
			return k
		}
	}
	return nil
}

// Kernel is an entry.
type Kernel struct {
	Name    string
	Threads Size // the most that .maxntid allows; zeros: not said
	Shared  int  // bytes a block

	params  []kind // each in a slot behind the specials
	program []instruction
	first   []uint64 // what slots of all threads begin with: constants, 0 elsewhere
}

// Size is of a grid in blocks, or of a block in threads.
type Size [3]int

func (s Size) count() int { return s[0] * s[1] * s[2] }

// at is the place of a number along x, y and z.
func (s Size) at(i int) Size { return Size{i % s[0], i / s[0] % s[1], i / s[0] / s[1]} }

// Launch is how a kernel is started.
type Launch struct {
	Grid, Block Size
	Args        []uint64 // one a parameter, in the low bytes
	Seed        uint64   // of the order of blocks and threads
	Steps       int      // the most instructions a thread may take; 0: 100 million
}

// Stats are what a launch did.
type Stats struct {
	Instructions    int64 // of all threads
	Products        int64 // multiply-adds in float32 and on tensor cores
	Read            int64 // bytes of global memory, as often as they were
	Written         int64
	DistinctRead    int64 // bytes of global memory, once: what a large enough cache would leave
	DistinctWritten int64
	Conflicts       int64 // turns that ldmatrix takes beyond one a matrix, since rows share banks of shared memory
}

// Add adds another launch's.
func (s *Stats) Add(o Stats) {
	s.Instructions += o.Instructions
	s.Products += o.Products
	s.Read += o.Read
	s.Written += o.Written
	s.DistinctRead += o.DistinctRead
	s.DistinctWritten += o.DistinctWritten
	s.Conflicts += o.Conflicts
}

// Fault is what a kernel did that it may not.
type Fault struct {
	Kernel string
	Line   int    // of the text
	Code   string // the instruction
	Block  Size
	Thread Size
	What   string
}

func (f *Fault) Error() string {
	return fmt.Sprintf("%s, line %d, %s: %s (thread %v of block %v)", f.Kernel, f.Line, f.Code, f.What, f.Thread, f.Block)
}
