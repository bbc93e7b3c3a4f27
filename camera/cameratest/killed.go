package cameratest

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"dynvit/camera"
)

// killedEnv makes the test binary a daemon that is about to be killed.
const killedEnv = "DYNVIT_CAMERATEST_KILLED"

// Main is TestMain's body in a package that uses StartKilled.
func Main(m *testing.M, s camera.Scheme) {
	if uri := os.Getenv(killedEnv); uri != "" {
		readAndHang(s, uri)
	}
	os.Exit(m.Run())
}

// readAndHang reads a frame, says so, and keeps the source open until it is
// killed.
func readAndHang(s camera.Scheme, uri string) {
	source, err := camera.Schemes{s}.Open(uri, camera.Options{Stall: time.Minute})
	if err == nil {
		err = source.Next(context.Background(), new(camera.Frame))
	}
	fmt.Println("read:", err)
	time.Sleep(time.Minute)
	os.Exit(1)
}

// StartKilled starts a process that has read a frame and holds the source open, to
// be killed with Kill. The package's TestMain must call Main.
func StartKilled(t *testing.T, uri string) *os.Process {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), killedEnv+"="+uri)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Process.Kill() // fails where the test did
		c.Wait()
	})
	const want = "read: <nil>\n"
	line := make([]byte, len(want))
	if _, err := io.ReadFull(out, line); err != nil || string(line) != want {
		t.Fatalf("the daemon says %q, %v", line, err)
	}
	return c.Process
}
