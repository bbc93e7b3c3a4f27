package v4l2

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// videoNode is an open video device, as far as we use one. A test's stands in
// for the kernel. One goroutine uses it at a time, but for wake.
type videoNode interface {
	// ioctl passes a request of abi.go with its structure; errors are the
	// kernel's (unix.Errno). It never waits for a frame.
	ioctl(request uintptr, arg unsafe.Pointer) error
	// mmap makes a buffer's memory visible, munmap hides it again.
	mmap(offset int64, length int) ([]byte, error)
	munmap(memory []byte) error
	// wait blocks until a buffer or an event can be fetched, the device is gone,
	// wake is called or d has passed; it may return early for nothing.
	wait(d time.Duration) (readiness, error)
	// wake makes a wait return, the present one or else the next. Any goroutine
	// may call it, also after close.
	wake()
	// monotonic is the clock of the buffers' time stamps.
	monotonic() time.Duration
	close() error
}

// readiness is what wait found.
type readiness uint8

const (
	readyBuffer readiness = 1 << iota
	readyEvent
	readyError // the device is gone or its queue has failed
)

// v4l2Major is the device number of all video devices.
const v4l2Major = 81

// node is a video device of the kernel.
type node struct {
	fd   int
	poll [2]unix.PollFd // the device, and what wake writes to

	mu     sync.Mutex // for wake
	waker  int        // an eventfd
	closed bool
}

// openNode opens a device file. Nothing else is ever opened: that alone has
// effects on some devices (a watchdog, a tape).
func openNode(path string) (videoNode, error) {
	var info unix.Stat_t
	if err := unix.Stat(path, &info); err != nil {
		return nil, err
	}
	if info.Mode&unix.S_IFMT != unix.S_IFCHR || unix.Major(uint64(info.Rdev)) != v4l2Major {
		return nil, errors.New("not a video device")
	}
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return newNode(fd)
}

// newNode takes fd over.
func newNode(fd int) (*node, error) {
	waker, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	n := &node{fd: fd, waker: waker}
	n.poll[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN | unix.POLLPRI}
	n.poll[1] = unix.PollFd{Fd: int32(waker), Events: unix.POLLIN}
	return n, nil
}

func (n *node) ioctl(request uintptr, arg unsafe.Pointer) error {
	for {
		_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(n.fd), request, uintptr(arg))
		switch e {
		case 0:
			return nil
		case unix.EINTR:
			continue
		}
		return e
	}
}

func (n *node) mmap(offset int64, length int) ([]byte, error) {
	return unix.Mmap(n.fd, offset, length, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}

func (n *node) munmap(memory []byte) error { return unix.Munmap(memory) }

func (n *node) wait(d time.Duration) (readiness, error) {
	milliseconds := max(0, (d+time.Millisecond-1)/time.Millisecond)
	_, err := unix.Poll(n.poll[:], int(milliseconds))
	if err == unix.EINTR {
		return 0, nil
	}
	if err != nil {
		return 0, os.NewSyscallError("poll", err)
	}
	if n.poll[1].Revents != 0 {
		var count [8]byte
		unix.Read(n.waker, count[:]) // back to 0; it cannot fail but for that
	}
	return readinessOf(n.poll[0].Revents), nil
}

func readinessOf(events int16) (r readiness) {
	if events&unix.POLLIN != 0 {
		r |= readyBuffer
	}
	if events&unix.POLLPRI != 0 {
		r |= readyEvent
	}
	if events&(unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) != 0 {
		r |= readyError
	}
	return r
}

func (n *node) wake() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return // the number may be another file's by now
	}
	unix.Write(n.waker, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // fails only when it is awake already
}

func (n *node) monotonic() time.Duration {
	var t unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) // never fails
	return time.Duration(t.Nano())
}

func (n *node) close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	unix.Close(n.waker)
	return os.NewSyscallError("close", unix.Close(n.fd))
}
