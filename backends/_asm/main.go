// Command asm writes the kernels in assembly, each package's where it lies beside this
// folder: go generate ./backends/... from the root, or here
//
//	go run . [-o DIR] [PACKAGE...]
//
// for some packages, or below another folder.
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

// packages are the writers of each package's files by name, for the header to name the
// command that made them.
var packages = map[string]func(command string) map[string]string{
	"avx512": amd64.AVX512,
	"avx2":   amd64.AVX2,
	"neon":   arm64.NEON,
}

func main() {
	dir := flag.String("o", "..", "write below this `folder`")
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
	files, known := packages[name]
	if !known {
		return fmt.Errorf("package %q is not one of %v", name, slices.Sorted(maps.Keys(packages)))
	}
	if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
		return err
	}
	for file, text := range files(`"go -C ../_asm run . ` + name + `"`) {
		if err := os.WriteFile(filepath.Join(dir, name, file), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
