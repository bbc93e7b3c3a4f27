package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"image"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dynvit/exif"
	"dynvit/internal/needs"
	"dynvit/models"
)

// asProgram makes the test binary be dynvitd.
const asProgram = "DYNVITD_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Unsetenv(asProgram)
		main()
	}
	os.Exit(m.Run())
}

// dynvitd is a command line of the program, with a model store of its own.
func dynvitd(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return prepared(t, exec.Command(self, args...))
}

func prepared(t *testing.T, c *exec.Cmd) *exec.Cmd {
	c.Env = append(os.Environ(), asProgram+"=1", "DYNVIT_MODELS="+t.TempDir(), "STATE_DIRECTORY="+t.TempDir())
	return c
}

// crossBuilt builds dynvitd for an architecture.
func crossBuilt(t *testing.T, arch string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "dynvitd")
	c := exec.Command("go", "build", "-o", out, ".")
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH="+arch)
	if text, err := c.CombinedOutput(); err != nil {
		t.Fatalf("build for %s: %v\n%s", arch, err, text)
	}
	return out
}

// outcome runs a command to its end.
func outcome(t *testing.T, c *exec.Cmd) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), c.ProcessState.ExitCode()
}

const picture = "../../preprocess/testdata/drawn_420.jpg"

// TestErrors: one line on stderr, nothing on stdout, the right exit code.
func TestErrors(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text.jpg")
	if err := os.WriteFile(text, []byte("no picture"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out.safetensors")
	files := t.TempDir()
	unknown := write(t, files, "unknown.yaml", "mqtt: {broker: embedded}\ncamera: {}\n")
	brokerless := write(t, files, "brokerless.yaml", "cameras: {door: {source: \"test:\"}}\n")
	slashed := write(t, files, "slashed.yaml", "mqtt: {broker: embedded}\ncameras: {front/door: {source: \"test:\"}}\n")
	good := write(t, files, "good.yaml", "mqtt: {broker: \"mqtt://127.0.0.1:1\"}\ncameras: {door: {source: \"test:\"}}\n")
	badLabel := write(t, files, "badlabel.yaml", "mqtt: {broker: \"mqtt://127.0.0.1:1\"}\ncameras: {door: {source: \"test:\", labels: [unicorn]}}\n")
	nan, huge := nanModel(t, files), hugePicture(t, files)
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"classify", 2, "classify"},
		{"nonsense", 2, "nonsense"},
		{"help nonsense", 2, "nonsense"},
		{"help model nonsense", 2, "nonsense"},
		{"classify --nonsense x.jpg", 2, "nonsense"},
		{"classify --keep 2.5 " + picture, 2, "2.5"},
		{"classify --keep 10,20,30 " + picture, 2, "10,20,30"},
		{"classify --backend abacus " + picture, 2, "abacus"},
		{"classify --precision f8 " + picture, 2, "f8"},
		{"classify --scorer dice " + picture, 2, "dice"},
		{"classify --threads -1 " + picture, 2, "-1"},
		{"classify --backend neon --model /nowhere.safetensors " + picture, 1, "/nowhere.safetensors"},
		{"classify --model nothing " + picture, 1, "nothing"},
		{"classify /nowhere.jpg", 1, "/nowhere.jpg"},
		{"classify " + text, 1, "text.jpg"},
		{"eval", 2, "--data"},
		{"eval --data /nowhere", 1, "/nowhere"},
		{"eval --data " + t.TempDir(), 1, "no pictures"},
		{"bench --arch resnet", 2, "resnet"},
		{"model", 2, "model"},
		{"model import " + text, 2, "-o"},
		{"model import " + text + " -o " + out, 1, "text.jpg"},
		{"model import /nowhere.pth -o " + out, 1, "/nowhere.pth"},
		{"model import " + text + " -o " + out + " --prune-at 9,3", 2, "prune_at"},
		{"model info " + text, 1, "text.jpg"},
		{"model pull", 2, "pull"},
		{"model pull resnet-50", 2, "deit-tiny, deit-small, deit-base"},
		{"model pull deit-tiny --mirror ftp://x", 2, "ftp://x"},
		{"model pull deit-tiny --mirror http://127.0.0.1:1/x", 1, "127.0.0.1:1/x/deit_tiny_patch16_224-a1311bcf.pth: dial tcp"},
		{"bench --data . --source test:", 2, "not both"},
		{"bench --source nonsense://x", 2, "nonsense"},
		{"bench gemm --rows 0", 2, "--rows 0"},
		{"bench gemm --backend abacus", 2, "abacus"},
		{"calibrate", 2, "--budget"},
		{"calibrate --budget 0s", 2, "--budget"},
		{"calibrate --budget 25ms --percentile 100", 2, "--percentile"},
		{"calibrate --budget 25ms --threads 0", 2, "--threads"},
		{"calibrate --budget 25ms --keep 9", 2, "--keep"},
		{"calibrate --budget 25ms --data /nowhere", 1, "/nowhere"},
		{"calibrate --stages", 2, "--data or --source"},
		{"calibrate --stages --data x --budget 25ms", 2, "--budget"},
		{"calibrate --stages --data x --precision int8", 2, "--precision"},
		{"calibrate --stages --data x --scorer attention", 2, "--scorer"},
		{"calibrate --stages --data x --keep 1", 2, "--keep"},
		{"calibrate --stages --data x --keep 5,4,3", 2, "--keep"},
		{"calibrate --stages --data x --threads 1 --threads 2", 2, "--threads"},
		{"calibrate --stages --data x", 2, "pruned by the scorer predictor"},
		{"calibrate --stages --data x --scorer merge", 2, "--output"},
		{"calibrate --stages --data /nowhere --scorer merge -o x.safetensors", 1, "/nowhere"},
		{"calibrate --stages --data /nowhere --model nothing", 1, "nothing"},
		{"calibrate --budget 25ms --model nothing", 1, "nothing"},
		{"visualize", 2, "visualize"},
		{"visualize " + picture, 2, "-o OUT"},
		{"visualize " + picture + " -o " + dir + "/a.html", 2, "want .png for a picture"},
		{"visualize " + files + " -o " + dir + "/a.png", 2, "want .html for a folder"},
		{"visualize /nowhere.jpg -o " + dir + "/a.png", 1, "visualize /nowhere.jpg: no such file"},
		{"visualize " + text + " -o " + dir + "/a.png", 1, "text.jpg: no picture: want JPEG, PNG"},
		{"visualize " + huge + " -o " + dir + "/a.png", 1, "20000×20000"},
		{"visualize " + picture + " -o /nowhere/a.png", 1, "write /nowhere/a.png: no such file"},
		{"visualize " + t.TempDir() + " -o " + dir + "/a.html", 1, "no pictures"},
		{"config", 2, "check"},
		{"config check /nowhere.yaml", 1, "/nowhere.yaml"},
		{"config check " + unknown, 78, "unknown.yaml:2:1: "},
		{"config check " + brokerless, 78, "mqtt.broker"},
		{"config check " + slashed, 78, "front/door"},
		{"run --config /nowhere.yaml", 1, "/nowhere.yaml"},
		{"run --config " + unknown, 78, "unknown.yaml:2:1: "},
		{"run --config " + brokerless, 78, "mqtt.broker"},
		{"run --config " + slashed, 78, "front/door"},
		{"run --config " + good + " --backend abacus", 2, "abacus"},
		{"run --config " + good + " --model nothing", 1, "nothing"},
		{"run --config " + badLabel, 78, "badlabel.yaml:2:"},
		{"run --source /nowhere.mp4", 1, "/nowhere.mp4"},
		{"run --source nonsense://x", 2, "nonsense"},
		{"run --keep 7", 2, "--keep"},
		{"run --budget soon", 2, "--budget"},
		{"run --broker http://x", 2, "--broker"},
		{"classify --model " + nan + " " + picture, 1, "NaN"},
		{"classify " + huge, 1, "20000×20000"},
	} {
		stdout, stderr, code := outcome(t, dynvitd(t, strings.Fields(c.args)...))
		if code != c.code || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "dynvitd: ") || !strings.Contains(stderr, c.says) {
			t.Errorf("dynvitd %s: exit %d, want %d; stdout %q, stderr %q", c.args, code, c.code, stdout, stderr)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("files left: %v", left)
	}
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// nanModel is the default model with one weight that is no number.
func nanModel(t *testing.T, dir string) string {
	t.Helper()
	data := slices.Clone(models.Default())
	at := 8 + binary.LittleEndian.Uint64(data) // the tensors follow the header, first a bias in f32
	binary.LittleEndian.PutUint32(data[at:], 0x7fc00000)
	return write(t, dir, "nan.safetensors", string(data))
}

// hugePicture is the beginning of a PNG of 20,000×20,000.
func hugePicture(t *testing.T, dir string) string {
	t.Helper()
	var file bytes.Buffer
	if err := png.Encode(&file, image.NewGray(image.Rect(0, 0, 1, 1))); err != nil {
		t.Fatal(err)
	}
	data := file.Bytes()
	const size, crc = 16, 29 // of the header chunk
	binary.BigEndian.PutUint32(data[size:], 20000)
	binary.BigEndian.PutUint32(data[size+4:], 20000)
	binary.BigEndian.PutUint32(data[crc:], crc32.ChecksumIEEE(data[size-4:crc]))
	return write(t, dir, "huge.png", string(data))
}

// TestClassify: one object a picture, in order; a broken one is named and the
// others are answered.
func TestClassify(t *testing.T) {
	stdout, stderr, code := outcome(t, dynvitd(t, "classify", "--json", "--logits", "--kept", "--keep", "0.7", "--top", "2", picture, "/nowhere.png", picture))
	if code != 1 || strings.Count(stderr, "\n") != 1 {
		t.Errorf("exit %d, stderr %q", code, stderr)
	}
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines, want 2", len(lines))
	}
	for _, line := range lines {
		var got classified
		d := json.NewDecoder(strings.NewReader(line))
		d.DisallowUnknownFields()
		if err := d.Decode(&got); err != nil {
			t.Fatal(err)
		}
		if got.Image != picture || got.Model != "imagenette" || got.KeepRatio != 0.7 || len(got.Tokens) != 4 || got.Tokens[3] != 68 ||
			len(got.Top) != 2 || len(got.Logits) != 10 || len(got.Kept) != 3 || len(got.Kept[2]) != 67 || !(got.LatencyMS > 0 && got.FrameMS >= got.LatencyMS) {
			t.Errorf("%+v", got)
		}
	}
}

