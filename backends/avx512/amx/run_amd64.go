package amx

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"dynvit/internal/needs"
)

// marker is the variable that tells a test that it is Run's.
const marker = "AMX_INTERPRETED"

// Interpreted: this test runs in a process whose AMX is executed by Run.
func Interpreted() bool { return os.Getenv(marker) != "" }

// Run runs the tests of that name of this binary in a process of their own, in which
// AMX works, and reports how often each of its instructions was executed.
func Run(t *testing.T, name string) (executed map[string]int) {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "output"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	child := exec.Command(os.Args[0], "-test.run", "^"+name+"$", "-test.count", "1")
	child.Env = append(os.Environ(), marker+"=1")
	child.Stdout, child.Stderr = out, out
	child.SysProcAttr = &syscall.SysProcAttr{Ptrace: true, Pdeathsig: syscall.SIGKILL}
	tr := tracer{states: map[int]*State{}, executed: map[string]int{}}
	done := make(chan error)
	go func() { done <- tr.run(child) }()
	err = <-done
	text, _ := os.ReadFile(out.Name())
	switch {
	case errors.Is(err, errNoTrace):
		needs.Missing(t, err.Error())
	case err != nil:
		t.Fatalf("%v\n%s", err, text)
	}
	return tr.executed
}

var errNoTrace = errors.New("a process that may trace another")

// tracer executes the AMX of a process.
type tracer struct {
	pid      int
	states   map[int]*State // by thread
	executed map[string]int // by instruction
	left     bool           // a thread ended with tiles that were not released
}

// run starts the child, and returns when it has ended: with nil where it exited with 0. All
// orders to a traced thread come from the thread that traces, which ends with the goroutine.
func (tr *tracer) run(child *exec.Cmd) error {
	runtime.LockOSThread()
	if err := child.Start(); err != nil {
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) {
			return fmt.Errorf("%w: %v", errNoTrace, err)
		}
		return err
	}
	tr.pid = child.Process.Pid
	err := tr.follow()
	if err != nil {
		unix.Kill(tr.pid, unix.SIGKILL)
		for tr.follow() == nil {
		}
	}
	return err
}

// follow waits for the child's threads until it has ended or one does what it may not.
func (tr *tracer) follow() error {
	for {
		var status unix.WaitStatus
		tid, err := unix.Wait4(-1, &status, unix.WALL|unix.WNOTHREAD, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return fmt.Errorf("wait: %w", err)
		case status.Exited() || status.Signaled():
			if err := tr.ended(tid, status); tid == tr.pid {
				return err
			}
		case status.Stopped():
			if err := tr.stopped(tid, status); err != nil {
				return err
			}
		}
	}
}

func (tr *tracer) ended(tid int, status unix.WaitStatus) error {
	if s := tr.states[tid]; s != nil && s.configured {
		tr.left = true
	}
	delete(tr.states, tid)
	switch {
	case tid != tr.pid:
		return nil
	case !status.Exited() || status.ExitStatus() != 0:
		return fmt.Errorf("the tests ended with status %d, signal %d", status.ExitStatus(), status.Signal())
	case tr.left:
		return errors.New("a thread ends with tiles that were not released")
	}
	return nil
}

// stopped has a thread go on: behind the instructions that were executed here, or with the
// signal that stopped it, where that is not of tracing.
func (tr *tracer) stopped(tid int, status unix.WaitStatus) error {
	if tr.states[tid] == nil {
		tr.states[tid] = &State{}
		if tid == tr.pid {
			if err := unix.PtraceSetOptions(tid, unix.PTRACE_O_TRACECLONE|unix.PTRACE_O_EXITKILL); err != nil {
				return fmt.Errorf("%w: %v", errNoTrace, err)
			}
		}
	}
	signal := status.StopSignal()
	switch signal {
	case unix.SIGTRAP, unix.SIGSTOP:
		signal = 0
	case unix.SIGILL:
		known, err := tr.execute(tid)
		if err != nil {
			return err
		}
		if known {
			signal = 0
		}
	}
	if err := unix.PtraceCont(tid, int(signal)); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("continue: %w", err)
	}
	return nil
}

// execute does the instructions that a thread stands before, as long as they are AMX's.
func (tr *tracer) execute(tid int) (known bool, err error) {
	var r unix.PtraceRegs
	if err := unix.PtraceGetRegs(tid, &r); err != nil {
		return false, fmt.Errorf("registers: %w", err)
	}
	general := [...]uint64{r.Rax, r.Rcx, r.Rdx, r.Rbx, r.Rsp, r.Rbp, r.Rsi, r.Rdi, r.R8, r.R9, r.R10, r.R11, r.R12, r.R13, r.R14, r.R15}
	memory := processMemory(tr.pid)
	for {
		code := make([]byte, 8)
		if err := memory.Read(r.Rip, code); err != nil {
			return known, err
		}
		i, ok := Decode(code)
		if !ok {
			break
		}
		if err := tr.states[tid].Do(i, memory, func(n int) uint64 { return general[n] }); err != nil {
			return known, err
		}
		tr.executed[i.Op]++
		r.Rip += uint64(i.length)
		known = true
	}
	if !known {
		return false, nil
	}
	if err := unix.PtraceSetRegs(tid, &r); err != nil {
		return true, fmt.Errorf("registers: %w", err)
	}
	return true, nil
}

// processMemory is that of a process, by its number.
type processMemory int

func (pid processMemory) Read(address uint64, p []byte) error {
	return transfer(unix.ProcessVMReadv, int(pid), address, p)
}

func (pid processMemory) Write(address uint64, p []byte) error {
	return transfer(unix.ProcessVMWritev, int(pid), address, p)
}

func transfer(call func(int, []unix.Iovec, []unix.RemoteIovec, uint) (int, error), pid int, address uint64, p []byte) error {
	local := unix.Iovec{Base: &p[0]}
	local.SetLen(len(p))
	n, err := call(pid, []unix.Iovec{local}, []unix.RemoteIovec{{Base: uintptr(address), Len: len(p)}}, 0)
	if err == nil && n < len(p) {
		err = unix.EFAULT
	}
	if err != nil {
		return fmt.Errorf("%d bytes at %#x: %w", len(p), address, err)
	}
	return nil
}
