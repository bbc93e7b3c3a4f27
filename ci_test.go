package dynvit_test

import (
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"dynvit/internal/needs"
)

// besides runs a script of .ci/beside's functions as .ci/run has them, and waits until all that
// it began has ended too: all of that holds the pipe. It returns what it said and its
// status. Once "up" comes over the pipe a script that reads is told to go on, or sent a signal.
func besides(t *testing.T, script string, signal syscall.Signal) (said string, status int) {
	t.Helper()
	if exec.Command("unshare", "--pid", "--fork", "--mount-proc", "true").Run() != nil {
		needs.Missing(t, "root, for a process namespace")
	}
	held, holds, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", ". .ci/beside\n"+script)
	cmd.ExtraFiles = []*os.File{holds}
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	holds.Close()
	if strings.Contains(script, "read;") {
		if _, err := io.ReadFull(held, make([]byte, len("up\n"))); err != nil {
			t.Fatal(err)
		}
		if signal != 0 {
			err = cmd.Process.Signal(signal)
		} else {
			_, err = io.WriteString(stdin, "go on\n")
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := io.Copy(io.Discard, held); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // its status says how it ended
	return out.String(), cmd.ProcessState.ExitCode()
}

// TestBeside: what runs beside other parts of .ci/run is shown once it is joined, fails the run where it
// fails, and ends with the run however that ends, children that left its process group too.
func TestBeside(t *testing.T) {
	const stays = "beside long sh -c 'setsid sleep 1000 & echo up >&3; sleep 1000'\n"
	for _, tt := range []struct {
		name, script string
		signal       syscall.Signal
		said         string
		status       int
	}{
		{"joined", "beside a echo of a; beside b echo of b; echo front; join b a; echo on", 0, "front\n--- b\nof b\n--- a\nof a\non\n", 0},
		{"fails", "beside a sh -c 'echo why; exit 7'; echo front; join a; echo not on", 0, "front\n--- a\nwhy\n", 7},
		{"one of two fails", "beside a sh -c 'exit 7'; beside b echo of b; join a b; echo not on", 0, "--- a\n--- b\nof b\n", 7},
		{"cannot be run", "beside a ./nothing; join a; echo not on", 0, "--- a\nunshare: failed to execute ./nothing: No such file or directory\n", 127},
		{"the run fails", stays + "read; sh -c 'exit 3'; echo not on", 0, "", 3},
		{"the run fails at a join", stays + "read; beside a sh -c 'exit 7'; join a; echo not on", 0, "--- a\n", 7},
		{"the run is ended", stays + "read; echo not on", syscall.SIGTERM, "", -1},
		{"reads nothing of the run's", "beside a cat; join a", 0, "--- a\n", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			said, status := besides(t, tt.script, tt.signal)
			if said != tt.said || status != tt.status {
				t.Errorf("status %d, want %d; it said\n%s\nwant\n%s", status, tt.status, said, tt.said)
			}
		})
	}
}