// TestImport turns both official-format checkpoints into model files that
// classify.
func TestImport(t *testing.T) {
	for _, name := range []string{"mini_deit", "mini_lvvit"} {
		out := filepath.Join(t.TempDir(), name+".safetensors")
		in := needs.Shared(t, "golden", name, name+".pth")
		if _, stderr, code := outcome(t, dynvitd(t, "model", "import", in, "-o", out)); code != 1 || !strings.Contains(stderr, "--heads") {
			t.Errorf("%s without heads: exit %d, %q", name, code, stderr)
		}
		if stdout, stderr, code := outcome(t, dynvitd(t, "model", "import", in, "-o", out, "--heads", "2")); code != 0 || !strings.Contains(stdout, "predictors true") {
			t.Errorf("%s: exit %d, %q %q", name, code, stdout, stderr)
		}
		if stdout, stderr, code := outcome(t, dynvitd(t, "model", "verify", out)); code != 0 || !strings.Contains(stdout, "ok") {
			t.Errorf("%s: exit %d, %q %q", name, code, stdout, stderr)
		}
		if stdout, stderr, code := outcome(t, dynvitd(t, "classify", "--model", out, "--keep", "0.5", picture)); code != 0 || strings.Count(stdout, "%") != 5 {
			t.Errorf("%s: exit %d, %q %q", name, code, stdout, stderr)
		}
	}
}

