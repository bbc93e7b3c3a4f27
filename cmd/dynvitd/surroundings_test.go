package main

import (
	"bufio"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// drawnRun is a daemon that needs nothing from outside and does not calibrate.
func drawnRun(args ...string) []string {
	return append([]string{"run", "--node", "box", "--source", "test:?fps=10", "--keep", "0.7", "--broker", "mqtt://127.0.0.1:1"}, args...)
}

// TestRunOutlivesHangup: SIGHUP ends no daemon, before it is ready or later. Without
// a file it does nothing else.
func TestRunOutlivesHangup(t *testing.T) {
	d := start(t, dynvitd(t, drawnRun()...))
	d.await("msg=ready")
	for range 2 {
		d.Process.Signal(syscall.SIGHUP)
	}
	d.await("SIGHUP ignored")
	d.await("cam0  .* ms, tokens")
	d.Process.Signal(syscall.SIGTERM)
	if code := d.end(); code != 0 {
		t.Errorf("exit %d", code)
	}
}

// TestRunEndsWithItsReader: `run --json | head -1` ends, orderly.
func TestRunEndsWithItsReader(t *testing.T) {
	for _, args := range [][]string{{"--json"}, nil} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		c := dynvitd(t, drawnRun(args...)...)
		c.Stdout, c.Stderr = w, new(strings.Builder)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		w.Close()
		if line, err := bufio.NewReader(r).ReadString('\n'); err != nil {
			t.Errorf("first line %q: %v", line, err)
		}
		r.Close()
		if err := c.Wait(); err != nil || !strings.Contains(c.Stderr.(*strings.Builder).String(), "stdout was closed") {
			t.Errorf("%v: %v\n%s", args, err, c.Stderr)
		}
	}
}

// TestForeignServiceManager: what the environment says of a service manager may
// be meant for another; the daemon does without, and says so.
func TestForeignServiceManager(t *testing.T) {
	for _, variable := range []string{"NOTIFY_SOCKET=/nowhere/notify.sock", "NOTIFY_SOCKET=vsock:2:1234", "NOTIFY_SOCKET=@nobody", "WATCHDOG_USEC=soon"} {
		c := dynvitd(t, drawnRun()...)
		c.Env = append(c.Env, variable)
		d := start(t, c)
		d.await("service manager not told.*" + variable[:8])
		d.await("msg=ready")
		d.Process.Signal(syscall.SIGTERM)
		if code := d.end(); code != 0 {
			t.Errorf("%s: exit %d", variable, code)
		}
	}
}

// TestNothingIsKeptWithoutAHome, least of all in the working directory.
func TestNothingIsKeptWithoutAHome(t *testing.T) {
	unset := []string{"HOME", "STATE_DIRECTORY", "XDG_STATE_HOME", "XDG_DATA_HOME", "DYNVIT_MODELS"}
	for _, home := range []string{"", "HOME=", "HOME=relative", "XDG_STATE_HOME=relative"} {
		c := dynvitd(t, "run", "--node", "box", "--source", "test:?fps=10", "--broker", "mqtt://127.0.0.1:1")
		c.Env = append(slices.DeleteFunc(c.Env, func(entry string) bool {
			name, _, _ := strings.Cut(entry, "=")
			return slices.Contains(unset, name)
		}), home)
		c.Dir = t.TempDir()
		d := start(t, c)
		d.await("nothing outlives a restart")
		d.await("cam0  .* ms, tokens")
		d.Process.Signal(syscall.SIGTERM)
		if code := d.end(); code != 0 {
			t.Errorf("%q: exit %d", home, code)
		}
		if left, err := filepath.Glob(c.Dir + "/*"); err != nil || len(left) > 0 {
			t.Errorf("%q: left %v, %v", home, left, err)
		}
		if left, err := filepath.Glob(c.Dir + "/.[a-z]*"); err != nil || len(left) > 0 {
			t.Errorf("%q: left %v, %v", home, left, err)
		}
	}
}
