package mqtttest

import (
	"bufio"
	"dynvit/internal/needs"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Listener is the lines of mosquitto's configuration for an address of Reserve's.
func Listener(address string) string {
	host, port, _ := net.SplitHostPort(address)
	return fmt.Sprintf("listener %s %s\n", port, host)
}

// Mosquitto is Debian's broker with a configuration.
type Mosquitto struct {
	path, conf string
	process    *exec.Cmd
	drained    chan struct{} // closed when the process has ended and its log is read
}

// NewMosquitto writes a configuration; Start runs it. It runs as root where the
// test does, so that it reads the test's files.
func NewMosquitto(t testing.TB, configuration string) *Mosquitto {
	t.Helper()
	m := &Mosquitto{path: needs.Program(t, "mosquitto", "mosquitto"), conf: filepath.Join(t.TempDir(), "mosquitto.conf")}
	if err := os.WriteFile(m.conf, []byte(configuration+"user root\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Kill)
	return m
}

// RunMosquitto is NewMosquitto and Start.
func RunMosquitto(t testing.TB, configuration string) *Mosquitto {
	t.Helper()
	m := NewMosquitto(t, configuration)
	m.Start(t)
	return m
}

// Start runs the broker and waits until it is ready.
func (m *Mosquitto) Start(t testing.TB) {
	t.Helper()
	cmd := exec.Command(m.path, "-c", m.conf)
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	m.process, m.drained = cmd, make(chan struct{})
	ready := make(chan struct{})
	var said []string // until it is ready
	go func() {
		defer close(m.drained)
		started := false
		for lines := bufio.NewScanner(log); lines.Scan(); { // a full pipe would stop it
			if started {
				continue
			}
			said = append(said, lines.Text())
			if started = strings.HasSuffix(lines.Text(), " running"); started {
				close(ready)
			}
		}
		cmd.Wait()
	}()
	select {
	case <-ready:
	case <-m.drained:
		t.Fatalf("mosquitto did not start:\n%s", strings.Join(said, "\n"))
	}
}

// Kill ends it with SIGKILL, if it runs.
func (m *Mosquitto) Kill() { m.end(os.Kill) }

// Stop ends it with SIGTERM, so that it keeps its sessions.
func (m *Mosquitto) Stop() { m.end(syscall.SIGTERM) }

func (m *Mosquitto) end(signal os.Signal) {
	if m.process == nil {
		return
	}
	m.process.Process.Signal(signal)
	<-m.drained
	m.process = nil
}
