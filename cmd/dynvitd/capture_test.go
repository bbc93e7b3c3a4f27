package main

import (
	"encoding/json"
	"image/jpeg"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCapture: frames of the configured camera, its region alone, become a folder that
// teach takes, within one state folder.
func TestCapture(t *testing.T) {
	state := t.TempDir()
	conf := write(t, t.TempDir(), "c.yaml", "mqtt: {broker: embedded}\ncameras:\n  door: {source: 'test:?fps=0&size=320x240', region: [0.5, 0, 1, 1]}\n  yard: {source: 'test:?fps=0&size=320x240&seed=3'}\n")
	for _, label := range []string{"open", "shut"} {
		c := dynvitd(t, "capture", "--config", conf, "--camera", "door", "--label", label, "--count", "3", "--every", "0s", "--json")
		c.Env = append(c.Env, "STATE_DIRECTORY="+state)
		stdout, stderr, code := outcome(t, c)
		var got captured
		if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != 0 || got != (captured{"door", label, filepath.Join(state, "teach", "door"), 3, 0}) {
			t.Fatalf("exit %d, %v, %s%s", code, err, stdout, stderr)
		}
	}
	list, err := filepath.Glob(filepath.Join(state, "teach", "door", "*", "*"))
	if err != nil || len(list) != 6 {
		t.Fatalf("%v, %v", list, err)
	}
	f, err := os.Open(list[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if c, err := jpeg.DecodeConfig(f); err != nil || c.Width != 160 || c.Height != 240 {
		t.Errorf("%d×%d, %v", c.Width, c.Height, err)
	}
	if _, stderr, code := outcome(t, dynvitd(t, "teach", filepath.Join(state, "teach", "door"), "-o", "door")); code != 0 {
		t.Errorf("exit %d, %s", code, stderr)
	}
	for says, args := range map[string][]string{
		"label":            {"--config", conf, "--camera", "door", "--label", "../x"},
		"want one of door": {"--config", conf, "--label", "open"},
		"--config":         {"--label", "open"},
		"count 0":          {"--config", conf, "--camera", "door", "--label", "open", "--count", "0"},
		"every":            {"--config", conf, "--camera", "door", "--label", "open", "--every", "-1s"},
	} {
		_, stderr, code := outcome(t, dynvitd(t, append([]string{"capture"}, args...)...))
		if code != exitUsage || !strings.Contains(stderr, says) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: exit %d, %q", says, code, stderr)
		}
	}
	stdout, _, code := outcome(t, dynvitd(t, "capture", "--source", "test:?frames=2&fps=0", "--label", "a", "--every", "0s"))
	if code != 0 || !strings.Contains(stdout, "2 pictures of cam0 as a") {
		t.Errorf("a source that ends: exit %d, %s", code, stdout)
	}
}
