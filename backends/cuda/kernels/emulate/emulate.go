// Package emulate runs the CUDA kernels of package kernels on the processor, from the same
// sources: a C++ compiler builds them with a thread of the GPU as a fiber (emulate.h,
// runtime.cpp), under a sanitizer where it is asked for, into a program that a [Process]
// talks to. It shows races, divergence, reads of what was never written and bounds; what it
// can't show is in docs/cuda.md. For tests.
package emulate

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"dynvit/internal/needs"
)

// Mode is what the kernels are instrumented with.
type Mode string

const (
	Plain     Mode = "plain"
	Addresses Mode = "asan" // AddressSanitizer and UndefinedBehaviorSanitizer
	Threads   Mode = "tsan" // ThreadSanitizer, which sees races in a block and between blocks
)

// Build compiles the kernels in sources ("": package kernels' own) for a target's number (53,
// 72, 80) into dir and returns the program. It skips the test where there is no C++
// compiler.
func Build(t testing.TB, dir, sources string, target int, mode Mode) string {
	t.Helper()
	compiler := os.Getenv("CXX")
	if compiler == "" {
		compiler = "g++"
	}
	needs.Program(t, compiler, "g++")
	_, file, _, _ := runtime.Caller(0)
	here := filepath.Join(filepath.Dir(file), "cxx")
	NoteInputs(t, here, filepath.Join(here, "../.."), sources)
	cmd := exec.Command(filepath.Join(here, "build"), dir, fmt.Sprint(target), string(mode))
	cmd.Env = os.Environ()
	if sources != "" {
		cmd.Env = append(cmd.Env, "SOURCES="+sources)
	}
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("build for %d, %s: %v\n%s", target, mode, err, out)
	}
	return filepath.Join(dir, "run")
}

// NoteInputs reads the files of folders that the compiler will read, so that go test runs
// again where they have changed.
func NoteInputs(t testing.TB, folders ...string) {
	t.Helper()
	for _, folder := range folders {
		files, err := filepath.Glob(filepath.Join(folder, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if info, err := os.Stat(f); err != nil || info.Mode().IsRegular() {
				if _, err := os.ReadFile(f); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// Process is a running program. Its addresses are a real process's memory, so that a
// sanitizer sees where it ends. One goroutine uses it at a time.
type Process struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	w      *bufio.Writer
	r      *bufio.Reader
	stderr bytes.Buffer
	broken error // what ended it before its time, with what a sanitizer said
}

// Start runs a program that Build made until the test ends.
func Start(t testing.TB, program string) *Process {
	t.Helper()
	p := &Process{cmd: exec.Command(program)}
	p.cmd.Env = append(os.Environ(), "TSAN_OPTIONS=halt_on_error=1", "ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=0")
	p.cmd.Stderr = &p.stderr
	in, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.in, p.w, p.r = in, bufio.NewWriter(in), bufio.NewReader(out)
	t.Cleanup(p.stop)
	return p
}

func (p *Process) stop() {
	p.in.Close()
	if p.broken == nil {
		p.cmd.Wait()
	}
}

// Alloc returns the address of so many bytes, of any content.
func (p *Process) Alloc(n int) uint64 {
	p.ask('A', uint64(n))
	return p.number()
}

// Free frees what Alloc returned.
func (p *Process) Free(address uint64) { p.ask('F', address) }

// Write copies bytes to an address.
func (p *Process) Write(address uint64, data []byte) {
	p.ask('W', address, uint64(len(data)))
	p.w.Write(data)
}

// Read copies bytes from an address.
func (p *Process) Read(address uint64, data []byte) {
	p.ask('R', address, uint64(len(data)))
	p.receive(data)
}

// Launch runs a kernel and returns what was wrong with it: a deadlock, divergence, what a
// sanitizer said.
func (p *Process) Launch(kernel string, grid, block [3]int, args []uint64) error {
	p.ask('L')
	var name [32]byte
	copy(name[:], kernel)
	p.w.Write(name[:])
	for _, size := range [][3]int{grid, block} {
		for _, n := range size {
			p.put(uint64(n))
		}
	}
	p.put(uint64(len(args)))
	for _, a := range args {
		p.put(a)
	}
	text := make([]byte, p.number())
	p.receive(text)
	switch {
	case p.broken != nil:
		return p.broken
	case len(text) > 0:
		return errors.New(string(text))
	}
	return nil
}

// Order sets the order in which the next launches run blocks and threads: 0 ascending, -1
// descending, else shuffled by a seed.
func (p *Process) Order(order int) { p.ask('O', uint64(order)) }

// Plant plants a defect of sources that have some; 0: none.
func (p *Process) Plant(n int) { p.ask('P', uint64(n)) }

func (p *Process) ask(what byte, numbers ...uint64) {
	p.w.WriteByte(what)
	for _, n := range numbers {
		p.put(n)
	}
}

func (p *Process) put(n uint64) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], n)
	p.w.Write(b[:])
}

func (p *Process) number() uint64 {
	var b [8]byte
	p.receive(b[:])
	return binary.LittleEndian.Uint64(b[:])
}

// receive leaves zeros where the process has ended, and why in broken.
func (p *Process) receive(data []byte) {
	if p.broken == nil {
		p.w.Flush()
		if _, err := io.ReadFull(p.r, data); err == nil {
			return
		}
		p.cmd.Wait()
		p.broken = errors.New(summary(p.stderr.String()))
	}
	clear(data)
}

// summary is what a sanitizer's report says in a line or two.
func summary(report string) string {
	var lines []string
	for _, line := range strings.Split(report, "\n") {
		if strings.Contains(line, "SUMMARY") || strings.Contains(line, "runtime error") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	if len(lines) == 0 {
		return "the emulator ended: " + report
	}
	return strings.Join(lines, "; ")
}
