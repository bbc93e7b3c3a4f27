package ptx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
)

// kernel is a module with one entry, k(a, b, n), of 64 threads a block.
func kernel(t *testing.T, body string) *Kernel {
	t.Helper()
	m, err := Parse(text(body))
	if err != nil {
		t.Fatal(err)
	}
	return m.Kernel("k")
}

func text(body string) string {
	return `.version 7.4
.target sm_80
.address_size 64
.global .align 4 .u32 unused = -1;
.visible .entry k(
	.param .u64 a,
	.param .u64 b,
	.param .u32 n
)
.maxntid 64, 1, 1
{
	.reg .pred %p<9>;
	.reg .b16 %rs<9>;
	.reg .f32 %f<40>;
	.reg .b32 %r<40>;
	.reg .b64 %rd<19>;
	.shared .align 16 .b8 buffer[1024];
	// no memory of a thread's own

	ld.param.u64 %rd1, [a];
	ld.param.u64 %rd2, [b];
	ld.param.u32 %r1, [n];
	mov.u32 %r2, %tid.x; // thread
	mov.u32 %r3, %ctaid.x; // block
	mad.lo.s32 %r4, %r3, 64, %r2;
	mul.wide.s32 %rd3, %r4, 4;
	add.s64 %rd4, %rd1, %rd3; // its word of a
	add.s64 %rd5, %rd2, %rd3; // its word of b
	shl.b32 %r5, %r2, 2;
	mov.u32 %r6, buffer;
	add.s32 %r7, %r6, %r5; // its word of shared memory
` + body + `
	ret;
}
`
}

// run starts a kernel on 256 words a, which hold 1000 + their number, and b, which nobody
// wrote; it returns b.
func run(k *Kernel, grid int, seed uint64) (b []uint32, s Stats, err error) {
	var m Memory
	words := make([]byte, 1024)
	for i := range 256 {
		binary.LittleEndian.PutUint32(words[4*i:], uint32(1000+i))
	}
	from, to := m.Alloc(1024), m.Alloc(1024)
	if err := m.Write(from, words); err != nil {
		return nil, s, err
	}
	s, err = k.Run(&m, Launch{Grid: Size{grid, 1, 1}, Block: Size{64, 1, 1}, Args: []uint64{from, to, 7}, Seed: seed, Steps: 10_000})
	if err != nil {
		return nil, s, err
	}
	out := make([]byte, 256*grid)
	if err := m.Read(to, out); err != nil {
		return nil, s, err
	}
	for i := range 64 * grid {
		b = append(b, binary.LittleEndian.Uint32(out[4*i:]))
	}
	return b, s, nil
}

