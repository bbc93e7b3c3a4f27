package main

import (
	"bytes"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
)

// program is dynvitd built for each architecture, and what its build for this
// machine says of itself.
type program struct {
	version string            // as `dynvitd version` has it
	binary  map[string][]byte // by GOARCH
	shells  map[string][]byte // completion scripts, by shell
	modules []*debug.Module   // those linked in, the same for each architecture
	golang  string            // the Go release, such as go1.26.8
}

// build compiles dynvitd in the repository root for all architectures, into dir; or, where
// cuda names a program for the only one, takes that.
func build(root, dir string, archs []string, cuda string) (*program, error) {
	p := &program{binary: map[string][]byte{}, shells: map[string][]byte{}}
	fileOf := func(arch string) string { return filepath.Join(dir, arch, "dynvitd") }
	for _, arch := range archs {
		file := cuda
		if cuda == "" {
			file = fileOf(arch)
			if err := compile(root, file, arch); err != nil {
				return nil, err
			}
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		p.binary[arch] = data
	}
	info, err := buildinfo.Read(bytes.NewReader(p.binary[archs[0]]))
	if err != nil {
		return nil, err
	}
	p.modules = slices.DeleteFunc(info.Deps, func(m *debug.Module) bool {
		return m.Replace != nil && m.Replace.Sum == "" // a folder of ours, in the place of a module
	})
	p.golang = info.GoVersion
	if p.binary[runtime.GOARCH] == nil || cuda != "" {
		if err := compile(root, fileOf(runtime.GOARCH), runtime.GOARCH); err != nil {
			return nil, err
		}
	}
	return p, p.ask(fileOf(runtime.GOARCH))
}

// compile makes one static binary, in which nothing tells of where or when.
func compile(root, file, arch string) error {
	c := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s", "-o", file, "./cmd/dynvitd")
	c.Dir = root
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOFLAGS=", "GOAMD64=v1", "GOARM64=v8.0")
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("build dynvitd for %s: %w\n%s", arch, err, out)
	}
	return nil
}

// ask has the program tell its version and its completion scripts.
func (p *program) ask(file string) error {
	out, err := exec.Command(file, "version").Output()
	if err != nil {
		return fmt.Errorf("dynvitd version: %w", err)
	}
	words := strings.Fields(string(out))
	if len(words) < 2 || words[0] != "dynvitd" {
		return fmt.Errorf("dynvitd version says %q", out)
	}
	p.version = words[1]
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if p.shells[shell], err = exec.Command(file, "completion", shell).Output(); err != nil {
			return fmt.Errorf("dynvitd completion %s: %w", shell, err)
		}
	}
	return nil
}
