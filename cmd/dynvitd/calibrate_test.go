package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dynvit/backends"
	"dynvit/calibrate"
	"dynvit/modelfile"
	"dynvit/vit"
)

// calibrated is the outcome of a calibration with as much time as it needs: one that a busy machine leaves no
// frames in its limit, which it says, is tried again with four times as much.
func calibrated(t *testing.T, limit time.Duration, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	for ; ; limit *= 4 {
		d := dynvitd(t, append(slices.Clone(args), "--limit", limit.String())...)
		d.Env = append(d.Env, env...)
		stdout, stderr, code = outcome(t, d)
		if !strings.Contains(stderr, "allow more time") || limit > 5*time.Minute {
			return stdout, stderr, code
		}
		t.Logf("%s", stderr)
	}
}

// TestCalibrate: the file is as the interface says and chooses what fits; nothing
// fits a millisecond, which is exit 3 and still a table.
func TestCalibrate(t *testing.T) {
	if testing.Short() {
		t.Skip("needs more than a short run: it measures")
	}
	dir := t.TempDir()
	file, plot := filepath.Join(dir, "sub", "calibration.json"), filepath.Join(dir, "plot.svg")
	args := []string{"calibrate", "--keep", "1", "--keep", "0.5", "--precision", "f32", "--threads", "1", "--json", "-o", file}
	stdout, stderr, code := calibrated(t, 4*time.Second, nil, append(args, "--budget", "50s", "--plot", plot)...)
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
	stdout, stderr, code = calibrated(t, 4*time.Second, nil, append(args, "--budget", "1ms", "--source", "file://"+filepath.Join(onePicture(t), "one.jpg")+"?fps=0")...)
	shown = calibrate.Table{}
	if err := json.Unmarshal([]byte(stdout), &shown); err != nil || shown.Chosen != nil || len(shown.Points) != 2 {
		t.Errorf("%s: %v", stdout, err)
	}
	if code != 3 || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "raise the budget") {
		t.Errorf("exit %d, %q", code, stderr)
	}
}

// TestThreadCounts: what is tried without --threads; a backend for which threads mean
// nothing is measured once.
func TestThreadCounts(t *testing.T) {
	for most, want := range map[int][]int{1: {1}, 2: {1, 2}, 4: {1, 2, 4}, 6: {1, 2, 4, 6}} {
		if got := threadCounts(true, most); !slices.Equal(got, want) {
			t.Errorf("%d cores: %v, want %v", most, got, want)
		}
		if got := threadCounts(false, most); !slices.Equal(got, []int{most}) {
			t.Errorf("%d cores without threads: %v", most, got)
		}
	}
}

// TestCalibrateAsksBackend: calibrate tries no thread counts where the backend says that
// they mean nothing.
func TestCalibrateAsksBackend(t *testing.T) {
	if testing.Short() {
		t.Skip("needs more than a short run: it measures")
	}
	model, dir := smallModel(t), onePicture(t)
	for backend, want := range map[string][]int{backends.Ref: {4}, backends.Portable: {1, 2, 4}} {
		stdout, stderr, code := calibrated(t, 20*time.Second, []string{"GOMAXPROCS=4"}, "calibrate", "--budget", "50s", "--model", model, "--backend", backend,
			"--precision", "f32", "--keep", "1", "--data", dir, "--json")
		var table calibrate.Table
		if err := json.Unmarshal([]byte(stdout), &table); err != nil || code != 0 {
			t.Fatalf("%s: exit %d, %v: %s", backend, code, err, stderr)
		}
		var got []int
		for _, p := range table.Points {
			got = append(got, p.Threads)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s was tried on %v threads, want %v", backend, got, want)
		}
	}
}

// onePicture is a folder with a picture.
func onePicture(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(picture)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, dir, "one.jpg", string(data))
	return dir
}

// smallModel writes a model of random weights that takes no time.
func smallModel(t *testing.T) string {
	t.Helper()
	c := vit.Config{Architecture: "vit", ImageSize: 32, PatchSize: 16, Width: 64, Depth: 4, Heads: 1, Hidden: 64, Classes: 3, Eps: 1e-6, SkipLam: 1,
		QKVBias: true, Resize: 32, Interpolation: "bicubic", Std: [3]float32{1, 1, 1}, PruneAt: []int{1, 2, 3}}
	return randomModel(t, "small", vit.Random{Config: c}, nil)
}

