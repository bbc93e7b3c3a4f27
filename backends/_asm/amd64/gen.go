// Package amd64 writes the kernels of the backends avx512 and avx2, which differ in the
// width of a vector, the number of registers and a few instructions.
package amd64

import (
	"fmt"
	"regexp"

	"dynvit.asm/emit"
)

// gen collects one file.
type gen struct {
	*emit.File
	wide bool // 512-bit vectors and mask registers; else 256-bit
}

func newGen(command string, wide bool, includes ...string) *gen {
	g := &gen{wide: wide}
	g.File = emit.New(command, g.bytes(), includes...)
	return g
}

// Op writes an instruction. Those on vector registers begin with a V: one of SSE beside them keeps the
// upper halves that it does not know, for which a Zen 3 took 100 ns.
func (g *gen) Op(name string, operands ...any) {
	for _, o := range operands {
		if r, ok := o.(string); ok && name[0] != 'V' && vectorRegister.MatchString(r) {
			panic(fmt.Sprintf("amd64: %s of SSE on %s", name, r))
		}
	}
	g.File.Op(name, operands...)
}

var vectorRegister = regexp.MustCompile(`^[XYZ][0-9]+$`)

// r is vector register i.
func (g *gen) r(i int) string { return g.pick("Z", "Y") + fmt.Sprint(i) }

// bytes is the size of a vector, lanes its number of 32-bit words.
func (g *gen) bytes() int {
	if g.wide {
		return 64
	}
	return 32
}

func (g *gen) lanes() int { return g.bytes() / 4 }

// pick is one of two alternatives.
func (g *gen) pick(wide, narrow string) string {
	if g.wide {
		return wide
	}
	return narrow
}

// ret ends a function; the upper halves are zeroed lest SSE code after it pays.
func (g *gen) ret() {
	g.Op("VZEROUPPER")
	g.Op("RET")
}

func at(offset int, base string) string { return fmt.Sprintf("%d(%s)", offset, base) }
