package rtsp

import (
	"testing"

	"golang.org/x/sys/unix"
)

// pidfd is a file that can be read once a process has ended.
func pidfd(t *testing.T, pid int) int {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// mustEnd waits for the process's end.
func mustEnd(t *testing.T, fd int) {
	t.Helper()
	const limit = 60_000 // ms; it takes a few
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, limit)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n != 1 {
			t.Errorf("a process is left over: %v", err)
		}
		return
	}
}
