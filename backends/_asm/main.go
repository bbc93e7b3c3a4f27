// Command asm writes the assembly of the packages avx512 and avx2: go run . (in
// this folder), or go run . DIR to write below another folder, to compare.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"dynvit.asm/emit"
)

func main() {
	dir := ".."
	if len(os.Args) > 1 {
		dir = os.Args[1]
	}
	for name, text := range map[string]string{
		"avx512/product_amd64.s": products512(),
		"avx512/rows_amd64.s":    rows(true),
		"avx512/pack_amd64.s":    packing(true),
		"avx512/peak_amd64.s":    peaks512(),
		"avx2/product_amd64.s":   products2(),
		"avx2/rows_amd64.s":      rows(false),
		"avx2/pack_amd64.s":      packing(false),
		"avx2/peak_amd64.s":      peaks2(),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// Rows of a tile by two vectors of outputs leave four registers for operands, of 32
// with AVX-512 and 16 with AVX2, or eight.
const (
	rows512  = 14
	rows2    = 6
	crossed2 = 4
)

func dotF32(g *emit.Gen, acc, b, a, _ int)  { g.Op("VFMADD231PS", g.R(b), g.R(a), g.R(acc)) }
func dotBF16(g *emit.Gen, acc, b, a, _ int) { g.DotBF16(a, b, acc) }
func dotInt8(g *emit.Gen, acc, b, a, _ int) { g.Op("VPDPBUSD", g.R(b), g.R(a), g.R(acc)) }

// dotVEX is for processors with AVX-VNNI alone, where Go's assembler would write
// the EVEX form, which faults there. Bytes of a are unsigned, of b signed.
func dotVEX(g *emit.Gen, acc, b, a, _ int) { g.DotVEX(b, a, acc) }

// dotInt16 is for processors without VNNI.
func dotInt16(g *emit.Gen, acc, b, a, t int) {
	g.Op("VPMADDWD", g.R(b), g.R(a), g.R(t))
	g.Op("VPADDD", g.R(t), g.R(acc), g.R(acc))
}

// dotCrossed is dotInt16 on two words at a time, for the peak.
func dotCrossed(g *emit.Gen, acc, b, a, t int) {
	g.Op("VPADDW", g.R(b), g.R(a), g.R(t))
	g.Op("VPADDW", g.R(b), g.R(a), g.R(t+1))
	g.Op("VPMADDWD", g.R(t), g.R(t+1), g.R(t))
	g.Op("VPADDD", g.R(t), g.R(acc), g.R(acc))
}

func products512() string {
	g := emit.New(true)
	g.Product(emit.Product{Name: "mulF32", Rows: rows512, Dot: dotF32, TwoA: true})
	g.Product(emit.Product{Name: "mulBF16", Rows: rows512, Dot: dotBF16, TwoA: true, Pairs: true})
	g.Product(emit.Product{Name: "mulInt8", Rows: rows512, Dot: dotInt8, TwoA: true, Codes: true, Zeros: true, Pairs: true})
	g.Product(emit.Product{Name: "mulInt16", Rows: rows512, Dot: dotInt16, Codes: true})
	return g.String()
}

func products2() string {
	g := emit.New(false)
	g.Product(emit.Product{Name: "mulF32", Rows: rows2, Dot: dotF32, TwoA: true})
	g.Product(emit.Product{Name: "mulInt8", Rows: rows2, Dot: dotVEX, TwoA: true, Codes: true, Zeros: true})
	g.Product(emit.Product{Name: "mulInt16", Rows: crossed2, Dot: dotInt16, Codes: true, Crossed: true})
	return g.String()
}

func rows(wide bool) string {
	g := emit.New(wide)
	g.Softmax()
	g.GELU()
	g.Norm()
	g.Divide()
	g.Range()
	if wide {
		g.Codes16()
		g.RowsInt8()
		g.RowsBF16()
	} else {
		g.Codes8()
		g.Codes16Crossed()
	}
	g.RoundBF16()
	g.RoundF16()
	return g.String()
}

func packing(wide bool) string {
	g := emit.New(wide)
	g.Transpose()
	g.PackRows()
	if wide {
		g.PackRowsBF16()
		g.PackPairs()
	}
	return g.String()
}

func peaks512() string {
	g := emit.New(true)
	g.Peak("peakF32", dotF32)
	g.Peak("peakBF16", dotBF16)
	g.Peak("peakInt8", dotInt8)
	g.Peak("peakInt16", dotInt16)
	return g.String()
}

func peaks2() string {
	g := emit.New(false)
	g.Peak("peakF32", dotF32)
	g.Peak("peakInt8", dotVEX)
	g.Peak("peakInt16", dotCrossed)
	return g.String()
}
