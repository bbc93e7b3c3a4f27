package command_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"dynvit/camera"
	"dynvit/camera/cameratest"
	"dynvit/camera/command"
)

// open opens a source that the test closes.
func open(t testing.TB, uri string, o camera.Options) camera.Source {
	t.Helper()
	return cameratest.Open(t, command.Scheme(), uri, o)
}

// shell is the source of a shell script, run in a folder with the picture p.jpg.
func shell(t testing.TB, script string) (uri, folder string) {
	t.Helper()
	folder = t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "p.jpg"), cameratest.Still(t, 9), 0o644); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("exec:sh -c 'cd %s; %s'", folder, script), folder
}

func TestCommandConforms(t *testing.T) {
	for _, script := range []string{
		"while :; do cat p.jpg; done",
		"cat p.jpg p.jpg p.jpg p.jpg; exec sleep 1000",
	} {
		cameratest.Conform(t, func(t *testing.T) camera.Source {
			uri, _ := shell(t, script)
			return open(t, uri, camera.Options{})
		})
	}
	uri, _ := shell(t, "cat p.jpg p.jpg p.jpg")
	cameratest.ConformEnd(t, open(t, uri, camera.Options{}), 3)
}

// TestCommandHidesItsOptions: what the options are given is not shown where the command
// says it itself, and what helps to find the mistake is.
func TestCommandHidesItsOptions(t *testing.T) {
	for args, want := range map[string]string{
		"--key=hunter22 -u me:hunter22":        "--key=*** -u ***",
		"password=hunter22 --password hunter2": "password=*** --password ***",
		"videotestsrc --device /dev/video7":    "videotestsrc --device /dev/video7",
		"-q --width 640 --height=480":          "-q --width 640 --height=480",
		"--a=hunter2 --b=hunter2hunter2":       "--a=*** --b=***",
	} {
		s := open(t, `exec:sh -c 'echo "$@" >&2; exit 1' sh `+args, camera.Options{})
		if err := s.Next(t.Context(), new(camera.Frame)); err == nil || err.Error() != "exec:sh: exit status 1: "+want {
			t.Errorf("%s: %v", args, err)
		}
	}
}

func TestCommandErrors(t *testing.T) {
	for _, c := range []struct{ name, script, want string }{
		{"status", "cat p.jpg; echo first >&2; echo lost camera >&2; exit 3", "exec:sh: exit status 3: lost camera"},
		{"progress line", `cat p.jpg; printf "10\\r20\\r" >&2; exit 1`, "exec:sh: exit status 1: 20"},
		{"secrets", `cat p.jpg; echo "cannot open rtsp://me:s3cret@cam/x?pwd=s3cret now" >&2; exit 1`, "exec:sh: exit status 1: cannot open rtsp://***@cam/x?*** now"},
		{"silent", "cat p.jpg; exit 1", "exec:sh: exit status 1"},
		{"much on standard error", "cat p.jpg; seq 100000 >&2; exit 1", "exec:sh: exit status 1: 100000"},
		{"signal", "cat p.jpg; kill -TERM $$", "exec:sh: signal: terminated"},
		{"cut picture", "cat p.jpg; head -c 100 p.jpg; exit 4", "exec:sh: exit status 4"},
		{"stall", "cat p.jpg; echo waiting >&2; exec sleep 1000", "exec:sh: no frame in 3s: waiting"},
		{"stall in a picture", "cat p.jpg; head -c 100 p.jpg; exec sleep 1000", "exec:sh: no frame in 3s"},
		{"closed output", "cat p.jpg; exec >&-; exec sleep 1000", "exec:sh: closed its output but did not end in 3s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // some wait for the stall, which is long enough for a shell to start beside other work
			uri, _ := shell(t, c.script)
			o := camera.Options{}
			if strings.Contains(c.want, " in 3s") {
				o.Stall = 3 * time.Second
			}
			s := open(t, uri, o)
			var f camera.Frame
			if err := s.Next(t.Context(), &f); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := s.Next(t.Context(), &f); err == nil || err.Error() != c.want {
					t.Errorf("%v, want %s", err, c.want)
				}
			}
		})
	}
}

// A program that ends well without a picture is a source that has ended.
func TestCommandWithoutPictures(t *testing.T) {
	s := open(t, "exec:true", camera.Options{})
	cameratest.ConformEnd(t, s, 0)
}

func TestCommandThatCannotStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "grab")
	if err := os.WriteFile(path, []byte("\x7fELF, but broken"), 0o755); err != nil {
		t.Fatal(err)
	}
	s := open(t, "exec:"+path, camera.Options{})
	want := "exec:" + path + ": exec format error"
	if err := s.Next(t.Context(), new(camera.Frame)); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// alive is a pipe that a child's descendants hold open: reading it ends when all
// have.
func alive(t *testing.T, folder string) *os.File {
	t.Helper()
	path := filepath.Join(folder, "alive")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// mustDie waits for the end of what holds the pipe.
func mustDie(t *testing.T, held *os.File) {
	t.Helper()
	if err := held.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, held); err != nil {
		t.Errorf("a process is left over: %v", err)
	}
}

func TestCloseKillsTheWholeGroup(t *testing.T) {
	uri, folder := shell(t, "exec 3>alive; sleep 1000 & (sleep 1000 & wait) & cat p.jpg; wait")
	held := alive(t, folder)
	s := open(t, uri, camera.Options{})
	if err := s.Next(t.Context(), new(camera.Frame)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	mustDie(t, held)
}

func TestCancelKillsTheWholeGroup(t *testing.T) {
	uri, folder := shell(t, "exec 3>alive; sleep 1000 & cat p.jpg; wait")
	held := alive(t, folder)
	s := open(t, uri, camera.Options{})
	if err := s.Next(t.Context(), new(camera.Frame)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := s.Next(ctx, new(camera.Frame)); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	mustDie(t, held)
	// And the source is good for another try.
	if err := s.Next(t.Context(), new(camera.Frame)); err != nil {
		t.Error(err)
	}
}

// What a program leaves behind when it ends goes with it.
func TestEndKillsWhatIsLeft(t *testing.T) {
	uri, folder := shell(t, "exec 3>alive; sleep 1000 & cat p.jpg")
	held := alive(t, folder)
	s := open(t, uri, camera.Options{})
	cameratest.ConformEnd(t, s, 1)
	mustDie(t, held)
}

func TestMain(m *testing.M) { cameratest.Main(m, command.Scheme()) }

func TestChildDiesWithTheDaemon(t *testing.T) {
	uri, folder := shell(t, "exec 3>alive; cat p.jpg; exec sleep 1000")
	held := alive(t, folder)
	if err := cameratest.StartKilled(t, uri).Kill(); err != nil {
		t.Fatal(err)
	}
	mustDie(t, held)
}
