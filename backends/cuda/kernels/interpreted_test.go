//go:build !purego

package kernels_test

import (
	"fmt"
	"testing"

	"dynvit/backends/cuda/kernels"
	"dynvit/backends/cuda/kernels/kerneltest"
	"dynvit/backends/cuda/ptx"
)

// interpreter is a kerneltest.Machine that runs the committed PTX.
type interpreter struct {
	memory  ptx.Memory
	kernels map[string]*ptx.Kernel
	seed    uint64
	stats   ptx.Stats
}

func interpret(t *testing.T, target kernels.Target) *interpreter {
	t.Helper()
	p := &interpreter{kernels: map[string]*ptx.Kernel{}}
	for _, family := range kernels.Families() {
		p.load(t, string(target.PTX(family)))
	}
	return p
}

// load takes a text's kernels, in place of those of the same names.
func (p *interpreter) load(t *testing.T, text string) {
	t.Helper()
	m, err := ptx.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range m.Kernels() {
		p.kernels[k.Name] = k
	}
}

func (p *interpreter) Alloc(bytes int) uint64 { return p.memory.Alloc(bytes) }
func (p *interpreter) Free(address uint64)    { must(p.memory.Free(address)) }

func (p *interpreter) Write(address uint64, data []byte) { must(p.memory.Write(address, data)) }
func (p *interpreter) Read(address uint64, data []byte)  { must(p.memory.Read(address, data)) }

// must is for errors that are the test's own.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

func (p *interpreter) Launch(kernel string, grid, block [3]int, args []uint64) error {
	k := p.kernels[kernel]
	if k == nil {
		return fmt.Errorf("no kernel %s", kernel)
	}
	p.seed++
	s, err := k.Run(&p.memory, ptx.Launch{Grid: grid, Block: block, Args: args, Seed: p.seed})
	p.stats.Add(s)
	return err
}

// TestInterpreted holds every kernel to ref by the PTX that is committed: no compiler and no
// GPU is needed.
func TestInterpreted(t *testing.T) {
	if testing.Short() {
		t.Skip("needs more than a short run: it interprets every kernel")
	}
	for _, target := range kernels.Targets() {
		t.Run(target.Name, func(t *testing.T) {
			p := interpret(t, target)
			kerneltest.Run(t, p, target)
			t.Logf("%+v", p.stats)
			if p.stats.Conflicts > 0 {
				t.Errorf("ldmatrix: %d conflicts of banks", p.stats.Conflicts)
			}
		})
	}
}