// TestFaults plants each thing that is undefined in CUDA beside the same thing done right.
func TestFaults(t *testing.T) {
	const (
		give = "\n\tst.global.u32 [%rd5], %r8;"
		// own writes a word of 128 bytes of the warp's own, from %r11 on.
		own = "and.b32 %r11, %r5, 128;\nadd.s32 %r11, %r11, %r6;\nst.shared.u32 [%r7], %r2;\n"
		// product multiplies what registers begin with.
		product = "\nmma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%f8, %f9, %f10, %f11}, {%r20, %r21, %r22, %r23}, {%r24, %r25}, {%f8, %f9, %f10, %f11};\n"
		mirror  = "\n\tsub.s32 %r9, 63, %r2;\n\tshl.b32 %r9, %r9, 2;\n\tadd.s32 %r9, %r6, %r9;\n"
	)
	for _, c := range []struct{ name, right, wrong, what string }{
		{"a barrier between a block's threads",
			"st.shared.u32 [%r7], %r2;\nbar.sync 0;" + mirror + "ld.shared.u32 %r8, [%r9];" + give,
			"st.shared.u32 [%r7], %r2;" + mirror + "ld.shared.u32 %r8, [%r9];" + give,
			"race|which nobody wrote"},
		{"a barrier before memory is used again",
			"st.shared.u32 [%r7], %r2;\nbar.sync 0;" + mirror + "ld.shared.u32 %r8, [%r9];\nbar.sync 0;\nst.shared.u32 [%r7], 1;" + give,
			"st.shared.u32 [%r7], %r2;\nbar.sync 0;" + mirror + "ld.shared.u32 %r8, [%r9];\nst.shared.u32 [%r7], 1;" + give,
			"race"},
		{"a barrier of the warp",
			"st.shared.u32 [%r7], %r2;\nbar.warp.sync -1;\nxor.b32 %r9, %r5, 4;\nadd.s32 %r9, %r6, %r9;\nld.shared.u32 %r8, [%r9];" + give,
			"st.shared.u32 [%r7], %r2;\nshfl.sync.bfly.b32 %r10, %r2, 1, 31, -1;\nxor.b32 %r9, %r5, 4;\nadd.s32 %r9, %r6, %r9;\nld.shared.u32 %r8, [%r9];" + give,
			"race"},
		{"which a warp's does not replace",
			"st.shared.u32 [%r7], %r2;\nbar.sync 0;\nxor.b32 %r9, %r5, 128;\nadd.s32 %r9, %r6, %r9;\nld.shared.u32 %r8, [%r9];" + give,
			"st.shared.u32 [%r7], %r2;\nbar.warp.sync -1;\nxor.b32 %r9, %r5, 128;\nadd.s32 %r9, %r6, %r9;\nld.shared.u32 %r8, [%r9];" + give,
			"race|which nobody wrote"},
		{"which names both",
			"st.shared.u32 [%r7], %r2;\nand.b32 %r10, %r2, 30;\nshl.b32 %r10, 3, %r10;\nbar.warp.sync %r10;\nbar.warp.sync -1;\nxor.b32 %r9, %r5, 8;\nadd.s32 %r9, %r6, %r9;\nld.shared.u32 %r8, [%r9];" + give,
			"st.shared.u32 [%r7], %r2;\nand.b32 %r10, %r2, 30;\nshl.b32 %r10, 3, %r10;\nbar.warp.sync %r10;\nxor.b32 %r9, %r5, 8;\nadd.s32 %r9, %r6, %r9;\nld.shared.u32 %r8, [%r9];" + give,
			"race"},
		{"lanes write apart in one instruction",
			"st.shared.u32 [%r7], %r2;\nmov.u32 %r8, 1;" + give,
			"and.b32 %r9, %r5, 248;\nadd.s32 %r9, %r6, %r9;\nst.shared.u32 [%r9], %r2;\nmov.u32 %r8, 1;" + give,
			"race: writes what another thread writes"},
		{"what one lane writes others read behind a barrier",
			"setp.eq.s32 %p1, %r2, 9;\n@%p1 st.shared.u32 [%r6], %r2;\nbar.sync 0;\nld.shared.u32 %r8, [%r6];" + give,
			"setp.eq.s32 %p1, %r2, 9;\n@%p1 st.shared.u32 [%r6], %r2;\nsetp.gt.s32 %p1, %r2, 31;\n@%p1 ret;\nld.shared.u32 %r8, [%r6];" + give,
			"race: reads what another thread writes"},
		{"what many lanes read one writes behind a barrier",
			"ld.global.u32 %r8, [%rd1];\nbar.sync 0;\nsetp.eq.s32 %p1, %r4, 9;\n@%p1 st.shared.u32 [%r6], %r2;" + give,
			"st.shared.u32 [%r7], %r2;\nbar.sync 0;\nsetp.gt.s32 %p1, %r2, 31;\n@%p1 ret;\nld.shared.u32 %r8, [%r6+40];\nsetp.eq.s32 %p1, %r2, 9;\n@%p1 st.shared.u32 [%r6+40], %r2;" + give,
			"race: writes what another thread reads"},
		{"bytes of a word are not the word",
			"add.s32 %r9, %r6, %r2;\nst.shared.u8 [%r9], %r2;\nbar.sync 0;\nld.shared.u8 %r8, [%r9];" + give,
			"shr.u32 %r9, %r2, 1;\nadd.s32 %r9, %r6, %r9;\nst.shared.u8 [%r9], %r2;\nld.shared.u8 %r8, [%r9];" + give,
			"race"},
		{"blocks write apart",
			"mov.u32 %r8, %r4;" + give,
			"shl.b32 %r9, %r2, 2;\ncvt.u64.u32 %rd6, %r9;\nadd.s64 %rd5, %rd2, %rd6;\nst.global.u32 [%rd5], %r2;",
			"race"},
		{"blocks do not read what others write",
			"ld.global.u32 %r8, [%rd4];\nst.global.u32 [%rd4], %r8;" + give,
			"ld.global.u32 %r8, [%rd1];\nst.global.u32 [%rd4], %r8;" + give,
			"race"},
		{"a lock is no race",
			"atom.global.cas.b32 %r8, [%rd1], 1000, 5;\nmov.u32 %r8, 1;" + give,
			"st.global.u32 [%rd1], %r2;\nmov.u32 %r8, 1;" + give,
			"race"},
		{"within an allocation",
			"ld.global.u32 %r8, [%rd4+512];" + give,
			"ld.global.u32 %r8, [%rd4+1024];" + give,
			"behind the start of an allocation"},
		{"ahead of one", "mov.u32 %r8, 1;" + give, "st.global.u32 [%rd1+-4], %r2;", "nothing is allocated"},
		{"a wide access that ends outside",
			"ld.global.v4.u32 {%r8, %r9, %r10, %r11}, [%rd1+1008];" + give,
			"setp.ne.s32 %p1, %r4, 0;\n@%p1 ret;\nst.global.v2.u32 [%rd2+1024], {%r2, %r2};",
			"behind the start of an allocation"},
		{"aligned",
			"ld.global.v2.u32 {%r8, %r9}, [%rd1+8];" + give,
			"ld.global.v2.u32 {%r8, %r9}, [%rd1+4];" + give,
			"no multiple"},
		{"written before it is read",
			"ld.global.u32 %r8, [%rd4];" + give,
			"ld.global.u32 %r8, [%rd5];" + give,
			"which nobody wrote"},
		{"in shared memory", "ld.global.u32 %r8, [%rd4];" + give, "ld.shared.u32 %r8, [%r7];" + give, "which nobody wrote"},
		{"within shared memory", "st.shared.u32 [%r7+768], %r2;\nmov.u32 %r8, 1;" + give, "st.shared.u32 [%r7+960], %r2;", "of shared memory"},
		{"all threads reach a barrier",
			"bar.sync 0;\nmov.u32 %r8, 1;" + give,
			"setp.eq.s32 %p1, %r2, 5;\n@%p1 bra $out;\nbar.sync 0;\n$out:\nmov.u32 %r8, 1;" + give,
			"wait for ever"},
		{"all lanes take part",
			"shfl.sync.bfly.b32 %r8, %r2, 1, 31, -1;" + give,
			"setp.eq.s32 %p1, %r2, 5;\n@%p1 bra $out;\nshfl.sync.bfly.b32 %r8, %r2, 1, 31, -1;\n$out:\nbar.sync 0;" + give,
			"waits for its block meanwhile|wait for ever"},
		{"of a mask that names them",
			"setp.gt.s32 %p1, %r2, 1;\n@%p1 bra $out;\nshfl.sync.idx.b32 %r8, %r2, 0, 31, 3;\n$out:\nmov.u32 %r8, 1;" + give,
			"shfl.sync.idx.b32 %r8, %r2, 0, 31, 3;" + give,
			"does not name the lane itself|other|which takes no part"},
		{"and are still there", "mov.u32 %r8, 1;" + give,
			"setp.eq.s32 %p1, %r2, 5;\n@%p1 ret;\nvote.sync.ballot.b32 %r8, %p1, -1;" + give,
			"has returned"},
		{"rows of a fragment are aligned",
			load16("%rd6, %rd1", 16) + "mov.u32 %r8, 1;" + give,
			load16("%rd6, %rd1", 12) + "mov.u32 %r8, 1;" + give,
			"not aligned"},
		{"and of one address",
			load16("%rd6, %rd1", 16) + "mov.u32 %r8, 1;" + give,
			load16("%rd6, %rd4", 16) + "mov.u32 %r8, 1;" + give,
			"not aligned|different addresses"},
		{"rows of matrices are written before they are read",
			"st.shared.u32 [%r7], %r2;\nbar.sync 0;" + matrices("%r6") + give,
			"st.shared.u32 [%r7], %r2;" + matrices("%r6") + give,
			"race|which nobody wrote"},
		{"and read before they are written again",
			"st.shared.u32 [%r7], %r2;\nbar.sync 0;" + matrices("%r6") + "bar.sync 0;\nst.shared.u32 [%r7], 1;" + give,
			"st.shared.u32 [%r7], %r2;\nbar.sync 0;" + matrices("%r6") + "st.shared.u32 [%r7], 1;" + give,
			"race"},
		{"a warp's own need its barrier",
			own + "bar.warp.sync -1;\n" + matrices("%r11") + give,
			own + matrices("%r11") + give,
			"race|which nobody wrote"},
		{"are aligned to 16 bytes",
			"st.shared.u32 [%r7], %r2;\nbar.sync 0;" + matrices("%r6") + give,
			"st.shared.u32 [%r7], %r2;\nbar.sync 0;\nadd.s32 %r12, %r6, 4;" + matrices("%r12") + give,
			"not aligned to 16"},
		{"lie within shared memory",
			"st.shared.u32 [%r7], %r2;\nst.shared.u32 [%r7+256], %r2;\nbar.sync 0;\nadd.s32 %r12, %r6, 256;" + matrices("%r12") + give,
			"st.shared.u32 [%r7], %r2;\nst.shared.u32 [%r7+768], %r2;\nbar.sync 0;\nadd.s32 %r12, %r6, 1008;" + matrices("%r12") + give,
			"of shared memory"},
		{"and need all lanes",
			"st.shared.u32 [%r7], %r2;\nbar.sync 0;" + matrices("%r6") + give,
			"st.shared.u32 [%r7], %r2;\nbar.sync 0;\nsetp.eq.s32 %p1, %r2, 5;\n@%p1 ret;" + matrices("%r6") + give,
			"has returned"},
		{"as products do",
			product + "mov.b32 %r8, %f8;" + give,
			"setp.eq.s32 %p1, %r2, 5;\n@%p1 bra $out;" + product + "$out:\nbar.sync 0;\nmov.u32 %r8, 1;" + give,
			"waits for its block meanwhile|wait for ever"},
		{"an end", "mov.u32 %r8, 1;" + give, "$again:\nbra $again;", "more than 10000 instructions"},
	} {
		t.Run(c.name, func(t *testing.T) {
			right, wrong := kernel(t, c.right), kernel(t, c.wrong)
			for seed := range uint64(8) {
				if _, _, err := run(right, 2, seed); err != nil {
					t.Errorf("seed %d, done right: %v", seed, err)
				}
				_, _, err := run(wrong, 2, seed)
				var f *Fault
				if !errors.As(err, &f) || !holdsOne(err.Error(), c.what) {
					t.Errorf("seed %d: %v, want %q", seed, err, c.what)
				}
			}
		})
	}
}

