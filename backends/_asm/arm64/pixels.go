package arm64

import "fmt"

// pixels are instructions on bytes and 16-bit halves, as vectors are: what follows a name's
// space is the size of the elements that come out, where there are several.
var pixels = map[string]instruction{
	"sub b":   {0x6e208400, "sub v%d.16b, v%d.16b, v%d.16b"},
	"sub":     {0x6ea08400, "sub v%d.4s, v%d.4s, v%d.4s"},
	"eor":     {0x6e201c00, "eor v%d.16b, v%d.16b, v%d.16b"},
	"uabd b":  {0x6e207400, "uabd v%d.16b, v%d.16b, v%d.16b"},
	"cmhs b":  {0x6e203c00, "cmhs v%d.16b, v%d.16b, v%d.16b"}, // ones where n >= m
	"uaddlv":  {0x6e303800, "uaddlv h%d, v%d.16b"},
	"uxtl":    {0x2f08a400, "uxtl v%d.8h, v%d.8b"},
	"uxtl2":   {0x6f08a400, "uxtl2 v%d.8h, v%d.16b"},
	"usubl":   {0x2e202000, "usubl v%d.8h, v%d.8b, v%d.8b"},
	"usubl2":  {0x6e202000, "usubl2 v%d.8h, v%d.16b, v%d.16b"},
	"uaddw":   {0x2e201000, "uaddw v%d.8h, v%d.8h, v%d.8b"},
	"uaddw2":  {0x6e201000, "uaddw2 v%d.8h, v%d.8h, v%d.16b"},
	"saddw":   {0x0e601000, "saddw v%d.4s, v%d.4s, v%d.4h"},
	"saddw2":  {0x4e601000, "saddw2 v%d.4s, v%d.4s, v%d.8h"},
	"smlal h": {0x0e208000, "smlal v%d.8h, v%d.8b, v%d.8b"},
	"smlal2h": {0x4e208000, "smlal2 v%d.8h, v%d.16b, v%d.16b"},
	"smlsl h": {0x0e20a000, "smlsl v%d.8h, v%d.8b, v%d.8b"},
	"smull h": {0x0e20c000, "smull v%d.8h, v%d.8b, v%d.8b"},
	"smull2h": {0x4e20c000, "smull2 v%d.8h, v%d.16b, v%d.16b"},
	"umull h": {0x2e20c000, "umull v%d.8h, v%d.8b, v%d.8b"},
	"umull2h": {0x6e20c000, "umull2 v%d.8h, v%d.16b, v%d.16b"},
	"umlal h": {0x2e208000, "umlal v%d.8h, v%d.8b, v%d.8b"},
	"umlal2h": {0x6e208000, "umlal2 v%d.8h, v%d.16b, v%d.16b"},

	// Halves of sums: the upper one of each, rounded where the name begins with r.
	"addhn b":   {0x0e204000, "addhn v%d.8b, v%d.8h, v%d.8h"},
	"addhn2b":   {0x4e204000, "addhn2 v%d.16b, v%d.8h, v%d.8h"},
	"raddhn":    {0x2e604000, "raddhn v%d.4h, v%d.4s, v%d.4s"},
	"raddhn2":   {0x6e604000, "raddhn2 v%d.8h, v%d.4s, v%d.4s"},
	"rshrn 16":  {0x0f108c00, "rshrn v%d.4h, v%d.4s, #16"},
	"rshrn2 16": {0x4f108c00, "rshrn2 v%d.8h, v%d.4s, #16"},
	"uzp2 h":    {0x4e405800, "uzp2 v%d.8h, v%d.8h, v%d.8h"},

	// Narrowed to bytes, by saturation.
	"sqxtun":  {0x2e212800, "sqxtun v%d.8b, v%d.8h"},
	"sqxtun2": {0x6e212800, "sqxtun2 v%d.16b, v%d.8h"},

	"zip1 b": {0x4e003800, "zip1 v%d.16b, v%d.16b, v%d.16b"},
	"zip2 b": {0x4e007800, "zip2 v%d.16b, v%d.16b, v%d.16b"},
	"uzp1":   {0x4e801800, "uzp1 v%d.4s, v%d.4s, v%d.4s"},
	"uzp2":   {0x4e805800, "uzp2 v%d.4s, v%d.4s, v%d.4s"},
	"trn1 b": {0x4e002800, "trn1 v%d.16b, v%d.16b, v%d.16b"},
	"trn2 b": {0x4e006800, "trn2 v%d.16b, v%d.16b, v%d.16b"},
	"trn1 h": {0x4e402800, "trn1 v%d.8h, v%d.8h, v%d.8h"},
	"trn2 h": {0x4e406800, "trn2 v%d.8h, v%d.8h, v%d.8h"},
	"trn1 s": {0x4e802800, "trn1 v%d.4s, v%d.4s, v%d.4s"},
	"trn2 s": {0x4e806800, "trn2 v%d.4s, v%d.4s, v%d.4s"},
	"trn1 d": {0x4ec02800, "trn1 v%d.2d, v%d.2d, v%d.2d"},
	"trn2 d": {0x4ec06800, "trn2 v%d.2d, v%d.2d, v%d.2d"},
	"tbl":    {0x4e000000, "tbl v%d.16b, {v%d.16b}, v%d.16b"},
}

