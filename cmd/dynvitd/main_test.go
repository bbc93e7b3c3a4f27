package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// binary builds dynvitd for an architecture.
func binary(t *testing.T, arch string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "dynvitd")
	c := exec.Command("go", "build", "-o", out, ".")
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH="+arch)
	if text, err := c.CombinedOutput(); err != nil {
		t.Fatalf("build for %s: %v\n%s", arch, err, text)
	}
	return out
}

// outcome runs a command.
func outcome(t *testing.T, name string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	c := exec.Command(name, args...)
	c.Stdout, c.Stderr = &out, &errs
	c.Env = append(os.Environ(), "DYNVIT_MODELS="+t.TempDir())
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), c.ProcessState.ExitCode()
}

// need returns a file of the reference data, or skips; it fails if DYNVIT_REQUIRE is set.
func need(t *testing.T, path ...string) string {
	t.Helper()
	file := filepath.Join(append([]string{"..", "..", "..", "shared"}, path...)...)
	if _, err := os.Stat(file); err != nil {
		if os.Getenv("DYNVIT_REQUIRE") != "" {
			t.Fatal(err)
		}
		t.Skip("needs ../shared:", err)
	}
	return file
}

const picture = "../../preprocess/testdata/drawn_420.jpg"

// TestErrors: one line on stderr, nothing on stdout, the right exit code.
func TestErrors(t *testing.T) {
	dynvitd := binary(t, "")
	dir := t.TempDir()
	text := filepath.Join(dir, "text.jpg")
	if err := os.WriteFile(text, []byte("no picture"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out.safetensors")
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"classify", 2, "classify"},
		{"nonsense", 2, "nonsense"},
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
		{"bench --arch resnet", 1, "resnet"},
		{"model", 2, "model"},
		{"model import " + text, 2, "-o"},
		{"model import " + text + " -o " + out, 1, "text.jpg"},
		{"model import /nowhere.pth -o " + out, 1, "/nowhere.pth"},
		{"model import " + text + " -o " + out + " --prune-at 9,3", 2, "prune_at"},
		{"model info " + text, 1, "text.jpg"},
	} {
		stdout, stderr, code := outcome(t, dynvitd, strings.Fields(c.args)...)
		if code != c.code || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "dynvitd: ") || !strings.Contains(stderr, c.says) {
			t.Errorf("dynvitd %s: exit %d, want %d; stdout %q, stderr %q", c.args, code, c.code, stdout, stderr)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("files left: %v", left)
	}
}

// TestClassify: one object a picture, in order; a broken one is named and the
// others are answered.
func TestClassify(t *testing.T) {
	dynvitd := binary(t, "")
	stdout, stderr, code := outcome(t, dynvitd, "classify", "--json", "--logits", "--kept", "--keep", "0.7", "--top", "2", picture, "/nowhere.png", picture)
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
	dynvitd := binary(t, "")
	for _, name := range []string{"mini_deit", "mini_lvvit"} {
		out := filepath.Join(t.TempDir(), name+".safetensors")
		in := need(t, "golden", name, name+".pth")
		if _, stderr, code := outcome(t, dynvitd, "model", "import", in, "-o", out); code != 1 || !strings.Contains(stderr, "--heads") {
			t.Errorf("%s without heads: exit %d, %q", name, code, stderr)
		}
		if stdout, stderr, code := outcome(t, dynvitd, "model", "import", in, "-o", out, "--heads", "2"); code != 0 || !strings.Contains(stdout, "predictors true") {
			t.Errorf("%s: exit %d, %q %q", name, code, stdout, stderr)
		}
		if stdout, stderr, code := outcome(t, dynvitd, "model", "verify", out); code != 0 || !strings.Contains(stdout, "ok") {
			t.Errorf("%s: exit %d, %q %q", name, code, stdout, stderr)
		}
		if stdout, stderr, code := outcome(t, dynvitd, "classify", "--model", out, "--keep", "0.5", picture); code != 0 || strings.Count(stdout, "%") != 5 {
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
	qemu, err := exec.LookPath("qemu-aarch64-static")
	if err != nil {
		if os.Getenv("DYNVIT_REQUIRE") != "" {
			t.Fatal(err)
		}
		t.Skip("needs the Debian package qemu-user-static")
	}
	args := []string{"classify", "--json", "--logits", "--keep", "0.5", picture}
	here, _, code := outcome(t, binary(t, ""), args...)
	if code != 0 {
		t.Fatal("exit", code)
	}
	arm, stderr, code := outcome(t, qemu, append([]string{binary(t, "arm64")}, args...)...)
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
