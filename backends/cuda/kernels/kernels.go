// Package kernels holds the CUDA kernels of backends/cuda: their sources (*.cu), the PTX made
// of them (ptx/, committed, so that no one needs NVIDIA's compiler to build), which of it
// a device takes, and how weights are packed for them. It needs neither a GPU nor cgo.
//
// Each kernel's arguments, grid and block are in docs/cuda.md. What holds for all: matrices are
// row-major float32, no kernel waits for another block, none needs scratch that was zeroed, and
// results do not depend on the order in which blocks or threads run.
package kernels

import (
	"embed"
	"fmt"

	"dynvit/backends"
)

//go:embed ptx
var ptx embed.FS

// Families are the files that a target's kernels lie in.
func Families() []string { return []string{"gemm", "attention", "rows", "tokens", "picture"} }

// Target is what kernels were compiled for: a compute capability, and all later ones up to
// that of the next target.
type Target struct {
	Name         string               // "sm_72", as NVIDIA writes it
	Major, Minor int                  // the least compute capability
	Precisions   []backends.Precision // what gemm is there for, the fastest first
}

// Targets are all, the oldest first: without tensor cores (Nano), with those of halves and
// bytes (Xavier), with those of bfloat16s too (Orin, and every GPU from 2020 on).
func Targets() []Target {
	return []Target{
		{"sm_53", 5, 3, []backends.Precision{backends.F16, backends.F32, backends.Int8}},
		{"sm_72", 7, 2, []backends.Precision{backends.Int8, backends.F16, backends.F32}},
		{"sm_80", 8, 0, []backends.Precision{backends.Int8, backends.F16, backends.BF16, backends.F32}},
	}
}

// For returns the newest target that a device of that compute capability runs; ok is false
// where it runs none.
func For(major, minor int) (target Target, ok bool) {
	for _, t := range Targets() {
		if major > t.Major || major == t.Major && minor >= t.Minor {
			target, ok = t, true
		}
	}
	return target, ok
}

// PTX is a family's text. It panics where there is no such family.
func (t Target) PTX(family string) []byte {
	text, err := ptx.ReadFile("ptx/" + t.Name + "/" + family + ".ptx")
	if err != nil {
		panic(fmt.Sprintf("kernels: PTX: %v", err))
	}
	return text
}
