package systemd

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// manager is the service manager's end of the socket.
type manager struct {
	t    *testing.T
	name string
	conn *net.UnixConn
}

// listen opens a socket as systemd does, in the file system or abstract.
func listen(t *testing.T, abstract bool) *manager {
	t.Helper()
	name := filepath.Join(t.TempDir(), "notify")
	if abstract {
		name = fmt.Sprintf("@dynvit-test-%d-%s", os.Getpid(), strings.ReplaceAll(t.Name(), "/", "-"))
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &manager{t, name, conn}
}

// environment is what systemd gives to the daemon, with pairs in addition.
func (m *manager) environment(pairs ...string) func(string) string {
	env := map[string]string{"NOTIFY_SOCKET": m.name}
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	return func(name string) string { return env[name] }
}

func (m *manager) notifier(pairs ...string) *Notifier {
	m.t.Helper()
	n, err := New(m.environment(pairs...))
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { n.Close() })
	return n
}

// drain returns the messages that lie in the socket, without waiting: a
// datagram is there as soon as the notifier has returned.
func (m *manager) drain() []string {
	m.t.Helper()
	raw, err := m.conn.SyscallConn()
	if err != nil {
		m.t.Fatal(err)
	}
	var list []string
	buf := make([]byte, 4096)
	raw.Read(func(fd uintptr) bool {
		for {
			n, _, err := syscall.Recvfrom(int(fd), buf, syscall.MSG_DONTWAIT)
			if err != nil {
				return true
			}
			list = append(list, string(buf[:n]))
		}
	})
	return list
}

func (m *manager) want(want ...string) {
	m.t.Helper()
	if got := m.drain(); !slices.Equal(got, want) {
		m.t.Errorf("the manager got %q, want %q", got, want)
	}
}

func TestNotifier(t *testing.T) {
	for _, abstract := range []bool{false, true} {
		t.Run(fmt.Sprintf("abstract=%v", abstract), func(t *testing.T) {
			m := listen(t, abstract)
			n := m.notifier()
			calls := []func() error{
				func() error { return n.Ready("imagenette on avx512, waiting for a camera") },
				n.Watchdog,
				n.Reloading,
				func() error { return n.Status("two\nlines\x00") },
				n.Stopping,
			}
			for i, call := range calls {
				if err := call(); err != nil {
					t.Errorf("call %d: %v", i, err)
				}
			}
			list := m.drain()
			if len(list) == 5 { // its time is the clock's
				var usec int64
				if _, err := fmt.Sscanf(list[2], "RELOADING=1\nMONOTONIC_USEC=%d", &usec); err != nil || usec <= 0 {
					t.Errorf("reloading: %q", list[2])
				}
				list = slices.Delete(list, 2, 3)
			}
			if want := []string{"READY=1\nSTATUS=imagenette on avx512, waiting for a camera", "WATCHDOG=1", "STATUS=two lines", "STOPPING=1"}; !slices.Equal(list, want) {
				t.Errorf("the manager got %q, want %q", list, want)
			}
			n.Status(strings.Repeat("ü", 600))
			if got := m.drain(); len(got) != 1 || len(got[0]) > 600 || !strings.HasSuffix(got[0], "ü") {
				t.Errorf("a long status arrived as %q", got)
			}
		})
	}
}

func TestNotifierWithoutManager(t *testing.T) {
	n, err := New(func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	if n.WatchdogInterval() != 0 {
		t.Errorf("watchdog %v without a manager", n.WatchdogInterval())
	}
	for i, err := range []error{n.Ready("x"), n.Status("x"), n.Watchdog(), n.Reloading(), n.Stopping(), n.Close()} {
		if err != nil {
			t.Errorf("call %d: %v", i, err)
		}
	}
}

func TestWatchdogInterval(t *testing.T) {
	own := fmt.Sprint("WATCHDOG_PID=", os.Getpid())
	tests := []struct {
		env  []string
		want time.Duration
	}{
		{nil, 0},
		{[]string{"WATCHDOG_USEC=30000000"}, 30 * time.Second},
		{[]string{"WATCHDOG_USEC=30000000", own}, 30 * time.Second},
		{[]string{"WATCHDOG_USEC=30000000", "WATCHDOG_PID=1"}, 0},
	}
	m := listen(t, false)
	for _, tt := range tests {
		if got := m.notifier(tt.env...).WatchdogInterval(); got != tt.want {
			t.Errorf("%q: %v, want %v", tt.env, got, tt.want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	m := listen(t, false)
	tests := []struct{ pair, want string }{
		{"NOTIFY_SOCKET=vsock:2:1234", "neither a path nor an abstract name"},
		{"NOTIFY_SOCKET=" + m.name + ".absent", "no such file"},
		{"WATCHDOG_USEC=soon", "WATCHDOG_USEC"},
		{"WATCHDOG_USEC=0", "WATCHDOG_USEC"},
		{"WATCHDOG_USEC=-1", "WATCHDOG_USEC"},
		{"WATCHDOG_USEC=9223372036854775807", "WATCHDOG_USEC"},
	}
	for _, tt := range tests {
		if _, err := New(m.environment(tt.pair)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want ...%s...", tt.pair, err, tt.want)
		}
	}
}

func TestNotifierReportsAManagerThatIsGone(t *testing.T) {
	m := listen(t, false)
	n := m.notifier()
	m.conn.Close()
	if err := n.Watchdog(); err == nil || !strings.HasPrefix(err.Error(), "systemd: notify WATCHDOG: ") {
		t.Errorf("%v, want an error that names the notification", err)
	}
}

func TestNotifierDoesNotHangOnAManagerThatDoesNotRead(t *testing.T) {
	n := listen(t, false).notifier()
	for range 1 << 16 { // until the socket is full
		if err := n.Watchdog(); err != nil {
			if !strings.Contains(err.Error(), "timeout") {
				t.Errorf("%v, want a time-out", err)
			}
			return
		}
	}
	t.Skip("the socket took 65536 messages")
}
