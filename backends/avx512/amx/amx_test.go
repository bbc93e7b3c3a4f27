package amx

import (
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestDecode: what the kernels' file calls its bytes, which a test beside it asks GNU's disassembler, is what they
// are read as.
func TestDecode(t *testing.T) {
	text, err := os.ReadFile("../tile_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for line := range strings.Lines(string(text)) {
		directives, comment, ok := strings.Cut(strings.TrimSpace(line), " // ")
		if !ok || !strings.HasPrefix(directives, "BYTE ") || !strings.Contains(comment, "tile") && !strings.HasPrefix(comment, "tdp") {
			continue
		}
		var code []byte
		for _, digits := range regexp.MustCompile("0x[0-9a-f]{2}").FindAllString(directives, -1) {
			b, _ := strconv.ParseUint(digits, 0, 8)
			code = append(code, byte(b))
		}
		i, ok := Decode(append(code, 0xc4)) // and so no further
		if !ok || i.String() != comment || i.length != len(code) {
			t.Errorf("% x is %v of %d bytes, %v; want %s", code, i, i.length, ok, comment)
		}
		for n := range code {
			if i, ok := Decode(code[:n]); ok {
				t.Errorf("% x, cut off, is %v", code[:n], i)
			}
		}
		found++
	}
	if found < 70 {
		t.Errorf("only %d instructions", found)
	}
}

// TestDecodeOthers: instructions of vectors beside the kernels' are none of AMX, and no bytes are
// more than they can be.
func TestDecodeOthers(t *testing.T) {
	for _, code := range [][]byte{
		{0xc4, 0xe2, 0x71, 0x50, 0xc2, 0x90}, // {vex} vpdpbusd xmm0,xmm1,xmm2
		{0xc4, 0xe2, 0x7b, 0x4b, 0x02, 0x90}, // tileloadd without sib
		{0xc4, 0xe2, 0xfb, 0x4b, 0x04, 0x0a}, // its W bit
		{0xc4, 0xe2, 0x43, 0x5e},             // cut off
		{0x62, 0xf2, 0x75, 0x48, 0x50, 0xc2}, // vpdpbusd zmm0,zmm1,zmm2
	} {
		if i, ok := Decode(code); ok {
			t.Errorf("% x is %v", code, i)
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		code := make([]byte, rng.IntN(10))
		for i := range code {
			code[i] = byte(rng.Uint32())
		}
		copy(code, []byte{0xc4, 0xe2, 0x78 | byte(rng.Uint32())&3, []byte{0x49, 0x4b, 0x5c, 0x5e}[rng.IntN(4)]})
		if i, ok := Decode(code); ok && (i.length > len(code) || i.String() == "") {
			t.Errorf("% x is %v of %d bytes", code, i, i.length)
		}
	}
}

// ram is memory from an address on.
type ram struct {
	from  uint64
	bytes []byte
}

func (m *ram) at(address uint64, n int) ([]byte, error) {
	if address < m.from || address+uint64(n) > m.from+uint64(len(m.bytes)) {
		return nil, errors.New("not mapped")
	}
	return m.bytes[address-m.from:][:n], nil
}

func (m *ram) Read(address uint64, p []byte) error {
	b, err := m.at(address, len(p))
	copy(p, b)
	return err
}

func (m *ram) Write(address uint64, p []byte) error {
	b, err := m.at(address, len(p))
	copy(b, p)
	return err
}

// config is what LDTILECFG reads for tiles of such rows and bytes.
func config(shapes ...[2]int) *ram {
	m := &ram{0x1000, make([]byte, 64)}
	m.bytes[0] = 1
	for i, shape := range shapes {
		m.bytes[48+i], m.bytes[16+2*i] = byte(shape[0]), byte(shape[1])
	}
	return m
}

func configured(t *testing.T, shapes ...[2]int) *State {
	t.Helper()
	var s State
	if err := s.Do(Instruction{Op: "ldtilecfg"}, config(shapes...), func(int) uint64 { return 0x1000 }); err != nil {
		t.Fatal(err)
	}
	return &s
}

func (t *tile) set(row int, words ...uint32) {
	for i, w := range words {
		setWord(&t.data[row], i, w)
	}
}

// TestByteProducts: by signs as the names have them, exact, around at the end of int32.
func TestByteProducts(t *testing.T) {
	for i, want := range map[int]int32{
		noPrefix: 2*255*128 + 255*1 + 3*200,
		prefix66: 2*255*-128 + 255*1 + 3*-56,
		prefixF3: 2*-1*128 + -1*1 + 3*200,
		prefixF2: 2*-1*-128 + -1*1 + 3*-56,
	} {
		s := configured(t, [2]int{2, 8}, [2]int{2, 4}, [2]int{1, 8})
		s.tiles[1].set(0, 0x03ffffff)
		s.tiles[1].set(1, 0x03ffffff)
		s.tiles[2].set(0, 0xc8018080, 0)
		s.tiles[0].set(1, math.MaxInt32, 7)
		product := byteProducts[i]
		product.A, product.B = 1, 2
		if err := s.Do(product, nil, nil); err != nil {
			t.Fatal(err)
		}
		c := &s.tiles[0]
		got := [4]int32{int32(word(&c.data[0], 0)), int32(word(&c.data[0], 1)), int32(word(&c.data[1], 0)), int32(word(&c.data[1], 1))}
		if most := int32(math.MaxInt32); got != [4]int32{want, 0, most + want, 7} {
			t.Errorf("%s: %v, want %d first", product.Op, got, want)
		}
	}
}

// TestDotBF16: the order of additions, where they round, and what counts as 0.
func TestDotBF16(t *testing.T) {
	pair := func(lower, upper float32) uint32 {
		return math.Float32bits(lower)>>16 | math.Float32bits(upper)&0xffff0000
	}
	one := pair(1, 1)
	for name, c := range map[string]struct {
		sum  float32
		a, b []uint32
		want float32
	}{
		"halves apart":            {0, []uint32{pair(0x1p24, 1), pair(-0x1p24, 1)}, []uint32{one, one}, 2},
		"in order":                {0, []uint32{pair(1, 0), pair(0x1p24, 0), pair(-0x1p24, 0)}, []uint32{one, one, one}, 0},
		"the sum comes last":      {0x1p24, []uint32{pair(1, 0), pair(1, 0)}, []uint32{one, one}, 0x1p24 + 2},
		"products round once":     {0, []uint32{pair(1, 0), pair(0x1.02p-12, 0)}, []uint32{one, pair(0x1.02p-12, 0)}, 1 + 0x1p-23},
		"ties to even":            {0, []uint32{pair(0x1p24, 1)}, []uint32{one}, 0x1p24},
		"denormal operands":       {0, []uint32{0x00010001}, []uint32{pair(0x1p120, 0x1p120)}, 0},
		"denormal results":        {0, []uint32{pair(0x1p-100, 0)}, []uint32{pair(0x1p-30, 0)}, 0},
		"a denormal sum":          {0x1p-130, []uint32{0}, []uint32{0}, 0},
		"overflow":                {0, []uint32{pair(0x1p100, 0)}, []uint32{pair(-0x1p100, 0)}, float32(math.Inf(-1))},
		"no overflow of products": {0, []uint32{pair(0x1p127, 0), pair(0x1p127, 0)}, []uint32{pair(-1, 0), pair(2, 0)}, float32(0x1p127)},
	} {
		if got := DotBF16(c.sum, c.a, c.b); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	nan, inf := uint32(0x7fc0), uint32(0x7f80)
	for _, a := range [][2]uint32{{nan, one}, {inf, 0}, {inf | inf<<16, pair(1, -1)}} {
		if got := DotBF16(0, a[:1], a[1:]); got == got {
			t.Errorf("%#x times %#x: %v", a[0], a[1], got)
		}
	}
	if got := math.Float32bits(DotBF16(float32(math.Copysign(0, -1)), []uint32{0x80008000}, []uint32{one})); got != 0 {
		t.Errorf("sums begin with %#x, want +0", got)
	}
}

// TestLoadAndStore: rows that lie apart, shorter ones with zeros behind, and nothing beside them.
func TestLoadAndStore(t *testing.T) {
	s := configured(t, [2]int{3, 8})
	s.tiles[0].set(2, 1, 2, 3)
	m := &ram{0x4000, make([]byte, 2*20+8)}
	for i := range m.bytes {
		m.bytes[i] = byte(i)
	}
	registers := func(n int) uint64 { return map[int]uint64{1: 0x4000 - 64, 2: 10}[n] }
	at := Instruction{Op: "tileloadd", base: 1, index: 2, scale: 1, offset: 64}
	if err := s.Do(at, m, registers); err != nil {
		t.Fatal(err)
	}
	for r := range 3 {
		if got, want := s.tiles[0].data[r][:9], append(append([]byte{}, m.bytes[20*r:][:8]...), 0); string(got) != string(want) {
			t.Errorf("row %d is % x, want % x", r, got, want)
		}
	}
	s.tiles[0].set(1, 0xdddddddd, 0xdddddddd, 0xdddddddd)
	at.Op = "tilestored"
	if err := s.Do(at, m, registers); err != nil || m.bytes[19] != 19 || m.bytes[20] != 0xdd || m.bytes[27] != 0xdd || m.bytes[28] != 28 {
		t.Errorf("%v, % x", err, m.bytes)
	}
	m.bytes = m.bytes[:len(m.bytes)-1]
	for _, op := range []string{"tileloadd", "tilestored"} {
		at.Op = op
		if err := s.Do(at, m, registers); err == nil || !strings.Contains(err.Error(), "row 2") {
			t.Errorf("%s beyond the memory: %v", op, err)
		}
	}
}

// TestStrict: what a processor refuses, and what a kernel must not leave behind.
func TestStrict(t *testing.T) {
	fresh := func() *State { return configured(t, [2]int{2, 8}, [2]int{2, 4}, [2]int{1, 8}) }
	for name, i := range map[string]Instruction{
		"a tile without a shape": {Op: "tilezero", Tile: 3},
		"an operand without":     {Op: "tdpbusd", A: 1, B: 4},
		"the same twice":         {Op: "tdpbusd", A: 1, B: 1},
		"shapes that differ":     {Op: "tdpbf16ps", A: 2, B: 1},
	} {
		if err := fresh().Do(i, nil, nil); err == nil {
			t.Errorf("%s: %v is executed", name, i)
		}
	}
	s := fresh()
	if err := s.Do(Instruction{Op: "ldtilecfg"}, config(), func(int) uint64 { return 0x1000 }); err == nil {
		t.Error("configured again without tilerelease")
	}
	if err := s.Do(Instruction{Op: "tilerelease"}, nil, nil); err != nil {
		t.Error(err)
	}
	if err := s.Do(Instruction{Op: "tilezero"}, nil, nil); err == nil {
		t.Error("a tile is used after tilerelease")
	}
	for at, value := range map[int]byte{0: 2, 1: 1, 2: 1, 15: 1, 32: 1, 47: 1, 56: 1, 63: 1, 48: 17, 16: 65, 17: 1, 49: 3, 18: 4} {
		m := config([2]int{2, 8})
		m.bytes[at] = value
		if err := (&State{}).Do(Instruction{Op: "ldtilecfg"}, m, func(int) uint64 { return 0x1000 }); err == nil {
			t.Errorf("byte %d may be %d", at, value)
		}
	}
	if err := (&State{}).Do(Instruction{Op: "ldtilecfg"}, config(), func(int) uint64 { return 0x1001 }); err == nil {
		t.Error("read beyond the memory")
	}
}

// TestWords: words are little-endian.
func TestWords(t *testing.T) {
	var row [longest]byte
	setWord(&row, 15, 0x12345678)
	if got := word(&row, 15); got != 0x12345678 || binary.LittleEndian.Uint32(row[60:]) != got {
		t.Errorf("%#x", got)
	}
}
