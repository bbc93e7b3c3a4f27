// Command avx512 writes the assembly of package avx512: go run . (in this folder),
// or go run . DIR to compare.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"dynvit.asm/avx512/emit"
)

func main() {
	dir := ".."
	if len(os.Args) > 1 {
		dir = os.Args[1]
	}
	for name, text := range map[string]string{
		"product_amd64.s": products(),
		"rows_amd64.s":    rows(),
		"pack_amd64.s":    packing(),
		"peak_amd64.s":    peaks(),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// tileRows by 32 outputs leave four of the 32 registers for operands.
const tileRows = 14

func dotF32(g *emit.Gen, acc, b, a, _ int)  { g.Op("VFMADD231PS", g.R(b), g.R(a), g.R(acc)) }
func dotBF16(g *emit.Gen, acc, b, a, _ int) { g.DotBF16(a, b, acc) }
func dotInt8(g *emit.Gen, acc, b, a, _ int) { g.Op("VPDPBUSD", g.R(b), g.R(a), g.R(acc)) }

// dotInt16 is for processors without VNNI.
func dotInt16(g *emit.Gen, acc, b, a, t int) {
	g.Op("VPMADDWD", g.R(b), g.R(a), g.R(t))
	g.Op("VPADDD", g.R(t), g.R(acc), g.R(acc))
}

func products() string {
	g := emit.New(true)
	g.Product(emit.Product{Name: "mulF32", Rows: tileRows, Dot: dotF32, TwoA: true})
	g.Product(emit.Product{Name: "mulBF16", Rows: tileRows, Dot: dotBF16, TwoA: true})
	g.Product(emit.Product{Name: "mulInt8", Rows: tileRows, Dot: dotInt8, TwoA: true, Codes: true})
	g.Product(emit.Product{Name: "mulInt16", Rows: tileRows, Dot: dotInt16, Codes: true})
	return g.String()
}

func rows() string {
	g := emit.New(true)
	g.Softmax()
	g.GELU()
	g.Norm()
	g.Scale()
	g.MaxAbs()
	g.Codes8()
	g.Codes16()
	g.RowBF16()
	g.RoundBF16()
	g.RoundF16()
	return g.String()
}

func packing() string {
	g := emit.New(true)
	g.Transpose()
	g.PackRows()
	g.PackRowsBF16()
	return g.String()
}

func peaks() string {
	g := emit.New(true)
	g.Peak("peakF32", dotF32)
	g.Peak("peakBF16", dotBF16)
	g.Peak("peakInt8", dotInt8)
	g.Peak("peakInt16", dotInt16)
	return g.String()
}
