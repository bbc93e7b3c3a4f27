package child

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"dynvit/orphans"
	"dynvit/regular"
)

// process is a supervised program whose standard output we read. It leads a
// process group of its own, which is killed as a whole when the child ends or is
// killed, and dies with the daemon.
type process struct {
	name   string
	in     *os.File // write end of its standard input; nil where it has none
	out    *os.File // read end of its standard output
	stderr tail     // the last of its standard error
	exited chan struct{}
	status error // of the program; to be read after exited

	mu    sync.Mutex
	group int // process group; 0 once the leader may be reaped
}

// start runs words[0], which must be a path, with the rest as arguments.
// fed says that we write to its standard input, which else is empty; hide is what
// is not shown of its standard error.
func start(name string, words []string, fed bool, hide *strings.Replacer, log *slog.Logger) (*process, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	defer w.Close()
	c := &process{name: name, out: r, exited: make(chan struct{})}
	c.stderr.hide = hide
	c.stderr.told = newTeller(log, name, hide)
	cmd := exec.Command(words[0], words[1:]...)
	if fed {
		in, err := c.feed(cmd)
		if err != nil {
			r.Close()
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		defer in.Close()
	}
	cmd.Stdout = w
	cmd.Stderr = &c.stderr
	// What left the group and still holds standard error is not waited for.
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go c.supervise(cmd, started)
	if err := <-started; err != nil {
		c.closePipes()
		return nil, fmt.Errorf("%s: %w", name, regular.Pathless(err))
	}
	return c, nil
}

// feed gives the program a standard input and returns its end of it, to be closed
// once it has started.
func (c *process) feed(cmd *exec.Cmd) (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdin, c.in = r, w
	return r, nil
}

func (c *process) closePipes() {
	c.out.Close()
	if c.in != nil {
		c.in.Close()
	}
}

// supervise starts the program and waits for it, on one operating system thread:
// the kernel sends Pdeathsig when the thread that started the child ends, which
// for a thread of ours must not be before the child does.
func (c *process) supervise(cmd *exec.Cmd, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := orphans.Start(cmd); err != nil {
		started <- err
		return
	}
	c.group = cmd.Process.Pid
	started <- nil
	waitUnreaped(cmd.Process.Pid)
	// The leader is a zombie now, so its number still names its group and nothing
	// else: the last moment to end what it left behind.
	c.kill()
	c.mu.Lock()
	c.group = 0
	c.mu.Unlock()
	c.status = cmd.Wait()
	orphans.Waited(cmd)
	if errors.Is(c.status, exec.ErrWaitDelay) {
		c.status = nil // it ended well; another holds its standard error
	}
	close(c.exited)
}

// waitUnreaped blocks until the process has ended, without reaping it.
func waitUnreaped(pid int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// kill ends the whole group, if its leader has not been reaped.
func (c *process) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.group != 0 {
		syscall.Kill(-c.group, syscall.SIGKILL) // fails only if all have ended
	}
}

// close kills the child and waits until it is reaped. It may be called twice and
// unblocks a Read.
func (c *process) close() {
	c.kill()
	<-c.exited
	c.closePipes()
}

// Read reads standard output; see await for how long it waits.
func (c *process) Read(p []byte) (int, error) { return c.out.Read(p) }

// ErrNoFrame is what a child that is silent for too long fails with.
var ErrNoFrame = errors.New("no frame")

// await runs exchange, which reads from c and may write to it, for at most d and
// as long as ctx lasts. When it fails, the child is no use any more.
func (c *process) await(ctx context.Context, d time.Duration, exchange func() error) error {
	if err := c.deadline(time.Now().Add(d)); err != nil {
		return err
	}
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		c.deadline(time.Unix(1, 0)) // fails only once closed
		close(interrupted)
	})
	err := exchange()
	if !stop() {
		<-interrupted
		return ctx.Err()
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%s: %w in %v%s", c.name, ErrNoFrame, d, c.stderr.suffix())
	}
	return err
}

// deadline ends every read and write at t.
func (c *process) deadline(t time.Time) error {
	if c.in != nil {
		if err := c.in.SetWriteDeadline(t); err != nil {
			return err
		}
	}
	return c.out.SetReadDeadline(t)
}

// finish says how the child ended after its output has: io.EOF for status 0,
// else the status and the last line of standard error. A child that closes its
// output without ending is given until d.
func (c *process) finish(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-c.exited:
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return fmt.Errorf("%s: closed its output but did not end in %v%s", c.name, d, c.stderr.suffix())
	}
	if c.status != nil {
		return fmt.Errorf("%s: %w%s", c.name, c.status, c.stderr.suffix())
	}
	return io.EOF
}
