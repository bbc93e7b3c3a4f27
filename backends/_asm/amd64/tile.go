package amd64

import "fmt"

// A kernel of AMX multiplies tiles of up to 32 rows by two vectors of outputs in eight tile
// registers: four of sums, two of rows' operands, 16 words of each, and two of the panel's, which lies as tiles want it. All
// heights share the code, as tiles' shapes are data. Sums go through the stack to vectors,
// which add the words behind the last 16, and finish as other kernels do.
//
// Tiles live within one call alone: Go's scheduler never moves a goroutine off its thread inside assembly
// (isAsyncSafePoint of runtime/preempt.go), the kernel keeps tiles across a switch of threads and in frames of signals
// (docs.kernel.org/arch/x86/xstate.html), and TILERELEASE at the end spares the next ones 8 KiB.
type tiled struct {
	name  string
	codes bool // int8, whose panels have a vector an output ahead; else bf16
	// multiply adds the products of tiles a and b, word those of a word at an address and of operands in a vector.
	multiply func(g *gen, sum, a, b int)
	word     func(g *gen, sum int, at string, operands, t int)
}

// The tile registers, and the vectors of a row that is being finished: its two sums, and what all
// rows share.
const (
	tileRows, tileWords = 16, 16
	tileA, tileB        = 4, 6

	ahead512 = 8 // cache lines fetched for 16 words: four tiles of rows fetch a panel

	finishT, finishU           = 2, 3
	finishSums, finishBias     = 26, 28
	finishUnit                 = 30
	rax, rdx, rbx, rsi         = 0, 2, 3, 6
	r8, r9, r10, r11, r12, r13 = 8, 9, 10, 11, 12, 13

	// The stack: sums of 32 rows by 32 outputs, what is fetched, and what aligns both.
	stackSums    = 2 * tileRows * 128
	stackFetched = stackSums
	stackFrame   = stackSums + 64 + 64
)

// tiled writes the kernel. Registers: DI the call, SI the tile's operands, R9 the bytes between
// its rows, R12 the sums on the stack, R13 the panel's number, R15 rows done; DX the panel, CX how often.
func (g *gen) tiled(p tiled) {
	g.Framed(p.name, stackFrame, 8, "(c *call)")
	g.Op("MOVQ", "c+0(FP)", "DI")
	g.Op("LEAQ", "63(SP)", "R12")
	g.Op("ANDQ", -64, "R12")
	g.Op("MOVQ", call("Tile"), "AX")
	g.Op("SHLQ", 6, "AX")
	g.Op("LEAQ", g.Table("shapes", shapes())+"(SB)", "BX")
	g.Op("LEAQ", "-64(BX)(AX*1)", "BX")
	g.tileConfig(rbx)
	g.Op("MOVQ", call("AStride"), "R9")
	g.Op("SHLQ", 2, "R9")
	g.Op("XORL", "R13", "R13")
	g.Label("panel")
	g.panelAt(p, 1)
	g.Op("MOVQ", "DX", at(stackFetched, "R12"))
	g.Op("MOVQ", call("A"), "SI")
	g.Op("XORL", "R15", "R15")
	g.Label("tile")
	g.products(p)
	g.finish(p)
	g.Op("MOVQ", call("Tile"), "AX")
	g.Op("IMULQ", "R9", "AX")
	g.Op("ADDQ", "AX", "SI")
	g.Op("CMPQ", "R15", call("Rows"))
	g.Op("JLT", "tile")
	g.Op("INCQ", "R13")
	g.Op("CMPQ", "R13", call("Panels"))
	g.Op("JLT", "panel")
	g.tileRelease()
	g.ret()
}

// shapes are what LDTILECFG reads for tiles of 1 to 32 rows: those above 16 in two halves, so
// that neither is left with few.
func shapes() (words []uint32) {
	for rows := 1; rows <= 2*tileRows; rows++ {
		first, second := rows, 0
		if rows > tileRows {
			first, second = (rows+1)/2, rows/2
		}
		config := make([]byte, 64)
		config[0] = 1 // the palette of eight tiles of 16 rows by 64 bytes
		for tile, n := range []int{first, first, second, second, first, second, tileRows, tileRows} {
			if n > 0 {
				config[16+2*tile], config[48+tile] = 64, byte(n)
			}
		}
		for i := 0; i < len(config); i += 4 {
			words = append(words, uint32(config[i])|uint32(config[i+1])<<8|uint32(config[i+2])<<16|uint32(config[i+3])<<24)
		}
	}
	return words
}

