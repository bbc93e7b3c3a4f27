package mqtttest

import (
	"net"
	"strconv"
	"syscall"
	"testing"
)

// Reserve returns a loopback address, 127.0.0.1 and a port, that belongs to the
// test until it ends: connections are refused until somebody listens, as a
// program that the test starts, and again when they have closed. The port is
// handed out to nobody else meanwhile, as that of a listener that was closed may
// be. Who listens must set SO_REUSEADDR, as Go's net and mosquitto do.
func Reserve(t testing.TB) string {
	t.Helper()
	address, release, err := reserve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return address
}

// reserve binds a socket and does not listen on it. The kernel lets others that
// set SO_REUSEADDR bind the same address by name, one of them listen on it, and
// passes it over where it chooses a port.
func reserve() (address string, release func(), err error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", nil, err
	}
	release = func() { syscall.Close(fd) }
	if err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err == nil {
		err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	var name syscall.Sockaddr
	if err == nil {
		name, err = syscall.Getsockname(fd)
	}
	if err != nil {
		release()
		return "", nil, err
	}
	port := name.(*syscall.SockaddrInet4).Port
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), release, nil
}

// hangUp closes l. A process that is being started holds copies of our sockets
// until it runs its program; shutting the socket down ends its listening for all
// of them, so that the address can be listened on at once.
func hangUp(l net.Listener) {
	if raw, err := l.(*net.TCPListener).SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { syscall.Shutdown(int(fd), syscall.SHUT_RDWR) })
	}
	l.Close()
}
