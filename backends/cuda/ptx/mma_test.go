package ptx

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// fragments are where values number i of a lane's lie, those in the low bits first: the ISA's "Matrix
// Fragments for mma.m16n8k16 with floating point type" and "Matrix Fragments for mma.m16n8k32".
type fragments struct {
	types, registers string // of the sums
	k, bits          int
	a                func(group, inGroup, i int) (row, col int)
	b                func(group, inGroup, i int) (row, col int)
	encode           func(v int) uint64
}

// sumAt is where the sums of all of them lie.
func sumAt(group, inGroup, i int) (row, col int) {
	if i < 2 {
		return group, inGroup*2 + i&1
	}
	return group + 8, inGroup*2 + i&1
}

func halvesA(group, inGroup, i int) (row, col int) {
	row, col = group+8, inGroup*2+i&1+8
	if 0 <= i && i < 2 || 4 <= i && i < 6 {
		row = group
	}
	if i < 4 {
		col = inGroup*2 + i&1
	}
	return row, col
}

func halvesB(group, inGroup, i int) (row, col int) {
	if i < 2 {
		return inGroup*2 + i&1, group
	}
	return inGroup*2 + i&1 + 8, group
}

func bytesA(group, inGroup, i int) (row, col int) {
	row, col = group+8, inGroup*4+i&3+16
	if 0 <= i && i < 4 || 8 <= i && i < 12 {
		row = group
	}
	if i < 8 {
		col = inGroup*4 + i&3
	}
	return row, col
}

func bytesB(group, inGroup, i int) (row, col int) {
	if i < 4 {
		return inGroup*4 + i&3, group
	}
	return inGroup*4 + i&3 + 16, group
}

var allFragments = []fragments{
	{"m16n8k16.row.col.f32.f16.f16.f32", "%f", 16, 16, halvesA, halvesB, func(v int) uint64 { return halfBits(float32(v)) }},
	{"m16n8k16.row.col.f32.bf16.bf16.f32", "%f", 16, 16, halvesA, halvesB, func(v int) uint64 { return brainBits(float32(v)) }},
	{"m16n8k32.row.col.s32.s8.s8.s32", "%r", 32, 8, bytesA, bytesB, func(v int) uint64 { return uint64(uint8(v)) }},
}

// multiplied is d = a·b + c by mma.sync, in one warp. Each lane is given its registers of a, b and c in
// memory, and leaves those of d there.
func multiplied(t *testing.T, f fragments, a [16][32]int, b [32][8]int, c [16][8]uint32) (d [16][8]uint32) {
	t.Helper()
	r := f.registers
	k := kernel(t, fmt.Sprintf(`
	setp.gt.s32 %%p1, %%r2, 31;
	@%%p1 ret;
	mul.wide.s32 %%rd6, %%r2, 48;
	add.s64 %%rd6, %%rd6, %%rd1;
	mul.wide.s32 %%rd7, %%r2, 16;
	add.s64 %%rd7, %%rd7, %%rd2;
	ld.global.v4.u32 {%%r20, %%r21, %%r22, %%r23}, [%%rd6];
	ld.global.v2.u32 {%%r24, %%r25}, [%%rd6+16];
	ld.global.v4.%[2]s {%[1]s30, %[1]s31, %[1]s32, %[1]s33}, [%%rd6+32];
	mma.sync.aligned.%[3]s {%[1]s34, %[1]s35, %[1]s36, %[1]s37}, {%%r20, %%r21, %%r22, %%r23}, {%%r24, %%r25}, {%[1]s30, %[1]s31, %[1]s32, %[1]s33};
	st.global.v4.%[2]s [%%rd7], {%[1]s34, %[1]s35, %[1]s36, %[1]s37};
`, r, map[string]string{"%f": "f32", "%r": "u32"}[r], f.types))
	words := make([]byte, 32*48)
	set := func(at int, v uint64) { store(words[at:], f.bits/8, v) }
	for lane := range 32 {
		group, inGroup := lane>>2, lane%4
		for i := range 16 * f.k / 32 {
			row, col := f.a(group, inGroup, i)
			set(48*lane+i*f.bits/8, f.encode(a[row][col]))
		}
		for i := range 8 * f.k / 32 {
			row, col := f.b(group, inGroup, i)
			set(48*lane+16+i*f.bits/8, f.encode(b[row][col]))
		}
		for i := range 4 {
			row, col := sumAt(group, inGroup, i)
			store(words[48*lane+32+4*i:], 4, uint64(c[row][col]))
		}
	}
	var m Memory
	from, to := m.Alloc(len(words)), m.Alloc(512)
	out := make([]byte, 512)
	if err := m.Write(from, words); err != nil {
		t.Fatal(err)
	}
	s, err := k.Run(&m, Launch{Grid: Size{1, 1, 1}, Block: Size{64, 1, 1}, Args: []uint64{from, to, 0}})
	if err != nil {
		t.Fatal(err)
	}
	if want := int64(16 * 8 * f.k); s.Products != want {
		t.Errorf("%d products, want %d", s.Products, want)
	}
	if err := m.Read(to, out); err != nil {
		t.Fatal(err)
	}
	for lane := range 32 {
		for i := range 4 {
			row, col := sumAt(lane>>2, lane%4, i)
			d[row][col] = uint32(load(out[16*lane+4*i:], 4))
		}
	}
	return d
}