// panelAt points DX to a panel, the call's or so many behind it.
func (g *gen) panelAt(p tiled, behind int) {
	g.Op("MOVQ", call("Words"), "DX")
	if p.codes {
		g.Op("INCQ", "DX")
	}
	g.Op("SHLQ", 7, "DX")
	g.Op("LEAQ", at(behind, "R13"), "AX")
	g.Op("IMULQ", "AX", "DX")
	g.Op("ADDQ", call("Panel"), "DX")
}

// products leaves the sums of the words that fill tiles on the stack, DX behind their part of the
// panel and R8 behind that of the operands.
func (g *gen) products(p tiled) {
	g.panelAt(p, 0)
	if p.codes {
		g.Op("ADDQ", 128, "DX")
	}
	g.Op("MOVQ", "SI", "R8")
	g.Op("MOVQ", call("Words"), "CX")
	g.Op("SHRQ", 4, "CX")
	g.Op("MOVQ", at(stackFetched, "R12"), "BX")
	g.Op("MOVL", 128, "R11")
	g.Op("MOVQ", call("Tile"), "AX")
	g.Op("CMPQ", "AX", tileRows)
	g.Op("JLE", "low")
	g.Op("INCQ", "AX")
	g.Op("SHRQ", 1, "AX")
	g.Op("MOVQ", "AX", "R10")
	g.Op("IMULQ", "R9", "R10")
	g.Op("ADDQ", "SI", "R10")
	g.Op("SHLQ", 7, "AX")
	g.Op("ADDQ", "R12", "AX")
	g.loop(p, 2)
	g.tileStore(2, rax, r11, 0)
	g.tileStore(3, rax, r11, 64)
	g.Op("JMP", "stored")
	g.Label("low")
	g.loop(p, 1)
	g.Label("stored")
	g.Op("MOVQ", "BX", at(stackFetched, "R12"))
}

// loop multiplies one or two tiles of rows with both of outputs, and stores the first one's sums.
func (g *gen) loop(p tiled, rows int) {
	name := func(what string) string { return fmt.Sprintf("%s%d", what, rows) }
	for tile := range 2 * rows {
		g.tileZero(tile)
	}
	g.Op("TESTQ", "CX", "CX")
	g.Op("JEQ", name("store"))
	g.Label(name("words"))
	g.tileLoad(tileB, rdx, r11, 0)
	for i := range rows {
		g.tileLoad(tileA+i, []int{r8, r10}[i], r9, 0)
		p.multiply(g, 2*i, tileA+i, tileB)
		if i == 0 {
			g.tileLoad(tileB+1, rdx, r11, 64)
		}
		p.multiply(g, 2*i+1, tileA+i, tileB+1)
	}
	for line := range ahead512 {
		g.Op("PREFETCHT1", at(64*line, "BX"))
	}
	g.Op("ADDQ", 64*ahead512, "BX")
	g.Op("ADDQ", 128*tileWords, "DX")
	g.Op("ADDQ", 4*tileWords, "R8")
	if rows == 2 {
		g.Op("ADDQ", 4*tileWords, "R10")
	}
	g.Op("DECQ", "CX")
	g.Op("JNE", name("words"))
	g.Label(name("store"))
	g.tileStore(0, r12, r11, 0)
	g.tileStore(1, r12, r11, 64)
}

// finish makes outputs of the sums, row by row: R10 the row's sums, R14 its outputs, CX rows left.
func (g *gen) finish(p tiled) {
	g.Op("MOVQ", "R13", "AX")
	g.Op("SHLQ", 7, "AX")
	g.Op("MOVQ", call("Bias"), "BX")
	g.Op("ADDQ", "AX", "BX")
	g.load2("BX", finishBias)
	if p.codes {
		g.Op("MOVQ", call("Unit"), "BX")
		g.Op("ADDQ", "AX", "BX")
		g.load2("BX", finishUnit)
		g.Op("MOVQ", "DX", "R11")
		g.panelAt(p, 0)
		g.load2("DX", finishSums)
		g.Op("MOVQ", "R11", "DX")
		g.Op("MOVQ", "R13", "AX")
		g.Op("SHLQ", 7, "AX")
	}
	g.Op("CMPB", call("Pairs"), 0)
	g.Op("JEQ", "whole")
	g.Op("SHRQ", 1, "AX")
	g.Label("whole")
	g.Op("MOVQ", call("DstStride"), "R14")
	g.Op("IMULQ", "R15", "R14")
	g.Op("LEAQ", "(AX)(R14*4)", "R14")
	g.Op("ADDQ", call("Dst"), "R14")
	g.Op("MOVQ", "R12", "R10")
	g.Op("MOVQ", call("Tile"), "CX")
	g.Label("row")
	g.load2("R10", 0)
	g.rest(p)
	if p.codes {
		g.scaleRow()
	} else {
		for j := range 2 {
			g.Op("VADDPS", g.r(finishBias+j), g.r(j), g.r(j))
		}
	}
	g.storeRow()
	g.Op("MOVQ", call("DstStride"), "AX")
	g.Op("LEAQ", "(R14)(AX*4)", "R14")
	g.Op("ADDQ", 128, "R10")
	g.Op("ADDQ", "R9", "R8")
	g.Op("INCQ", "R15")
	g.Op("DECQ", "CX")
	g.Op("JNE", "row")
}