// TestCalibrateNoTime: where no point has frames that is one line, not one more for those that had none.
func TestCalibrateNoTime(t *testing.T) {
	stdout, stderr, code := outcome(t, dynvitd(t, "calibrate", "--budget", "50ms", "--limit", "1s", "--backend", "ref", "--precision", "f32", "--keep", "1", "--keep", "0.5", "--data", filepath.Dir(picture)))
	if code != 1 || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "before any point had") {
		t.Errorf("exit %d, %q, %q", code, stdout, stderr)
	}
}

// randomModel is the file of a model of random weights, whose metadata say more.
func randomModel(t *testing.T, name string, r vit.Random, more map[string]string) string {
	t.Helper()
	tensors, err := r.Tensors()
	if err != nil {
		t.Fatal(err)
	}
	meta := r.Config.Manifest().Encode()
	maps.Copy(meta, more)
	path := filepath.Join(t.TempDir(), name+".safetensors")
	if err := modelfile.Write(path, meta, tensors); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestCalibrateInterrupted leaves the old file as it is.
func TestCalibrateInterrupted(t *testing.T) {
	file := write(t, t.TempDir(), "calibration.json", "precious")
	d := dynvitd(t, "calibrate", "--budget", "50ms", "-o", file, "-v", "--limit", "60s", "--data", onePicture(t))
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

// TestCalibratePlot: the name says which kind of picture is drawn, and one of another kind is refused before minutes
// are spent.
func TestCalibratePlot(t *testing.T) {
	model, dir := smallModel(t), t.TempDir()
	args := []string{"calibrate", "--budget", "50s", "--model", model, "--backend", "portable", "--precision", "f32", "--threads", "1",
		"--keep", "1", "--data", filepath.Dir(picture), "-o", filepath.Join(dir, "c.json")}
	for name, begins := range map[string]string{"plot.png": "\x89PNG\r\n", "PLOT.PNG": "\x89PNG\r\n", "plot.svg": "<svg ", "plot": "<svg "} {
		plot := filepath.Join(dir, name)
		if _, stderr, code := calibrated(t, 20*time.Second, nil, append(args, "--plot", plot)...); code != 0 {
			t.Fatalf("%s: exit %d, %q", name, code, stderr)
		}
		if data, err := os.ReadFile(plot); err != nil || !strings.HasPrefix(string(data), begins) {
			t.Errorf("%s begins with %.8q, %v", name, data, err)
		}
	}
	stdout, stderr, code := outcome(t, dynvitd(t, append(args, "--plot", filepath.Join(dir, "plot.jpg"))...))
	if code != 2 || stdout != "" || !strings.Contains(stderr, "want .svg or .png") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("exit %d, %q, %q", code, stdout, stderr)
	}
}

// TestCalibrateByLabels: labels of three classes with 30 pictures each decide; of one class they don't, and that is said.
func TestCalibrateByLabels(t *testing.T) {
	data, err := os.ReadFile(picture)
	if err != nil {
		t.Fatal(err)
	}
	model := smallModel(t)
	for classes, want := range map[int]struct{ quality, says string }{
		3: {"accuracy", ""},
		1: {"agreement", "dynvitd: calibrate: labels are no measure: 1 class judged, 90 pictures of the rarest; want 3 and 30 (more pictures, or more time to judge them): agreement decided\n"},
	} {
		dir, out := t.TempDir(), filepath.Join(t.TempDir(), "c.json")
		for i := range 90 {
			write(t, dir, fmt.Sprintf("%d_%02d.jpg", i%classes, i), string(data))
		}
		stdout, stderr, code := calibrated(t, time.Minute, nil, "calibrate", "--budget", "50s", "--model", model, "--backend", "portable",
			"--precision", "f32", "--threads", "1", "--keep", "1", "--keep", "0.5", "--data", dir, "--json", "-o", out)
		if code != 0 || stderr != want.says {
			t.Errorf("%d classes: exit %d, %q, want %q", classes, code, stderr, want.says)
		}
		var shown struct{ Quality string }
		if err := json.Unmarshal([]byte(stdout), &shown); err != nil || shown.Quality != want.quality {
			t.Errorf("%d classes: quality %q, %v, want %q", classes, shown.Quality, err, want.quality)
		}
		table, err := calibrate.ReadFile(out)
		if err != nil || table.Points[0].Classes != classes || table.Points[0].Rarest != 90/classes || len(table.Points[0].Right) != 12 {
			t.Errorf("%d classes: kept %+v, %v", classes, table, err)
		}
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
	frames, labels, _, err := f.pictures(mostPictures)
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