// TestArm64 starts the binary for 64-bit Arm under emulation and compares its
// answer with this machine's.
func TestArm64(t *testing.T) {
	if testing.Short() {
		t.Skip("slow under emulation")
	}
	qemu := needs.Program(t, "qemu-aarch64-static", "qemu-user-static")
	args := []string{"classify", "--json", "--logits", "--keep", "0.5", picture}
	here, _, code := outcome(t, dynvitd(t, args...))
	if code != 0 {
		t.Fatal("exit", code)
	}
	arm, stderr, code := outcome(t, prepared(t, exec.Command(qemu, append([]string{crossBuilt(t, "arm64")}, args...)...)))
	if code != 0 {
		t.Fatal("exit", code, stderr)
	}
	var a, b classified
	if err := errors.Join(json.Unmarshal([]byte(here), &a), json.Unmarshal([]byte(arm), &b)); err != nil {
		t.Fatal(err)
	}
	for i, v := range a.Logits {
		if d := v - b.Logits[i]; d > 1e-4 || d < -1e-4 {
			t.Errorf("logit %d: %v here, %v on arm64", i, v, b.Logits[i])
		}
	}
}

// TestOrientation: classify turns a picture as its Exif says, eval takes it as it is
// stored. The tag lies: the stored picture is upright.
func TestOrientation(t *testing.T) {
	dir := t.TempDir()
	upright, err := os.ReadFile("../../vit/testdata/church.png")
	if err != nil {
		t.Fatal(err)
	}
	const head = 33               // signature and IHDR
	block := exif.Segment(3)[10:] // behind marker, length and name
	chunk := binary.BigEndian.AppendUint32(nil, uint32(len(block)))
	chunk = append(append(chunk, "eXIf"...), block...)
	chunk = binary.BigEndian.AppendUint32(chunk, crc32.ChecksumIEEE(chunk[4:]))
	if err := os.Mkdir(filepath.Join(dir, "4"), 0o700); err != nil {
		t.Fatal(err)
	}
	name := write(t, dir, "4/x.png", string(slices.Concat(upright[:head], chunk, upright[head:])))
	out, _, code := outcome(t, dynvitd(t, "eval", "--json", "--data", dir))
	if code != 0 || !strings.Contains(out, `"top1":1,`) {
		t.Errorf("eval: %d, %s", code, out)
	}
	if out, _, code = outcome(t, dynvitd(t, "classify", "--json", "--top", "1", name)); code != 0 || strings.Contains(out, "church") {
		t.Errorf("classify: %d, %s", code, out)
	}
}

