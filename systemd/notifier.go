package systemd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// notifyTimeout bounds a notification: the manager reads its socket when it
// gets to it, and a full one would block.
const notifyTimeout = time.Second

// maxStatus is where a status line is cut, in bytes. systemd reads datagrams of
// a page.
const maxStatus = 512

// Notifier sends sd_notify messages
// (https://www.freedesktop.org/software/systemd/man/sd_notify.html). Without a
// service manager, and in the zero Notifier, all methods do nothing and return
// nil. They may be called from several goroutines at once.
type Notifier struct {
	conn     *net.UnixConn // nil: no manager listens
	interval time.Duration
}

// New connects to the service manager that the environment names: NOTIFY_SOCKET,
// WATCHDOG_USEC and WATCHDOG_PID. getenv is os.Getenv but in tests. Variables
// that make no sense are an error; none at all is not.
func New(getenv func(string) string) (*Notifier, error) {
	interval, err := watchdogInterval(getenv)
	if err != nil {
		return nil, err
	}
	conn, err := dial(getenv("NOTIFY_SOCKET"))
	if err != nil || conn == nil {
		return &Notifier{}, err
	}
	return &Notifier{conn: conn, interval: interval}, nil
}

// dial opens the socket at path, which may be in the abstract name space (@).
func dial(path string) (*net.UnixConn, error) {
	if path == "" {
		return nil, nil
	}
	if path[0] != '/' && path[0] != '@' {
		return nil, fmt.Errorf("systemd: NOTIFY_SOCKET %q is neither a path nor an abstract name", path)
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("systemd: NOTIFY_SOCKET: %w", err)
	}
	return conn, nil
}

// watchdogInterval is what sd_watchdog_enabled(3) computes, 0 for no watchdog.
func watchdogInterval(getenv func(string) string) (time.Duration, error) {
	text := getenv("WATCHDOG_USEC")
	if text == "" {
		return 0, nil
	}
	usec, err := strconv.ParseInt(text, 10, 64)
	if err != nil || usec <= 0 || usec > int64(24*time.Hour/time.Microsecond) {
		return 0, fmt.Errorf("systemd: WATCHDOG_USEC %q is not a number of microseconds up to a day", text)
	}
	if pid := getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0, nil // meant for our parent
	}
	return time.Duration(usec) * time.Microsecond, nil
}

// WatchdogInterval is how long the manager waits for Watchdog before it kills
// the daemon; 0 means that it does not watch.
func (n *Notifier) WatchdogInterval() time.Duration { return n.interval }

// Ready says that the daemon is up, with a first status line.
func (n *Notifier) Ready(status string) error { return n.send("READY=1\nSTATUS=" + oneLine(status)) }

// Reloading says that the configuration is being read anew, to which Ready is the
// end. Its time tells the manager which request to reload it answers.
func (n *Notifier) Reloading() error {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return fmt.Errorf("systemd: notify RELOADING: %w", err)
	}
	return n.send(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", now.Nano()/1000))
}

// Status replaces the line that systemctl status shows.
func (n *Notifier) Status(status string) error { return n.send("STATUS=" + oneLine(status)) }

// Stopping says that the daemon is on its way down.
func (n *Notifier) Stopping() error { return n.send("STOPPING=1") }

// Watchdog says that the daemon is alive.
func (n *Notifier) Watchdog() error { return n.send("WATCHDOG=1") }

// Close closes the socket. Notifications fail from then on.
func (n *Notifier) Close() error {
	if n.conn == nil {
		return nil
	}
	return n.conn.Close()
}

func (n *Notifier) send(message string) error {
	if n.conn == nil {
		return nil
	}
	err := n.conn.SetWriteDeadline(time.Now().Add(notifyTimeout))
	if err == nil {
		_, err = n.conn.Write([]byte(message))
	}
	if err == nil {
		return nil
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err // without the socket's name, which says nothing
	}
	name, _, _ := strings.Cut(message, "=")
	return fmt.Errorf("systemd: notify %s: %w", name, err)
}

// oneLine keeps a status from becoming further assignments.
func oneLine(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r < ' ' }), " ")
	if len(s) > maxStatus {
		s = strings.ToValidUTF8(s[:maxStatus], "")
	}
	return s
}
