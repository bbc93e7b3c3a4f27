package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dynvit/models"
)

// TestModelsOfCameras: a model that a camera names and that is missing or broken is one
// line with its place, of a check and of a start, and exit code 78.
func TestModelsOfCameras(t *testing.T) {
	dir := t.TempDir()
	broken := write(t, dir, "broken.safetensors", strings.Repeat("no model ", 99))
	for keys, says := range map[string]string{
		"model: missing":                            "yaml:5:12: cameras.yard.model: model missing: not in the store",
		"models: [imagenette, missing]":             "yaml:5:13: cameras.yard.models: model missing: not in the store",
		"model: " + broken:                          "yaml:5:12: cameras.yard.model: model " + broken,
		"labels: [church, unicorn]":                 `yaml:5:13: cameras.yard.labels: "unicorn": model imagenette has no such label`,
		"models: {imagenette: {labels: [unicorn]}}": `cameras.yard.models.imagenette.labels: "unicorn": model imagenette has no such label`,
	} {
		file := write(t, dir, "box.yaml", "node: box\nmqtt: {broker: \"mqtt://127.0.0.1:1\"}\ncameras:\n  yard:\n    "+keys+"\n    source: \"test:\"\n")
		for _, args := range [][]string{{"config", "check", file}, {"run", "--config", file}} {
			stdout, stderr, code := outcome(t, dynvitd(t, args...))
			if code != 78 || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, says) {
				t.Errorf("%q: exit %d, %q, %q, want %s", args, code, stdout, stderr, says)
			}
		}
	}
	good := write(t, dir, "good.yaml", "node: box\nmqtt: {broker: embedded}\ncameras:\n  yard: {source: \"test:\", models: [imagenette]}\n")
	if _, stderr, code := outcome(t, dynvitd(t, "config", "check", good)); code != 0 || stderr != "" {
		t.Errorf("exit %d, %s", code, stderr)
	}
}

// TestRunOfSeveralModels: standard output says which model has seen what; two files of
// one backbone are looked at by one pass, which says the same of both.
func TestRunOfSeveralModels(t *testing.T) {
	store := t.TempDir()
	if err := os.WriteFile(filepath.Join(store, "twin.safetensors"), models.Default(), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, asJSON := range []bool{true, false} {
		args := []string{"run", "--source", "test:?frames=8&fps=10", "--keep", "0.7"}
		if asJSON {
			args = append(args, "--json")
		}
		c := dynvitd(t, args...)
		c.Env = append(c.Env, "DYNVIT_MODELS="+store, "DYNVIT_CAMERAS_CAM0_MODELS=imagenette,twin", "DYNVIT_CAMERAS_CAM0_STABLE=1")
		stdout, stderr, code := outcome(t, c)
		if code != 0 {
			t.Fatalf("exit %d, %s", code, stderr)
		}
		if !asJSON {
			if !strings.Contains(stdout, "  cam0  imagenette  ") || !strings.Contains(stdout, "  cam0  twin  ") {
				t.Errorf("%s", stdout)
			}
			continue
		}
		scores := map[string][]float64{}
		for line := range strings.Lines(stdout) {
			var one struct {
				Model string
				Score float64
			}
			if err := json.Unmarshal([]byte(line), &one); err != nil {
				t.Fatal(line, err)
			}
			scores[one.Model] = append(scores[one.Model], one.Score)
		}
		if len(scores) != 2 || len(scores["twin"]) == 0 || len(scores["twin"]) != len(scores["imagenette"]) {
			t.Fatalf("%v", scores)
		}
		for i, score := range scores["twin"] {
			if d := score - scores["imagenette"][i]; d > 0.001 || d < -0.001 {
				t.Errorf("frame %d: %v and %v", i, score, scores["imagenette"][i])
			}
		}
	}
}
