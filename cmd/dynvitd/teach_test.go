package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"dynvit/head"
)

// drawDoor writes a JPEG of a scene: a door that is open (a dark opening) or shut, on a wall whose
// colour and place are the scene's.
func drawDoor(t *testing.T, path string, open bool, scene int) {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 160, 120))
	for y := range 120 {
		for x := range 160 {
			c := color.RGBA{uint8(150 + 7*scene%60), uint8(150 + (x*y)%23), uint8(140 + 11*scene%50), 255}
			if left := 30 + 5*(scene%8); x > left && x < left+60 && y > 20 {
				c = color.RGBA{120, uint8(60 + y/4), 30, 255}
				if open {
					c = color.RGBA{uint8(x / 16), 8, uint8(y / 10), 255}
				}
			}
			img.SetRGBA(x, y, c)
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := jpeg.Encode(f, img, nil); err != nil {
		t.Fatal(err)
	}
}

// doors are drawn pictures in folders by class.
func doors(t *testing.T, each int) string {
	t.Helper()
	dir := t.TempDir()
	for scene := range each {
		drawDoor(t, filepath.Join(dir, "open", fmt.Sprintf("%d.jpg", scene)), true, scene)
		drawDoor(t, filepath.Join(dir, "shut", fmt.Sprintf("%d.jpg", scene)), false, scene)
	}
	return dir
}

// inStore has a command use a store that others use too.
func inStore(c *exec.Cmd, store string) *exec.Cmd {
	c.Env = append(c.Env, "DYNVIT_MODELS="+store)
	return c
}

// TestTeach is a user's way: pictures in folders become a model, which classify and eval
// know by its name, alone and in one file with its backbone; twice the same bytes.
func TestTeach(t *testing.T) {
	store, dir, other := t.TempDir(), doors(t, 6), filepath.Join(t.TempDir(), "shut_9.jpg")
	drawDoor(t, other, false, 9)
	bundle := filepath.Join(t.TempDir(), "door.safetensors")
	for _, args := range [][]string{{"-o", "door"}, {"-o", bundle, "--bundle"}} {
		stdout, stderr, code := outcome(t, inStore(dynvitd(t, append([]string{"teach", dir, "--json"}, args...)...), store))
		var report taught
		if err := json.Unmarshal([]byte(stdout), &report); err != nil || code != 0 || stderr != "" {
			t.Fatalf("exit %d, %v, %s", code, err, stderr)
		}
		if report.Accuracy < 0.9 || report.Pictures != 12 || report.Model != "imagenette" || report.Bundle != (len(args) > 2) {
			t.Errorf("%s", stdout)
		}
	}
	for _, model := range []string{"door", bundle} {
		use := store
		if model == bundle {
			use = t.TempDir()
		}
		for _, keep := range []string{"1", "0.5"} {
			stdout, stderr, code := outcome(t, inStore(dynvitd(t, "classify", "--json", "--model", model, "--keep", keep, other), use))
			var c classified
			if err := json.Unmarshal([]byte(stdout), &c); err != nil || code != 0 || c.Model != "door" || c.Top[0].Label != "shut" {
				t.Errorf("%s: exit %d, %v, %s %s", model, code, err, stdout, stderr)
			}
		}
		stdout, _, code := outcome(t, inStore(dynvitd(t, "eval", "--json", "--model", model, "--data", dir), use))
		var e evaluated
		if err := json.Unmarshal([]byte(stdout), &e); err != nil || code != 0 || e.None == nil || e.None.Labelled != 12 || *e.Top1 < 0.9-float64(e.None.Refused)/12 {
			t.Errorf("%s: exit %d, %v, %s", model, code, err, stdout)
		}
	}
	first, err := os.ReadFile(filepath.Join(store, "door.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if stdout, stderr, code := outcome(t, inStore(dynvitd(t, "teach", dir, "-o", "door", "--threads", "1"), store)); code != 0 || !strings.Contains(stdout, "held out") {
		t.Fatalf("exit %d, %s %s", code, stdout, stderr)
	}
	if second, err := os.ReadFile(filepath.Join(store, "door.safetensors")); err != nil || !reflect.DeepEqual(first, second) {
		t.Errorf("other bytes the second time, by one thread (%v)", err)
	}
}

// TestTaughtByPage: a head that the live page has taught is known by its name, from the
// state folder; nothing that is imported or taught here goes there.
func TestTaughtByPage(t *testing.T) {
	store, state := t.TempDir(), t.TempDir()
	here := func(args ...string) *exec.Cmd {
		c := inStore(dynvitd(t, args...), store)
		c.Env = append(c.Env, "STATE_DIRECTORY="+state)
		return c
	}
	path := filepath.Join(state, "taught", "door-1.safetensors")
	if _, stderr, code := outcome(t, here("teach", doors(t, 6), "-o", path)); code != 0 {
		t.Fatal(stderr)
	}
	if stdout, stderr, code := outcome(t, here("model", "list")); code != 0 || !strings.Contains(stdout, path) {
		t.Errorf("exit %d, %s %s", code, stdout, stderr)
	}
	if stdout, stderr, code := outcome(t, here("classify", "--model", "door-1", picture)); code != 0 {
		t.Errorf("exit %d, %s %s", code, stdout, stderr)
	}
	if _, stderr, code := outcome(t, here("teach", doors(t, 6), "-o", "door")); code != 0 {
		t.Fatal(stderr)
	}
	if _, err := os.Stat(filepath.Join(store, "door.safetensors")); err != nil {
		t.Error(err)
	}
}

// TestNoneOfThese: a picture of another kind is named none of these, in text and as null.
func TestNoneOfThese(t *testing.T) {
	store := t.TempDir()
	if _, stderr, code := outcome(t, inStore(dynvitd(t, "teach", doors(t, 6), "-o", "door"), store)); code != 0 {
		t.Fatal(stderr)
	}
	stdout, _, code := outcome(t, inStore(dynvitd(t, "classify", "--json", "--model", "door", picture), store))
	var c classified
	if err := json.Unmarshal([]byte(stdout), &c); err != nil || code != 0 || c.Label != nil || len(c.Top) != 2 {
		t.Errorf("exit %d, %v, %s", code, err, stdout)
	}
	if stdout, _, _ = outcome(t, inStore(dynvitd(t, "classify", "--model", "door", picture), store)); !strings.Contains(stdout, "none of these") {
		t.Errorf("%s", stdout)
	}
}

// sideDoors are wide pictures, of which a model is shown the square in the middle, where doors are
// drawn at the left border.
func sideDoors(t *testing.T, each int) string {
	t.Helper()
	dir := t.TempDir()
	for scene := range each {
		for _, label := range []string{"open", "shut"} {
			img := image.NewRGBA(image.Rect(0, 0, 320, 120))
			for y := range 120 {
				for x := range 320 {
					c := color.RGBA{uint8(150 + 7*scene%60), uint8(150 + (x*y)%23), uint8(140 + 11*scene%50), 255}
					switch {
					case x > 80 || y < 10+scene:
					case label == "open":
						c = color.RGBA{uint8(x / 16), 8, uint8(y / 10), 255}
					default:
						c = color.RGBA{240, uint8(60 + y/4), 30, 255}
					}
					img.SetRGBA(x, y, c)
				}
			}
			var b bytes.Buffer
			if err := jpeg.Encode(&b, img, nil); err != nil {
				t.Fatal(err)
			}
			write(t, dir, label+"_"+fmt.Sprint(scene)+".jpg", b.String())
		}
	}
	return dir
}

// TestTeachWhole: with --whole a head reads the whole picture, when it is taught and wherever
// it looks afterwards; without it what is at the border is not seen.
func TestTeachWhole(t *testing.T) {
	store, dir := t.TempDir(), sideDoors(t, 6)
	for _, flags := range [][]string{nil, {"--whole"}} {
		whole := len(flags) > 0
		stdout, stderr, code := outcome(t, inStore(dynvitd(t, append([]string{"teach", dir, "-o", "door", "--json"}, flags...)...), store))
		var report taught
		if err := json.Unmarshal([]byte(stdout), &report); err != nil || code != 0 {
			t.Fatalf("exit %d, %v, %s", code, err, stderr)
		}
		if report.Whole != whole || (report.Accuracy == 1) != whole {
			t.Errorf("%v: whole %v, accuracy %v", flags, report.Whole, report.Accuracy)
		}
		if !whole {
			continue
		}
		pictures, _ := filepath.Glob(filepath.Join(dir, "*.jpg"))
		stdout, stderr, code = outcome(t, inStore(dynvitd(t, append([]string{"classify", "--model", "door", "--json"}, pictures...)...), store))
		if code != 0 || strings.Count(stdout, `"label":"open"`) < 5+6 || strings.Count(stdout, `"label":"shut"`) < 5+6 { // in label or first of top
			t.Errorf("exit %d, %s%s", code, stdout, stderr)
		}
		stdout, _, _ = outcome(t, inStore(dynvitd(t, "model", "info", "door"), store))
		if !strings.Contains(stdout, "whole picture") {
			t.Errorf("model info: %s", stdout)
		}
	}
}

// TestTeachRefuses what would lose something, and what makes no sense, in one line.
func TestTeachRefuses(t *testing.T) {
	store, dir := t.TempDir(), doors(t, 2)
	small := smallModel(t)
	inside := filepath.Join(store, "small.safetensors")
	data, err := os.ReadFile(small)
	if err != nil {
		t.Fatal(err)
	}
	write(t, store, "small.safetensors", string(data))
	if _, stderr, code := outcome(t, inStore(dynvitd(t, "teach", dir, "-o", "door"), store)); code != 0 {
		t.Fatal(stderr)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"no output":       {[]string{dir}, exitUsage, "-o NAME"},
		"path":            {[]string{dir, "-o", "../door"}, exitUsage, "want a name"},
		"embedded":        {[]string{dir, "-o", "imagenette"}, exitUsage, "embedded"},
		"over a model":    {[]string{dir, "-o", "small"}, exitFailed, "no taught model"},
		"on a head":       {[]string{dir, "-o", "x", "--model", "door"}, exitFailed, "is a taught one"},
		"far model":       {[]string{dir, "-o", "x", "--model", small}, exitFailed, "--bundle"},
		"no folder":       {[]string{filepath.Join(dir, "none"), "-o", "x"}, exitFailed, "no such file"},
		"one class":       {[]string{filepath.Join(dir, "open"), "-o", "x"}, exitFailed, "no pictures"},
		"model not there": {[]string{dir, "-o", "x", "--model", "gone"}, exitFailed, "not in the store"},
		"precision":       {[]string{dir, "-o", "x", "--precision", "f8"}, exitUsage, "f8"},
	} {
		stdout, stderr, code := outcome(t, inStore(dynvitd(t, append([]string{"teach"}, c.args...)...), store))
		if code != c.code || stdout != "" || !strings.Contains(stderr, c.says) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: exit %d, %q, %q", name, code, stdout, stderr)
		}
	}
	if after, err := os.ReadFile(inside); err != nil || !reflect.DeepEqual(after, data) {
		t.Errorf("the model is another one now (%v)", err)
	}
	if h, err := head.Load(filepath.Join(store, "door.safetensors")); err != nil || h.Base != "imagenette" {
		t.Errorf("%+v, %v", h, err)
	}
}

// TestTaughtInfo: a taught model says what it is; what is for whole models alone refuses it.
func TestTaughtInfo(t *testing.T) {
	store := t.TempDir()
	if _, stderr, code := outcome(t, inStore(dynvitd(t, "teach", doors(t, 2), "-o", "door"), store)); code != 0 {
		t.Fatal(stderr)
	}
	stdout, stderr, code := outcome(t, inStore(dynvitd(t, "model", "info", "door"), store))
	if code != 0 || !strings.Contains(stdout, "taught: 2 classes on 192 features of imagenette") || !strings.Contains(stdout, "open|shut") {
		t.Errorf("exit %d, %s %s", code, stdout, stderr)
	}
	for _, args := range [][]string{{"model", "verify", "door"}, {"model", "export", "door", "--hf", t.TempDir()}} {
		if _, stderr, code := outcome(t, inStore(dynvitd(t, args...), store)); code != exitFailed || !strings.Contains(stderr, "a taught head") || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%v: exit %d, %s", args, code, stderr)
		}
	}
}

// TestFeatures: classify gives the features of a model, and of a backbone, which has
// nothing else and is refused without them.
func TestFeatures(t *testing.T) {
	var c classified
	stdout, _, code := outcome(t, dynvitd(t, "classify", "--json", "--features", picture))
	if err := json.Unmarshal([]byte(stdout), &c); err != nil || code != 0 || len(c.Features) != 192 || len(c.Top) != 5 || *c.Label != c.Top[0].Label {
		t.Errorf("exit %d, %v, %s", code, err, stdout)
	}
}