// Instructions by one half of a register, which is one of the first 16.
var byHalves = map[string]struct {
	code     uint32
	mnemonic string
}{
	"smull":    {0x0f40a000, "smull v%d.4s, v%d.4h, v%d.h[%d]"},
	"smull2":   {0x4f40a000, "smull2 v%d.4s, v%d.8h, v%d.h[%d]"},
	"smlal":    {0x0f402000, "smlal v%d.4s, v%d.4h, v%d.h[%d]"},
	"smlal2":   {0x4f402000, "smlal2 v%d.4s, v%d.8h, v%d.h[%d]"},
	"umull":    {0x2f40a000, "umull v%d.4s, v%d.4h, v%d.h[%d]"},
	"umull2":   {0x6f40a000, "umull2 v%d.4s, v%d.8h, v%d.h[%d]"},
	"umlal":    {0x2f402000, "umlal v%d.4s, v%d.4h, v%d.h[%d]"},
	"umlal2":   {0x6f402000, "umlal2 v%d.4s, v%d.8h, v%d.h[%d]"},
	"sqrdmulh": {0x4f40d000, "sqrdmulh v%d.8h, v%d.8h, v%d.h[%d]"}, // 2·n·m, the upper half, rounded

	// Halves that are floating-point numbers; fmlal's products and sums are float32.
	"fmul h": {0x4f009000, "fmul v%d.8h, v%d.8h, v%d.h[%d]"},
	"fmla h": {0x4f001000, "fmla v%d.8h, v%d.8h, v%d.h[%d]"},
	"fmlal":  {0x4f800000, "fmlal v%d.4s, v%d.4h, v%d.h[%d]"},
	"fmlal2": {0x6f808000, "fmlal2 v%d.4s, v%d.4h, v%d.h[%d]"},
}

// byHalf writes an instruction of byHalves.
func (g gen) byHalf(name string, d, n, m, lane int) {
	i, known := byHalves[name]
	if !known || m > 15 {
		panic(fmt.Sprintf("arm64: no instruction %s by a half of v%d", name, m))
	}
	code := i.code | uint32(lane>>2)<<11 | uint32(lane>>1&1)<<21 | uint32(lane&1)<<20
	g.word(code|uint32(m)<<16|uint32(n)<<5|uint32(d), fmt.Sprintf(i.mnemonic, d, n, m, lane))
}

// shifts are by a number that is part of the code: added to add, or taken from it where
// they go to the right, times 65536.
var shifts = map[string]struct {
	code     uint32
	left     bool
	mnemonic string
}{
	"shl h":     {0x4f105400, true, "shl v%d.8h, v%d.8h, #%d"},
	"srshr":     {0x4f402400, false, "srshr v%d.4s, v%d.4s, #%d"},  // rounds
	"sqshrn b":  {0x0f109400, false, "sqshrn v%d.8b, v%d.8h, #%d"}, // saturates
	"sqshrn2b":  {0x4f109400, false, "sqshrn2 v%d.16b, v%d.8h, #%d"},
	"sqrshrun":  {0x2f108c00, false, "sqrshrun v%d.8b, v%d.8h, #%d"}, // rounds, saturates to bytes without sign
	"sqrshrun2": {0x6f108c00, false, "sqrshrun2 v%d.16b, v%d.8h, #%d"},
}

// shift writes an instruction of shifts.
func (g gen) shift(name string, d, n, by int) {
	i, known := shifts[name]
	if !known {
		panic("arm64: no shift " + name)
	}
	code := i.code - uint32(by)<<16
	if i.left {
		code = i.code + uint32(by)<<16
	}
	g.word(code|uint32(n)<<5|uint32(d), fmt.Sprintf(i.mnemonic, d, n, by))
}

// ext makes d the bytes of n from byte by on, then those of m.
func (g gen) ext(d, n, m, by int) {
	g.word(0x6e000000|uint32(m)<<16|uint32(by)<<11|uint32(n)<<5|uint32(d), fmt.Sprintf("ext v%d.16b, v%d.16b, v%d.16b, #%d", d, n, m, by))
}

// dupByte makes every byte of d one byte of n.
func (g gen) dupByte(d, n, lane int) {
	g.word(0x4e010400|uint32(lane)<<17|uint32(n)<<5|uint32(d), fmt.Sprintf("dup v%d.16b, v%d.b[%d]", d, n, lane))
}

// dupBytes makes every byte of d the lowest one of general register n.
func (g gen) dupBytes(d, n int) {
	g.word(0x4e010c00|uint32(n)<<5|uint32(d), fmt.Sprintf("dup v%d.16b, w%d", d, n))
}

// moviBytes makes every byte of d a number.
func (g gen) moviBytes(d, number int) {
	g.word(0x4f00e400|uint32(number>>5)<<16|uint32(number&31)<<5|uint32(d), fmt.Sprintf("movi v%d.16b, #0x%x", d, number))
}

// moviWords makes every word of d a number.
func (g gen) moviWords(d, number int) {
	g.word(0x4f000400|uint32(number>>5)<<16|uint32(number&31)<<5|uint32(d), fmt.Sprintf("movi v%d.4s, #0x%x", d, number))
}

// halves makes a register eight signed 16-bit numbers, through R17.
func (g gen) halves(r int, name string, numbers ...int16) {
	words := make([]uint32, lanes)
	for i, n := range numbers {
		words[i/2] |= uint32(uint16(n)) << (i % 2 * 16)
	}
	g.loadSymbol(r, g.Table(name, words)+"(SB)")
}

// turn transposes a square of elements, a power of two many, in as many registers from
// from on, into those from to on, by way of both: each round swaps what lies next to the
// diagonal of squares of twice the side. TRN is one operation where ZIP is three
// (Cortex-A72). It returns where the last round left them.
func (g gen) turn(from, to int, sizes ...string) int {
	side := 1 << len(sizes)
	for i, size := range sizes {
		for r := range side {
			if other := r | 1<<i; other != r {
				g.v("trn1 "+size, to+r, from+r, from+other)
				g.v("trn2 "+size, to+other, from+r, from+other)
			}
		}
		from, to = to, from
	}
	return from
}
