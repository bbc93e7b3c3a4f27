package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"dynvit/internal/needs"
)

// TestEmulatedRun: the static binary for 64-bit Arm, started with nothing beside it on each
// processor that EMULATED_CPUS names, looks at photos again and again, and publishes over
// its broker what this machine does of the same ones.
func TestEmulatedRun(t *testing.T) {
	cpus := strings.Fields(os.Getenv("EMULATED_CPUS"))
	if len(cpus) == 0 {
		t.Skip("EMULATED_CPUS names no processors: make test-arm64 does")
	}
	qemu := needs.Program(t, "qemu-aarch64-static", "qemu-user-static")
	program, dir := crossBuilt(t, "arm64"), photos(t)
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	run := []string{"run", "--node", "box", "--precision", "int8", "--keep", "0.7", "--source", dir + "?loop=1&fps=2"}
	want := publishedLabels(t, dynvitd(t, run...), len(list), len(list))
	for _, cpu := range cpus {
		t.Run(cpu, func(t *testing.T) {
			arm := exec.Command(qemu, append([]string{"-cpu", cpu, program}, run...)...)
			for photo, labels := range publishedLabels(t, prepared(t, arm), len(list), 3) {
				if labels != want[photo] {
					t.Errorf("photo %d: %s, here %s", photo, labels, want[photo])
				}
			}
		})
	}
}

// publishedLabels runs a daemon until it has published some different ones of so many
// photos, ends it, and returns what each was published as.
func publishedLabels(t *testing.T, c *exec.Cmd, photos, some int) map[int]string {
	t.Helper()
	c.Env = append(c.Env, "DYNVIT_CAMERAS_CAM0_PUBLISH_FRAME=true")
	d := start(t, c)
	address := d.await(`embedded broker started.*mqtt://(\S+) topics`)
	d.await("msg=ready")
	s := subscriber(t, address)
	s.await(`^dynvit/box/status online$`)
	labels := map[int]string{}
	for len(labels) < some {
		payload := s.await(`^dynvit/box/camera/cam0/frame (\{.*\})$`)
		var frame struct {
			Seq int
			Top []ranked
		}
		if err := json.Unmarshal([]byte(payload), &frame); err != nil || frame.Seq < 1 || len(frame.Top) == 0 {
			t.Fatalf("%s: %v", payload, err)
		}
		labels[frame.Seq%photos] = frame.Top[0].Label
	}
	d.Process.Signal(syscall.SIGTERM)
	s.await(`^dynvit/box/status stopped$`)
	if code := d.end(); code != 0 {
		t.Fatalf("exit %d\n%s", code, strings.Join(d.seen, "\n"))
	}
	return labels
}