// TestProducts are of matrices of whole numbers, whose products differ wherever two values change
// places.
func TestProducts(t *testing.T) {
	for _, f := range allFragments {
		t.Run(f.types, func(t *testing.T) {
			random := rand.New(rand.NewPCG(3, 4))
			var a [16][32]int
			var b [32][8]int
			var c, want [16][8]uint32
			for i := range 32 {
				for j := range 16 {
					a[j][i] = random.IntN(255) - 127
				}
				for j := range 8 {
					b[i][j] = random.IntN(255) - 127
				}
			}
			for i := range 16 {
				for j := range 8 {
					sum := random.IntN(100)
					if c[i][j] = uint32(sum); f.registers == "%f" {
						c[i][j] = uint32(bits32(float32(sum)))
					}
					for k := range f.k {
						sum += a[i][k] * b[k][j]
					}
					if want[i][j] = uint32(sum); f.registers == "%f" {
						want[i][j] = uint32(bits32(float32(sum)))
					}
				}
			}
			if got := multiplied(t, f, a, b, c); got != want {
				t.Errorf("got %v\nwant %v", got, want)
			}
		})
	}
}

// TestSums: those of int32 wrap, those of float32 are rounded once, c with them.
func TestSums(t *testing.T) {
	var a [16][32]int
	var b [32][8]int
	var c [16][8]uint32
	a[9][3], b[3][5], a[9][30], b[30][5] = 127, 127, -128, -128
	c[9][5] = 1<<31 - 1
	if got, want := multiplied(t, allFragments[2], a, b, c)[9][5], uint32(1<<31-1+127*127+128*128); got != want {
		t.Errorf("int32: %#x, want %#x", got, want)
	}
	for _, f := range allFragments[:2] {
		c[9][5] = uint32(bits32(1 << 24))
		a[9][3], b[3][5], a[9][14], b[14][5] = 1, 1, 1, 1
		if got := multiplied(t, f, a, b, c)[9][5]; f32(uint64(got)) != 1<<24+2 {
			t.Errorf("%s: %v, want 2^24 + 2", f.types, f32(uint64(got)))
		}
	}
}

// TestLoadedMatrices are of rows anywhere in shared memory, one at each lane's address: lane l gets
// elements 2·(l%4) and the next of row l/4 of each matrix, or, with .trans, of column l/4, as the ISA has
// it of ldmatrix. What addresses behind the last matrix's are does not matter.
func TestLoadedMatrices(t *testing.T) {
	for n, list := range map[int]string{1: "{%r20}", 2: "{%r20, %r21}", 4: "{%r20, %r21, %r22, %r23}"} {
		for _, turned := range []bool{false, true} {
			loadedMatrices(t, n, list, turned)
		}
	}
}

