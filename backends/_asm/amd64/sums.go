package amd64

// Sums in float64 and in integers of 64 bits, of vectors of 256 bits with AVX-512, too: they are a
// hundredth of a frame.

// sumStep is how many numbers a round of their loops takes.
const sumStep = 8

// add writes addRow: n numbers added to sums.
func (g *gen) add() {
	g.Func("addRow", 24, "(sums *float64, x *float32, n int)")
	g.startSums("sums", "x")
	g.Label("loop")
	for half := range 2 {
		y := []string{"Y0", "Y1"}[half]
		g.Op("VCVTPS2PD", at(16*half, "SI"), y)
		g.Op("VADDPD", at(32*half, "DI"), y, y)
		g.Op("VMOVUPD", y, at(32*half, "DI"))
	}
	g.nextSums("loop", 8)
	g.ret()
}

// startSums points DI to sums and SI to the numbers that they are of, DX of them.
func (g *gen) startSums(to, from string) {
	g.Op("MOVQ", to+"+0(FP)", "DI")
	g.Op("MOVQ", from+"+8(FP)", "SI")
	g.Op("MOVQ", "n+16(FP)", "DX")
}

// nextSums goes on behind numbers at SI and sums of some bytes at DI, till DX have passed.
func (g *gen) nextSums(loop string, bytes int) {
	g.Op("ADDQ", 4*sumStep, "SI")
	g.Op("ADDQ", bytes*sumStep, "DI")
	g.Op("SUBQ", sumStep, "DX")
	g.Op("JNE", loop)
}

// addHeads writes addHeads: the sums of heads, width apart, and of their squares.
func (g *gen) addHeads() {
	g.Func("addHeads", 48, "(dst, x *float32, n, width, heads int) (squares float64)")
	g.startSums("dst", "x")
	g.Op("MOVQ", "width+24(FP)", "R9")
	g.Op("SHLQ", 2, "R9")
	g.Op("MOVQ", "heads+32(FP)", "R10")
	g.Op("VXORPD", "Y0", "Y0", "Y0")
	g.Op("VXORPD", "Y1", "Y1", "Y1")
	g.Label("loop")
	g.Op("MOVQ", "SI", "R8")
	g.Op("MOVQ", "R10", "CX")
	g.Op("VXORPD", "Y2", "Y2", "Y2")
	g.Op("VXORPD", "Y3", "Y3", "Y3")
	g.Label("head")
	g.Op("VCVTPS2PD", "(R8)", "Y4")
	g.Op("VCVTPS2PD", "16(R8)", "Y5")
	g.Op("VADDPD", "Y4", "Y2", "Y2")
	g.Op("VADDPD", "Y5", "Y3", "Y3")
	g.Op("ADDQ", "R9", "R8")
	g.Op("DECQ", "CX")
	g.Op("JNE", "head")
	g.Op("VFMADD231PD", "Y2", "Y2", "Y0")
	g.Op("VFMADD231PD", "Y3", "Y3", "Y1")
	g.Op("VCVTPD2PSY", "Y2", "X2")
	g.Op("VCVTPD2PSY", "Y3", "X3")
	g.Op("VMOVUPS", "X2", "(DI)")
	g.Op("VMOVUPS", "X3", "16(DI)")
	g.nextSums("loop", 4)
	g.Op("VADDPD", "Y1", "Y0", "Y0")
	g.Op("VEXTRACTF128", 1, "Y0", "X1")
	g.Op("VADDPD", "X1", "X0", "X0")
	g.Op("VHADDPD", "X0", "X0", "X0")
	g.Op("VMOVSD", "X0", "squares+40(FP)")
	g.ret()
}

// receive writes receiveRow: n weights times share, cut off to integers and added. Adding 1.5·2⁵²
// leaves an integer below 2⁵¹ in the low bits of a float64.
func (g *gen) receive() {
	const towardZero = 3
	g.Func("receiveRow", 28, "(received *int64, weights *float32, n int, share float32)")
	g.startSums("received", "weights")
	g.Op("VBROADCASTSS", "share+24(FP)", "Y0")
	g.Op("MOVQ", 0x4338000000000000, "AX")
	g.Op("VMOVQ", "AX", "X1")
	g.Op("VPBROADCASTQ", "X1", "Y1")
	g.Label("loop")
	g.Op("VMULPS", "(SI)", "Y0", "Y2")
	g.Op("VEXTRACTF128", 1, "Y2", "X3")
	g.Op("VCVTPS2PD", "X2", "Y2")
	g.Op("VCVTPS2PD", "X3", "Y3")
	for half, y := range []string{"Y2", "Y3"} {
		g.Op("VROUNDPD", towardZero, y, y)
		g.Op("VADDPD", "Y1", y, y)
		g.Op("VPSUBQ", "Y1", y, y)
		g.Op("VPADDQ", at(32*half, "DI"), y, y)
		g.Op("VMOVDQU", y, at(32*half, "DI"))
	}
	g.nextSums("loop", 8)
	g.ret()
}
