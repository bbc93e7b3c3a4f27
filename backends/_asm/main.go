// Command asm writes the kernels in assembly, each package's where it lies: go generate
// ./backends/... ./preprocess/... from the root, or here
//
//	go run . [-o DIR] [PACKAGE...]
//
// for some packages, or below another folder than the root.
package main

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"dynvit.asm/amd64"
	"dynvit.asm/arm64"
)

// packages are where each package lies below the root, how that finds this folder, and the
// writer of its files by name, for whose header it names the command that made them.
var packages = map[string]struct {
	folder, here string
	files        func(command string) map[string]string
}{
	"avx512":     {"backends/avx512", "../_asm", amd64.AVX512},
	"avx2":       {"backends/avx2", "../_asm", amd64.AVX2},
	"neon":       {"backends/neon", "../_asm", arm64.NEON},
	"preprocess": {"preprocess", "../backends/_asm", arm64.Preprocess},
	"baseline":   {"preprocess/baseline", "../../backends/_asm", arm64.Baseline},
}

func main() {
	dir := flag.String("o", "../..", "write below this `folder`")
	flag.Parse()
	names := flag.Args()
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(packages))
	}
	for _, name := range names {
		if err := write(*dir, name); err != nil {
			fmt.Fprintln(os.Stderr, "asm:", err)
			os.Exit(1)
		}
	}
}

func write(dir, name string) error {
	p, known := packages[name]
	if !known {
		return fmt.Errorf("package %q is not one of %v", name, slices.Sorted(maps.Keys(packages)))
	}
	dir = filepath.Join(dir, p.folder)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for file, text := range p.files(fmt.Sprintf("\"go -C %s run . %s\"", p.here, name)) {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
