package arm64

import (
	"strings"
	"testing"
)

// TestWords: instructions as GNU as (2.40) assembles them. That every mnemonic in package
// neon's files is the disassembler's is that package's test.
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

// TestConstants: a vector is four words.
func TestConstants(t *testing.T) {
	g := newGen("a test")
	if got := g.Float(1); got != "c3f800000<>(SB)" || !strings.Contains(g.String(), "GLOBL c3f800000<>(SB), RODATA|NOPTR, $16\n") {
		t.Errorf("%s in\n%s", got, g.String())
	}
}
