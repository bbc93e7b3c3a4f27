package main

import (
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestIrregular: a pipe in place of any file that the program reads is refused at
// once, by every command that reads it; nothing waits for its other end.
func TestIrregular(t *testing.T) {
	dir := t.TempDir()
	pipe := func(name string) string {
		path := filepath.Join(dir, name)
		if err := unix.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	still, film, model, checkpoint := pipe("a.png"), pipe("a.mp4"), pipe("m.safetensors"), pipe("m.pth")
	labels, settings, password := pipe("labels.txt"), pipe("c.yaml"), pipe("password")
	out := filepath.Join(t.TempDir(), "out")
	for _, args := range []string{
		"classify " + still,
		"classify --model " + model + " " + picture,
		"classify --predictors " + model + " " + picture,
		"visualize " + still + " -o " + out + ".png",
		"eval --data " + dir,
		"bench --data " + dir,
		"calibrate --budget 25ms --data " + dir,
		"calibrate --budget 25ms --source " + still,
		"run --source " + still,
		"run --source " + film,
		"run --config " + settings,
		"config check " + settings,
		"model info " + model,
		"model verify " + model,
		"model import " + checkpoint + " -o " + out + ".safetensors",
		"model import " + model + " -o " + out + ".safetensors",
		"model import ../../models/imagenette.safetensors --labels " + labels + " -o " + out + ".safetensors",
		"run --config " + write(t, t.TempDir(), "good.yaml", "mqtt: {broker: \"mqtt://127.0.0.1:1\", password_file: "+password+"}\ncameras: {door: {source: \"test:\"}}\n"),
	} {
		stdout, stderr, code := outcome(t, dynvitd(t, strings.Fields(args)...))
		if code != 1 && code != 78 || stdout != "" || !strings.Contains(stderr, "not a regular file") {
			t.Errorf("%s: code %d, %q, %q", args, code, stdout, stderr)
		}
	}
}
