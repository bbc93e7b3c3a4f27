package main

import (
	"bufio"
	"bytes"
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"dynvit/daemon"
	"dynvit/messages"
)

// TestOutputLost: what could not be printed makes every command that prints fail.
func TestOutputLost(t *testing.T) {
	const full = "/dev/full"
	if info, err := os.Stat(full); err != nil || info.Mode().IsRegular() {
		t.Skip("needs /dev/full")
	}
	for _, args := range []string{
		"classify --json " + picture, "classify " + picture, "devices", "devices --json", "version", "config print", "config schema",
		"model list", "model info imagenette", "model verify imagenette",
	} {
		out, err := os.OpenFile(full, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		c := dynvitd(t, strings.Fields(args)...)
		var errs strings.Builder
		c.Stdout, c.Stderr = out, &errs
		c.Run() // its exit code says it
		out.Close()
		if code := c.ProcessState.ExitCode(); code != 1 || strings.Count(errs.String(), "\n") != 1 || !strings.Contains(errs.String(), "no space left") {
			t.Errorf("dynvitd %s: exit %d, stderr %q", args, code, &errs)
		}
	}
}

// TestAbout: the name comes once, whatever the error says itself.
func TestAbout(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{&fs.PathError{Op: "open", Path: "a.jpg", Err: syscall.ENOENT}, "classify a.jpg: no such file or directory"},
		{errors.New("a.jpg: neither JPEG nor PNG"), "classify a.jpg: neither JPEG nor PNG"},
		{errors.New("jpeg: ends early"), "classify a.jpg: jpeg: ends early"},
		{&fs.PathError{Op: "open", Path: "b.jpg", Err: syscall.ENOENT}, "classify a.jpg: open b.jpg: no such file or directory"},
	} {
		if got := about("classify", "a.jpg", c.err); got.Error() != c.want || !errors.Is(got, c.err) && !errors.Is(got, syscall.ENOENT) {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

// TestResultsNameTheEngine: each line carries what looked at its frame.
func TestResultsNameTheEngine(t *testing.T) {
	var text bytes.Buffer
	p := results{out: bufio.NewWriter(&text), encoders: map[messages.Engine]*messages.Encoder{}, json: true}
	for range 2 {
		p.show(&daemon.Result{
			Report: &messages.Report{Camera: "door", Captured: time.Now()},
			Engine: messages.Engine{Backend: "ref", Precision: "int8", Model: "fake"},
		})
	}
	if n := strings.Count(text.String(), `"backend":"ref","precision":"int8","model":"fake"}`+"\n"); n != 2 {
		t.Errorf("%d good lines: %s", n, &text)
	}
}