// loadedMatrices loads n of rows of 8 elements, whose number each element holds.
func loadedMatrices(t *testing.T, n int, list string, turned bool) {
	t.Helper()
	k := kernel(t, fmt.Sprintf(`
	mul.lo.s32 %%r8, %%r2, 131072;
	mad.lo.s32 %%r8, %%r2, 2, %%r8;
	add.s32 %%r8, %%r8, 65536; // elements 2·thread, 2·thread + 1
	st.shared.u32 [%%r7], %%r8;
	add.s32 %%r8, %%r8, 8388736;
	st.shared.u32 [%%r7+256], %%r8;
	bar.sync 0;
	setp.gt.s32 %%p1, %%r2, 31;
	@%%p1 ret;
	mad.lo.s32 %%r9, %%r2, 5, 3;
	and.b32 %%r9, %%r9, 31; // row
	setp.ge.s32 %%p1, %%r2, %d;
	selp.b32 %%r9, 100, %%r9, %%p1;
	mad.lo.s32 %%r9, %%r9, 16, %%r6;
	ldmatrix.sync.aligned.m8n8.x%d%s.shared.b16 %s, [%%r9];
	mul.wide.s32 %%rd6, %%r2, 16;
	add.s64 %%rd6, %%rd6, %%rd2;
	st.global.v4.u32 [%%rd6], {%%r20, %%r21, %%r22, %%r23};
`, 8*n, n, map[bool]string{true: ".trans"}[turned], list))
	var m Memory
	to, out := m.Alloc(512), make([]byte, 512)
	if _, err := k.Run(&m, Launch{Grid: Size{1, 1, 1}, Block: Size{64, 1, 1}, Args: []uint64{to, to, 0}}); err != nil {
		t.Fatalf("%d matrices, turned %v: %v", n, turned, err)
	}
	if err := m.Read(to, out); err != nil {
		t.Fatal(err)
	}
	for lane := range 32 {
		for i := range 2 * n {
			row, col := lane/4, lane%4*2+i%2
			if turned {
				row, col = col, row
			}
			address := 8*(i/2) + row // the lane that gives the row's
			want := uint64((5*address+3)%32*8 + col)
			if got := load(out[16*lane+2*i:], 2); got != want {
				t.Errorf("%d matrices, turned %v: lane %d has element %d of matrix %d, want %d", n, turned, lane, got, i/2, want)
			}
		}
	}
}

// TestConflicts: rows of a matrix that share banks take turns, unless they are the same.
func TestConflicts(t *testing.T) {
	for apart, want := range map[int]int64{0: 0, 16: 0, 32: 1, 48: 0, 64: 3, 80: 0, 128: 7} {
		k := kernel(t, fmt.Sprintf(`
	mul.lo.s32 %%r9, %%r2, 16;
	add.s32 %%r9, %%r9, %%r6;
	mov.u32 %%r8, 0;
	st.shared.v4.u32 [%%r9], {%%r8, %%r8, %%r8, %%r8};
	bar.sync 0;
	setp.gt.s32 %%p1, %%r2, 31;
	@%%p1 ret;
	and.b32 %%r9, %%r2, 7;
	mad.lo.s32 %%r9, %%r9, %d, %%r6;
	ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%%r20, %%r21}, [%%r9];
`, apart))
		s, err := k.Run(new(Memory), Launch{Grid: Size{1, 1, 1}, Block: Size{64, 1, 1}, Args: []uint64{0, 0, 0}})
		if err != nil || s.Conflicts != 2*want {
			t.Errorf("rows %d bytes apart, twice: %d conflicts, want %d (%v)", apart, s.Conflicts, 2*want, err)
		}
	}
}
