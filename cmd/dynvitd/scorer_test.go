package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dynvit/vit"
)

// predicting is the file of a small model of random weights with predictors, whose metadata say more.
func predicting(t *testing.T, more map[string]string) string {
	t.Helper()
	c := vit.Config{Architecture: "vit", ImageSize: 32, PatchSize: 4, Width: 64, Depth: 8, Heads: 1, Hidden: 64, Classes: 9, Eps: 1e-6, SkipLam: 1,
		QKVBias: true, Resize: 32, Interpolation: "bicubic", Std: [3]float32{1, 1, 1}, PruneAt: []int{1, 2, 3}, Predictors: true}
	return randomModel(t, "predicting", vit.Random{Config: c, Seed: 4}, more)
}

// TestNamedScorer: what a model's file names is what commands prune by, and say.
func TestNamedScorer(t *testing.T) {
	for name, c := range map[string]struct {
		meta  map[string]string
		says  string
		stage string // what calibrate --stages says; "": it searches
	}{
		"nothing":         {nil, "pruned at blocks [1 2 3] (from 0) of the patches that the trained predictors score lowest, unless", "by the scorer predictor,"},
		"predictor+merge": {map[string]string{"scorer": "predictor+merge", "merge_at": "1,2"}, "pruned at blocks [1 2 3], by --scorer merge at [1 2], (from 0) of the patches that the trained predictors score lowest or that are most like others, into", "by the scorer predictor+merge,"},
		"attention":       {map[string]string{"scorer": "attention"}, "of the patches that attention scores lowest, unless", "by the scorer attention,"},
		"cls-attention":   {map[string]string{"scorer": "cls-attention"}, "of the patches that CLS's attention scores lowest, unless", "by the scorer cls-attention,"},
		"merge":           {map[string]string{"scorer": "merge", "merge_at": "1,2"}, "pruned at blocks [1 2], or where they are not merged [1 2 3], (from 0) of the patches that attention scores lowest or that", ""},
	} {
		model := predicting(t, c.meta)
		if stdout, stderr, code := outcome(t, dynvitd(t, "model", "info", model)); code != 0 || !strings.Contains(stdout, c.says) {
			t.Errorf("%s: exit %d, %q: %s", name, code, stderr, stdout)
		}
		out := filepath.Join(t.TempDir(), "o.safetensors")
		stdout, stderr, code := outcome(t, dynvitd(t, "calibrate", "--stages", "--model", model, "--data", "/nowhere", "-o", out))
		if c.stage != "" && (code != 2 || stdout != "" || !strings.Contains(stderr, c.stage)) || c.stage == "" && (code != 1 || !strings.Contains(stderr, "/nowhere")) {
			t.Errorf("%s: calibrate --stages: exit %d, %q", name, code, stderr)
		}
	}
	lacking := mergeable(t)
	before, err := os.ReadFile(lacking)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"predictor+merge", "auto", "dice"} {
		if stdout, stderr, code := outcome(t, dynvitd(t, "model", "import", lacking, "-o", lacking, "--scorer", name)); code != 1 || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "metadata scorer") || !strings.Contains(stderr, "(from flag)") {
			t.Errorf("import --scorer %s: exit %d, %q, %q", name, code, stdout, stderr)
		}
	}
	if after, err := os.ReadFile(lacking); err != nil || string(after) != string(before) {
		t.Errorf("the model is another, %v", err)
	}
}

// TestImportScorer: the file says what was given, and all else as before.
func TestImportScorer(t *testing.T) {
	model, out := predicting(t, nil), filepath.Join(t.TempDir(), "out.safetensors")
	if stdout, stderr, code := outcome(t, dynvitd(t, "model", "import", model, "-o", out, "--scorer", "predictor+merge")); code != 0 || !strings.Contains(stdout, "scorer") {
		t.Fatalf("exit %d, %q, %q", code, stdout, stderr)
	}
	if stdout, _, code := outcome(t, dynvitd(t, "classify", "--json", "--keep", "0.5", "--kept", "--model", out, picture)); code != 0 || !strings.Contains(stdout, `"groups"`) {
		t.Errorf("classify: exit %d, %s", code, stdout)
	}
	if stdout, _, code := outcome(t, dynvitd(t, "classify", "--json", "--keep", "0.5", "--kept", "--model", model, picture)); code != 0 || strings.Contains(stdout, `"groups"`) {
		t.Errorf("classify as before: exit %d, %s", code, stdout)
	}
}