// TestEvalOfNothing: a folder in which no picture can be read has no accuracy.
func TestEvalOfNothing(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.jpg", "no picture")
	stdout, stderr, code := outcome(t, dynvitd(t, "eval", "--json", "--data", dir))
	if code != 1 || stdout != "" || strings.Count(stderr, "\n") != 2 || !strings.Contains(stderr, "none of 1 pictures") {
		t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}

// TestVisualize draws a picture and a page, and says as JSON what is on them.
func TestVisualize(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "a.png")
	stdout, stderr, code := outcome(t, dynvitd(t, "visualize", picture, "-o", out, "--json"))
	var one drawnPicture
	if err := json.Unmarshal([]byte(stdout), &one); err != nil || code != 0 || stderr != "" {
		t.Fatalf("exit %d, %v, stdout %q, stderr %q", code, err, stdout, stderr)
	}
	if one.Output != out || one.KeepRatio != 0.7 || len(one.Kept) != 3 || len(one.Kept[2]) != 67 || len(one.Top) != 5 {
		t.Errorf("%+v", one)
	}
	file, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if c, err := png.DecodeConfig(file); err != nil || c.Width < 4*336 {
		t.Errorf("%+v, %v", c, err)
	}
	out = filepath.Join(dir, "a.html")
	stdout, stderr, code = outcome(t, dynvitd(t, "visualize", filepath.Dir(picture), "-o", out, "--json", "--limit", "4", "--show", "2", "--keep", "0.5"))
	var page drawnFolder
	if err := json.Unmarshal([]byte(stdout), &page); err != nil || code != 0 || stderr != "" {
		t.Fatalf("exit %d, %v, stdout %q, stderr %q", code, err, stdout, stderr)
	}
	if page.Images != 4 || page.Skipped != 0 || page.Output != out || len(page.Stages) != 3 || len(page.Stages[0].Map) != 196 || page.Stages[0].Kept != 0.5 {
		t.Errorf("%+v", page)
	}
	html, err := os.ReadFile(out)
	if err != nil || strings.Count(string(html), "<article>") != 2 {
		t.Errorf("%d pictures on the page, %v", strings.Count(string(html), "<article>"), err)
	}
}
