package cameratest

import (
	"context"
	"fmt"
	"net"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Port is a TCP port on loopback that is the test's until it ends: while nothing
// of the test's listens on it connections are refused, and nobody else gets it.
type Port struct{ Address string }

// HoldPort takes a free port.
func HoldPort(t testing.TB) Port {
	t.Helper()
	// A socket that is bound and does not listen keeps the port.
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := share(fd); err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	bound, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return Port{fmt.Sprint("127.0.0.1:", bound.(*unix.SockaddrInet4).Port)}
}

// share lets a socket be bound to a port beside others of this user that say the
// same.
func share(fd int) error {
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
}

// Listen listens on the port; it may be done again once the listener is closed.
func (p Port) Listen() (net.Listener, error) {
	l := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		if failed := c.Control(func(fd uintptr) { err = share(int(fd)) }); failed != nil {
			return failed
		}
		return err
	}}
	return l.Listen(context.Background(), "tcp", p.Address)
}
