package arm64

import (
	"strings"
	"testing"
)

// TestWords: instructions as GNU as (2.40) assembles them. That every mnemonic in a
// package's files is the disassembler's is that package's test.
func TestWords(t *testing.T) {
	g := newGen("a test")
	for _, r := range [][4]int{{0, 1, 2, 0}, {31, 17, 30, 3}, {8, 9, 18, 1}} {
		g.fmla(r[0], r[1], r[2], r[3])
		g.sdot(r[0], r[1], r[2], r[3])
	}
	want := `
	WORD $0x4f821020 // fmla v0.4s, v1.4s, v2.s[0]
	WORD $0x4f82e020 // sdot v0.4s, v1.16b, v2.4b[0]
	WORD $0x4fbe1a3f // fmla v31.4s, v17.4s, v30.s[3]
	WORD $0x4fbeea3f // sdot v31.4s, v17.16b, v30.4b[3]
	WORD $0x4fb21128 // fmla v8.4s, v9.4s, v18.s[1]
	WORD $0x4fb2e128 // sdot v8.4s, v9.16b, v18.4b[1]
`
	if got := g.String(); !strings.HasSuffix(got, want) {
		t.Errorf("%s\nwant at its end%s", got, want)
	}
}

// TestPixelWords: those on halves and bytes, by GNU as likewise.
func TestPixelWords(t *testing.T) {
	g := newGen("a test")
	g.byHalf("umlal2", 8, 31, 15, 7)
	g.byHalf("sqrdmulh", 0, 1, 2, 4)
	g.shift("shl h", 3, 4, 5)
	g.shift("srshr", 31, 30, 11)
	g.shift("sqrshrun2", 1, 2, 6)
	g.ext(1, 2, 3, 14)
	g.dupByte(5, 6, 2)
	g.dupBytes(7, 8)
	g.moviBytes(9, 128)
	g.moviWords(10, 16)
	g.v("trn2 d", 1, 2, 3)
	want := `
	WORD $0x6f7f2be8 // umlal2 v8.4s, v31.8h, v15.h[7]
	WORD $0x4f42d820 // sqrdmulh v0.8h, v1.8h, v2.h[4]
	WORD $0x4f155483 // shl v3.8h, v4.8h, #5
	WORD $0x4f3527df // srshr v31.4s, v30.4s, #11
	WORD $0x6f0a8c41 // sqrshrun2 v1.16b, v2.8h, #6
	WORD $0x6e037041 // ext v1.16b, v2.16b, v3.16b, #14
	WORD $0x4e0504c5 // dup v5.16b, v6.b[2]
	WORD $0x4e010d07 // dup v7.16b, w8
	WORD $0x4f04e409 // movi v9.16b, #0x80
	WORD $0x4f00060a // movi v10.4s, #0x10
	WORD $0x4ec36841 // trn2 v1.2d, v2.2d, v3.2d
`
	if got := g.String(); !strings.HasSuffix(got, want) {
		t.Errorf("%s\nwant at its end%s", got, want)
	}
}

// TestHalfWords: those on floating-point halves likewise.
func TestHalfWords(t *testing.T) {
	g := newGen("a test")
	g.byHalf("fmul h", 0, 1, 2, 7)
	g.byHalf("fmla h", 31, 17, 15, 4)
	g.byHalf("fmlal", 0, 1, 2, 7)
	g.byHalf("fmlal2", 31, 17, 15, 5)
	g.v("fcvtn2", 1, 2)
	g.v("fcvtl2", 1, 2)
	want := `
	WORD $0x4f329820 // fmul v0.8h, v1.8h, v2.h[7]
	WORD $0x4f0f1a3f // fmla v31.8h, v17.8h, v15.h[4]
	WORD $0x4fb20820 // fmlal v0.4s, v1.4h, v2.h[7]
	WORD $0x6f9f8a3f // fmlal2 v31.4s, v17.4h, v15.h[5]
	WORD $0x4e216841 // fcvtn2 v1.8h, v2.4s
	WORD $0x4e217841 // fcvtl2 v1.4s, v2.8h
`
	if got := g.String(); !strings.HasSuffix(got, want) {
		t.Errorf("%s\nwant at its end%s", got, want)
	}
}

// TestConstants: a vector is four words.
func TestConstants(t *testing.T) {
	g := newGen("a test")
	if got := g.Float(1); got != "c3f800000<>(SB)" || !strings.Contains(g.String(), "GLOBL c3f800000<>(SB), RODATA|NOPTR, $16\n") {
		t.Errorf("%s in\n%s", got, g.String())
	}
}
