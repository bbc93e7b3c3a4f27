package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dynvit/calibrate"
)

// TestCalibrate: the file is as the interface says and chooses what fits; nothing
// fits a millisecond, which is exit 3 and still a table.
func TestCalibrate(t *testing.T) {
	if testing.Short() {
		t.Skip("needs more than a short run: it measures")
	}
	dir := t.TempDir()
	file, plot := filepath.Join(dir, "sub", "calibration.json"), filepath.Join(dir, "plot.svg")
	args := []string{"calibrate", "--limit", "15s", "--keep", "1", "--keep", "0.5", "--precision", "f32", "--threads", "1", "--json", "-o", file}
	stdout, stderr, code := outcome(t, dynvitd(t, append(args, "--budget", "50s", "--plot", plot)...))
	if code != 0 || stderr != "" {
		t.Fatalf("exit %d, %q", code, stderr)
	}
	kept, err := calibrate.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var shown calibrate.Table
	if err := json.Unmarshal([]byte(stdout), &shown); err != nil {
		t.Fatal(err)
	}
	for _, table := range []*calibrate.Table{kept, &shown} {
		if len(table.Points) != 2 || table.Chosen == nil || table.BudgetMS != 50000 || table.Percentile != 95 || table.Model.Name != "imagenette" ||
			len(table.Model.SHA256) != 64 || table.Points[0].Agreement != 1 || table.Frame != "1280x720 jpeg" {
			t.Errorf("%+v", table)
		}
	}
	if svg, err := os.ReadFile(plot); err != nil || !strings.HasPrefix(string(svg), "<svg") && !strings.HasPrefix(string(svg), "<?xml") {
		t.Errorf("plot: %.60s, %v", svg, err)
	}
	stdout, stderr, code = outcome(t, dynvitd(t, append(args, "--budget", "1ms")...))
	shown = calibrate.Table{}
	if err := json.Unmarshal([]byte(stdout), &shown); err != nil || shown.Chosen != nil || len(shown.Points) != 2 {
		t.Errorf("%s: %v", stdout, err)
	}
	if code != 3 || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "raise the budget") {
		t.Errorf("exit %d, %q", code, stderr)
	}
}

// TestCalibrateInterrupted leaves the old file as it is.
func TestCalibrateInterrupted(t *testing.T) {
	file := write(t, t.TempDir(), "calibration.json", "precious")
	d := dynvitd(t, "calibrate", "--budget", "50ms", "-o", file, "-v", "--limit", "60s")
	p := start(t, d)
	p.await("measuring|warming")
	p.Process.Signal(os.Interrupt)
	if code := p.end(); code != 1 {
		t.Errorf("exit %d\n%s", code, strings.Join(p.seen, "\n"))
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != "precious" {
		t.Errorf("%q, %v", data, err)
	}
}

// TestPicturesAreMixed: the first of a folder's pictures are of all its classes,
// as often none but the first are judged.
func TestPicturesAreMixed(t *testing.T) {
	data, err := os.ReadFile(picture)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for i := range 64 {
		write(t, dir, fmt.Sprintf("%d_%02d.jpg", i/32, i), string(data))
	}
	var f calibrateFlags
	f.data = dir
	frames, labels, _, err := f.pictures()
	if err != nil || len(frames) != 64 || len(labels) != 64 {
		t.Fatalf("%d frames, labels %v, %v", len(frames), labels, err)
	}
	ones := 0
	for _, l := range labels[:16] {
		ones += l
	}
	if ones < 4 || ones > 12 {
		t.Errorf("%d of the first 16 are of the second class: %v", ones, labels)
	}
}