// load2 reads two vectors into registers r and r+1.
func (g *gen) load2(base string, r int) {
	g.Op("VMOVUPS", at(0, base), g.r(r))
	g.Op("VMOVUPS", at(g.bytes(), base), g.r(r+1))
}

// rest adds the products of the words that fill no tile: a row's from R8 on with the panel's from DX on.
func (g *gen) rest(p tiled) {
	g.Op("MOVQ", call("Words"), "AX")
	g.Op("ANDQ", tileWords-1, "AX")
	g.Op("JEQ", "added")
	g.Op("MOVQ", "R8", "BX")
	g.Op("MOVQ", "DX", "R11")
	g.Label("word")
	g.Op("VPBROADCASTD", "(BX)", g.r(finishT))
	for j := range 2 {
		p.word(g, j, at(j*g.bytes(), "R11"), finishT, finishU)
	}
	g.Op("ADDQ", 4, "BX")
	g.Op("ADDQ", 128, "R11")
	g.Op("DECQ", "AX")
	g.Op("JNE", "word")
	g.Label("added")
}

// scaleRow is startZeros and scale of one row.
func (g *gen) scaleRow() {
	g.Op("MOVQ", call("Zero"), "AX")
	g.Op("VPBROADCASTD", "(AX)(R15*4)", g.r(finishT))
	for j := range 2 {
		g.Op("VPMULLD", g.r(finishSums+j), g.r(finishT), g.r(finishU+j))
	}
	g.Op("MOVQ", call("Scale"), "AX")
	g.Op("VBROADCASTSS", "(AX)(R15*4)", g.r(finishT))
	for j := range 2 {
		g.Op("VPADDD", g.r(finishU+j), g.r(j), g.r(j))
		g.Op("VCVTDQ2PS", g.r(j), g.r(j))
		g.Op("VMULPS", g.r(finishUnit+j), g.r(finishT), g.r(finishU+j))
		g.Op("VFMADD213PS", g.r(finishBias+j), g.r(finishU+j), g.r(j))
	}
}

// storeRow writes a row at R14, plus the residual where there is one, or as bfloat16.
func (g *gen) storeRow() {
	g.Op("CMPB", call("Pairs"), 0)
	g.Op("JNE", "pairs")
	g.Op("MOVQ", call("Res"), "BX")
	g.Op("TESTQ", "BX", "BX")
	g.Op("JEQ", "plain")
	g.Op("SUBQ", call("Dst"), "BX")
	for j := range 2 {
		g.Op("VADDPS", at(j*g.bytes(), "BX")+"(R14*1)", g.r(j), g.r(j))
	}
	g.Label("plain")
	for j := range 2 {
		g.Op("VMOVUPS", g.r(j), at(j*g.bytes(), "R14"))
	}
	g.Op("JMP", "next")
	g.Label("pairs")
	for j := range 2 {
		g.toBF16(j, j)
		g.Op("VMOVUPS", fmt.Sprintf("Y%d", j), at(j*g.bytes()/2, "R14"))
	}
	g.Label("next")
}

// The products of a word behind the last tile's: of int8, of bf16.
func wordInt8(g *gen, sum int, at string, operands, _ int) {
	g.Op("VPDPBUSD", at, g.r(operands), g.r(sum))
}

func wordBF16(g *gen, sum int, at string, operands, t int) {
	g.Op("VMOVUPS", at, g.r(t))
	g.dotBF16(operands, t, sum)
}

// peakTiles writes a loop of multiplications of full tiles in registers: n rounds of peakSums.
// What it returns is of no meaning: 0.
func (g *gen) peakTiles(name string, multiply func(g *gen, sum, a, b int)) {
	g.Func(name, 12, "(n int) float32")
	g.Op("MOVQ", "n+0(FP)", "CX")
	g.Op("LEAQ", fmt.Sprintf("%s+%d(SB)", g.Table("shapes", shapes()), 64*(2*tileRows-1)), "BX")
	g.tileConfig(rbx)
	g.Label("loop")
	for i := range peakSums {
		multiply(g, i%4, tileA+i/2%2, tileB+i%2)
	}
	g.Op("DECQ", "CX")
	g.Op("JNE", "loop")
	g.tileRelease()
	g.Op("VXORPS", "X0", "X0", "X0")
	g.Op("VMOVSS", "X0", "ret+8(FP)")
	g.ret()
}