// load16 loads 16×16 halves from an address.
func load16(move string, stride int) string {
	return fmt.Sprintf("mov.u64 %s;\nwmma.load.a.sync.aligned.row.m16n16k16.global.f16 {%%r20, %%r21, %%r22, %%r23, %%r24, %%r25, %%r26, %%r27}, [%%rd6], %d;\n", move, stride)
}

// matrices loads an 8×8 matrix of 16 bits, whose rows follow each other from a register's address on,
// into %r8.
func matrices(first string) string {
	return fmt.Sprintf("\nand.b32 %%r10, %%r2, 7;\nmad.lo.s32 %%r10, %%r10, 16, %s;\nldmatrix.sync.aligned.m8n8.x1.shared.b16 {%%r8}, [%%r10];\n", first)
}

func holdsOne(s, list string) bool {
	for one := range strings.SplitSeq(list, "|") {
		if strings.Contains(s, one) {
			return true
		}
	}
	return false
}

// TestFaultSaysWhere names kernel, line, instruction, thread and block.
func TestFaultSaysWhere(t *testing.T) {
	k := kernel(t, "setp.ne.s32 %p1, %r4, 70;\n@%p1 ret;\nld.global.u32 %r8, [%rd5];")
	_, _, err := run(k, 2, 1)
	want := "k, line 34, ld.global.u32 %r8, [%rd5]: reads byte 280 of an allocation, which nobody wrote (thread [6 0 0] of block [1 0 0])"
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// TestResults are instructions with what they give, in thread 3 of block 0 and others.
func TestResults(t *testing.T) {
	for _, c := range []struct {
		body string
		want func(i uint32) uint32
	}{
		{"ld.global.u32 %r8, [%rd4];", func(i uint32) uint32 { return 1000 + i }},
		{"sub.s32 %r9, %r2, 5;\nshr.s32 %r8, %r9, 1;", func(i uint32) uint32 { return uint32((int32(i) - 5) >> 1) }},
		{"sub.s32 %r9, %r2, 5;\nshr.u32 %r8, %r9, 1;", func(i uint32) uint32 { return (i - 5) >> 1 }},
		{"shl.b32 %r8, %r2, %r2;", func(i uint32) uint32 { return uint32(uint64(i) << i) }},
		{"sub.s32 %r9, %r2, 5;\ndiv.s32 %r8, %r9, 3;", func(i uint32) uint32 { return uint32((int32(i) - 5) / 3) }},
		{"sub.s32 %r9, %r2, 5;\nrem.s32 %r8, %r9, 3;", func(i uint32) uint32 { return uint32((int32(i) - 5) % 3) }},
		{"sub.s32 %r9, %r2, 5;\nmin.s32 %r8, %r9, 3;", func(i uint32) uint32 { return uint32(min(int32(i)-5, 3)) }},
		{"sub.s32 %r9, %r2, 5;\nmax.u32 %r8, %r9, 3;", func(i uint32) uint32 { return max(i-5, 3) }},
		{"sub.s32 %r9, %r2, 5;\nabs.s32 %r8, %r9;", func(i uint32) uint32 { return uint32(max(int32(i)-5, 5-int32(i))) }},
		{"sub.s32 %r9, %r2, 5;\nmul.wide.s32 %rd6, %r9, -7;\nshr.u64 %rd6, %rd6, 16;\ncvt.u32.u64 %r8, %rd6;",
			func(i uint32) uint32 { return uint32(uint64((int64(i)-5)*-7) >> 16) }},
		{"popc.b32 %r8, %r2;", func(i uint32) uint32 {
			n := uint32(0)
			for ; i > 0; i >>= 1 {
				n += i & 1
			}
			return n
		}},
		{"mov.u32 %r9, 0x83726150;\nmov.u32 %r10, 0xffeeddcc;\nprmt.b32 %r8, %r9, %r10, 0xB241;", func(uint32) uint32 { return 0xff72cc61 }},
		{"bfi.b32 %r8, %r2, -1, 4, 8;", func(i uint32) uint32 { return ^uint32(0xff0) | i<<4&0xff0 }},
		{"setp.lt.u32 %p1, %r2, 9;\nsetp.gt.s32 %p2, %r2, 3;\nand.pred %p1, %p1, %p2;\nselp.b32 %r8, 1, 2, %p1;",
			func(i uint32) uint32 { return map[bool]uint32{true: 1, false: 2}[i < 9 && i > 3] }},
		{"mov.u32 %r8, 1;\nsetp.lt.u32 %p1, %r2, 9;\n@!%p1 mov.u32 %r8, 2;", func(i uint32) uint32 { return map[bool]uint32{true: 1, false: 2}[i < 9] }},
		{"cvt.u16.u32 %rs1, %r2;\n{mov.b32 %r8, {7, %rs1};}", func(i uint32) uint32 { return 7 | i<<16 }},
		{"mov.b32 {%rs1, %rs2}, %r2;\ncvt.s16.s8 %rs3, %rs1;\ncvt.rn.f32.s16 %f1, %rs3;\nneg.f32 %f1, %f1;\ncvt.rzi.s32.f32 %r8, %f1;",
			func(i uint32) uint32 { return -i }},
		{"cvt.rn.f32.s32 %f1, %r2;\nmul.f32 %f1, %f1, 0f3F000000;\ncvt.rni.f32.f32 %f1, %f1;\ncvt.rzi.s32.f32 %r8, %f1;",
			func(i uint32) uint32 { return (i + i>>1&1) / 2 }},
		{"setp.eq.s32 %p1, %r2, %r2;\nmov.f32 %f1, 0f7FC00000;\nsetp.nan.f32 %p2, %f1, %f1;\nsetp.ltu.f32 %p3, %f1, %f1;\nsetp.ge.f32 %p4, %f1, %f1;\nnot.pred %p4, %p4;\nand.pred %p1, %p2, %p3;\nand.pred %p1, %p1, %p4;\nselp.u32 %r8, 5, 6, %p1;",
			func(uint32) uint32 { return 5 }},
		{"shfl.sync.up.b32 %r8, %r2, 3, 0, -1;", func(i uint32) uint32 { return i - 3*min(i%32/3, 1) }},
		{"shfl.sync.down.b32 %r8|%p1, %r2, 3, 31, -1;\nselp.b32 %r8, %r8, 99, %p1;", func(i uint32) uint32 {
			if i%32 > 28 {
				return 99
			}
			return i + 3
		}},
		{"shfl.sync.bfly.b32 %r8, %r2, 5, 31, -1;", func(i uint32) uint32 { return i ^ 5 }},
		{"shfl.sync.idx.b32 %r8, %r2, 9, 6175, -1;", func(i uint32) uint32 { return i&^7 | 1 }}, // segments of 8
		{"setp.gt.s32 %p1, %r2, 40;\nvote.sync.ballot.b32 %r8, %p1, -1;", func(i uint32) uint32 {
			if i < 32 {
				return 0
			}
			return 0xfffffe00
		}},
		{"cvt.u64.u32 %rd6, %r7;\ncvta.shared.u64 %rd6, %rd6;\nst.u32 [%rd6], %r2;\nld.shared.u32 %r8, [%r7];", func(i uint32) uint32 { return i }},
		{"st.shared.u8 [%r7], -3;\nld.shared.s8 %r8, [%r7];", func(uint32) uint32 { return 0xfffffffd }},
	} {
		b, _, err := run(kernel(t, c.body+"\nst.global.u32 [%rd5], %r8;"), 1, 3)
		if err != nil {
			t.Errorf("%s: %v", c.body, err)
			continue
		}
		for i, got := range b {
			if want := c.want(uint32(i)); got != want {
				t.Errorf("%s\nthread %d: %#x, want %#x", c.body, i, got, want)
				break
			}
		}
	}
}

// TestParted: lanes that go other ways, and round a loop as often as each has to, come together again,
// and those of a half exchange values while the other half is elsewhere. A guard through which all jump is followed by
// one that lets nobody through.
func TestParted(t *testing.T) {
	k := kernel(t, `
	mov.u32 %r8, 0;
	mov.u32 %r9, %r2;
$loop:
	setp.eq.s32 %p1, %r9, 0;
	@%p1 bra $end;
	and.b32 %r10, %r9, 1;
	setp.eq.s32 %p2, %r10, 1;
	@%p2 bra $odd;
	add.s32 %r8, %r8, 2;
	bra $next;
$odd:
	mad.lo.s32 %r8, %r8, 3, 1;
$next:
	sub.s32 %r9, %r9, 1;
	bra.uni $loop;
$end:
	and.b32 %r10, %r2, 16;
	setp.eq.s32 %p3, %r10, 0;
	@%p3 bra $low;
	shfl.sync.bfly.b32 %r11, %r8, 1, 31, 0xffff0000;
	add.s32 %r8, %r11, 7;
	bra $both;
$low:
	shfl.sync.bfly.b32 %r11, %r8, 2, 31, 0x0000ffff;
	add.s32 %r8, %r11, 9;
$both:
	setp.ge.s32 %p4, %r2, 0;
	@%p4 bra $all;
	mov.u32 %r8, 0;
$all:
	@!%p4 mov.u32 %r8, 1;
	@!%p3 add.s32 %r8, %r8, 100;
	st.global.u32 [%rd5], %r8;
`)
	turns := func(i uint32) (v uint32) {
		for ; i > 0; i-- {
			if i%2 == 1 {
				v = v*3 + 1
			} else {
				v += 2
			}
		}
		return v
	}
	for seed := range uint64(20) {
		b, _, err := run(k, 2, seed)
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range b {
			n := uint32(i % 64)
			want := turns(n^2) + 9
			if n&16 != 0 {
				want = turns(n^1) + 107
			}
			if got != want {
				t.Fatalf("seed %d, thread %d: %d, want %d", seed, i, got, want)
			}
		}
	}
}

// TestStampsBeginAnew: when few numbers are left, what was read and written before is forgotten.
func TestStampsBeginAnew(t *testing.T) {
	var m Memory
	at := m.Alloc(1024)
	launch := func(k *Kernel) error {
		_, err := k.Run(&m, Launch{Grid: Size{2, 1, 1}, Block: Size{64, 1, 1}, Args: []uint64{at, at, 0}})
		return err
	}
	right := kernel(t, "st.global.u32 [%rd5], %r2;\nld.global.u32 %r8, [%rd5];")
	wrong := kernel(t, "st.global.u32 [%rd1], %r2;")
	m.stamp = math.MaxUint32/2 + 1 - 32*8
	for i := range 20 {
		if err := launch(right); err != nil {
			t.Fatalf("launch %d: %v", i, err)
		}
	}
	if m.stamp > 1<<20 {
		t.Errorf("the last stamp is %d", m.stamp)
	}
	if err := launch(wrong); err == nil || !strings.Contains(err.Error(), "race") {
		t.Errorf("%v, want a race", err)
	}
}

// TestMatrices multiplies 16×16 halves by themselves turned, in shared memory.
func TestMatrices(t *testing.T) {
	k := kernel(t, `
	setp.gt.s32 %p1, %r2, 31;
	@%p1 ret;
	// lane i: row i/2, half a row of eight: numbers (i + column) mod 5 - 2
	mov.u32 %r8, 0;
$fill:
	add.s32 %r9, %r2, %r8;
	rem.s32 %r9, %r9, 5;
	sub.s32 %r9, %r9, 2;
	cvt.rn.f32.s32 %f1, %r9;
	cvt.rn.f16.f32 %rs1, %f1;
	shl.b32 %r10, %r2, 4;
	add.s32 %r10, %r10, %r6;
	shl.b32 %r11, %r8, 1;
	add.s32 %r10, %r10, %r11;
	st.shared.u16 [%r10], %rs1;
	add.s32 %r8, %r8, 1;
	setp.lt.s32 %p2, %r8, 8;
	@%p2 bra $fill;
	bar.warp.sync -1;
	mov.u32 %r12, 16;
	wmma.load.a.sync.aligned.row.m16n16k16.shared.f16 {%r20, %r21, %r22, %r23, %r24, %r25, %r26, %r27}, [%r6], %r12;
	wmma.load.b.sync.aligned.col.m16n16k16.shared.f16 {%r28, %r29, %r30, %r31, %r32, %r33, %r34, %r35}, [%r6], %r12;
	mov.f32 %f9, 0f3F800000;
	wmma.mma.sync.aligned.row.col.m16n16k16.f32.f32 {%f10, %f11, %f12, %f13, %f14, %f15, %f16, %f17}, {%r20, %r21, %r22, %r23, %r24, %r25, %r26, %r27}, {%r28, %r29, %r30, %r31, %r32, %r33, %r34, %r35}, {%f9, %f9, %f9, %f9, %f9, %f9, %f9, %f9};
	wmma.store.d.sync.aligned.row.m16n16k16.global.f32 [%rd2], {%f10, %f11, %f12, %f13, %f14, %f15, %f16, %f17}, %r12;
`)
	var m Memory
	to := m.Alloc(1024)
	s, err := k.Run(&m, Launch{Grid: Size{1, 1, 1}, Block: Size{64, 1, 1}, Args: []uint64{to, to, 0}})
	if err != nil {
		t.Fatal(err)
	}
	out := make([]byte, 1024)
	if err := m.Read(to, out); err != nil {
		t.Fatal(err)
	}
	number := func(row, col int) int { return (row*2+col/8+col%8)%5 - 2 }
	for i := range 16 {
		for j := range 16 {
			want := 1
			for k := range 16 {
				want += number(i, k) * number(j, k)
			}
			if got := f32(load(out[4*(16*i+j):], 4)); got != float32(want) {
				t.Fatalf("%d, %d: %v, want %d", i, j, got, want)
			}
		}
	}
	if s.Products != 16*16*16 || s.Written != 1024 || s.DistinctWritten != 1024 {
		t.Errorf("%+v", s)
	}
}

// TestStats counts what is read twice twice, and once.
func TestStats(t *testing.T) {
	k := kernel(t, "ld.global.u32 %r8, [%rd4];\nld.global.u32 %r9, [%rd4];\nld.global.u32 %r9, [%rd1];\nfma.rn.f32 %f1, %f1, %f1, %f1;\nst.global.u32 [%rd5], %r8;")
	_, s, err := run(k, 2, 9)
	want := Stats{Instructions: 128 * 18, Products: 128, Read: 128 * 12, Written: 512, DistinctRead: 512, DistinctWritten: 512}
	if err != nil || s != want {
		t.Errorf("%+v, %v, want %+v", s, err, want)
	}
}

// TestOrderIsDrawn: two blocks that write one word, each its number, by compare-and-swap.
func TestOrderIsDrawn(t *testing.T) {
	k := kernel(t, "atom.global.cas.b32 %r8, [%rd1], 1000, %r4;\nst.global.u32 [%rd5], %r8;")
	first := map[int]bool{}
	for seed := range uint64(20) {
		b, _, err := run(k, 2, seed)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range b {
			if v == 1000 {
				first[i] = true
			}
		}
	}
	if len(first) < 10 {
		t.Errorf("of 20 seeds only the threads %v came first", first)
	}
}

// TestLaunches that no device would take.
func TestLaunches(t *testing.T) {
	k := kernel(t, "")
	for _, l := range []Launch{
		{Grid: Size{1, 1, 1}, Block: Size{64, 1, 1}, Args: []uint64{1, 2}},
		{Grid: Size{0, 1, 1}, Block: Size{64, 1, 1}, Args: []uint64{1, 2, 3}},
		{Grid: Size{1, 1, 1}, Block: Size{65, 1, 1}, Args: []uint64{1, 2, 3}},
	} {
		if _, err := k.Run(new(Memory), l); err == nil {
			t.Errorf("%+v was taken", l)
		}
	}
}

// TestUnknown: what the interpreter doesn't know is refused as the text is read.
func TestUnknown(t *testing.T) {
	for body, want := range map[string]string{
		"cp.async.commit_group;":                   "unknown instruction",
		"add.f64 %rd1, %rd1, %rd1;":                "unknown form add.f64",
		"add.rz.f32 %f1, %f1, %f1;":                "unknown form add.rz.f32",
		"ld.global.nc.u32 %r8, [%rd4];":            "unknown form ld.global.nc.u32",
		"mov.u32 %r8, unused;":                     `operand "unused"`,
		"mov.u32 %r99, 1;":                         `operand "%r99"`,
		"bra $nowhere;":                            "no label $nowhere",
		"cvt.rz.f16.f32 %rs1, %f1;":                "unknown form cvt.rz.f16.f32",
		"bar.sync 1;":                              "unknown form bar.sync",
		"setp.lt.and.s32 %p1, %r2, %r2, %p1;":      "unknown form setp.lt.and.s32",
		"add.s32 %r8, %r2;":                        "2 operands, want 3",
		".local .align 4 .b8 own[16];":             ".local",
		".reg .b128 %q<2>;":                        `unknown type "b128"`,
		".shared .align 8 .b8 huge[99999999999];":  "huge",
		"mma.sync.aligned.m16n8k16.row.col.f32 %r": "unknown form mma.sync.aligned.m16n8k16.row.col.f32",
		"mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%f1, %f2, %f3, %f4}, {%r8, %r9}, {%r10}, {%f1, %f2, %f3, %f4};":                          "unknown form mma",
		"mma.sync.aligned.m16n8k16.row.row.f32.f16.f16.f32 {%f1, %f2, %f3, %f4}, {%r8, %r9, %r8, %r9}, {%r10, %r11}, {%f1, %f2, %f3, %f4};":         "unknown form mma",
		"mma.sync.aligned.m16n8k16.row.col.f32.f16.bf16.f32 {%f1, %f2, %f3, %f4}, {%r8, %r9, %r8, %r9}, {%r10, %r11}, {%f1, %f2, %f3, %f4};":        "unknown form mma",
		"mma.sync.aligned.m16n8k32.row.col.satfinite.s32.s8.s8.s32 {%r1, %r2, %r3, %r4}, {%r8, %r9, %r8, %r9}, {%r10, %r11}, {%r1, %r2, %r3, %r4};": "unknown form mma",
		"mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%r1, %r2, %r3, %r4}, {%r8, %r9}, {%r10, %r11}, {%r1, %r2, %r3, %r4};":                     "unknown form mma",
		"ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r8, %r9}, [%r7];":                                                                               "unknown form ldmatrix",
		"ldmatrix.sync.aligned.m8n16.x1.shared.b8 {%r8}, [%r7];":                                                                                    "unknown form ldmatrix",
		"ldmatrix.sync.aligned.m8n8.x8.shared.b16 {%r8}, [%r7];":                                                                                    "unknown form ldmatrix",
		"ldmatrix.sync.aligned.m8n8.x1.global.b16 {%r8}, [%rd4];":                                                                                   "unknown form ldmatrix",
		"ldmatrix.aligned.m8n8.x1.shared.b16 {%r8}, [%r7];":                                                                                         "unknown form ldmatrix",
	} {
		if _, err := Parse(text(body)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", body, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(text("bar.sync 0;"))
	f.Add(text(load16("%rd6, %rd1", 16)))
	f.Fuzz(func(t *testing.T, s string) {
		m, err := Parse(s)
		if err == nil && len(m.Kernels()) == 0 {
			t.Error("a module without a kernel")
		}
	})
}
