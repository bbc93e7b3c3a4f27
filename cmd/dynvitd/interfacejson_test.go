package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"dynvit/calibrate"
	"dynvit/classroom"
	"dynvit/stages"
	"dynvit/teach"
)

// examples are the page's, by the words after "json" on their fence.
func examples(t *testing.T) map[string]any {
	t.Helper()
	found := map[string]any{}
	for _, m := range regexp.MustCompile("(?m)^```json (.+)\n(.+)\n```$").FindAllStringSubmatch(string(page(t)), -1) {
		var v any
		if err := json.Unmarshal([]byte(m[2]), &v); err != nil {
			t.Fatalf("example %s: %v", m[1], err)
		}
		found[m[1]] = v
	}
	return found
}

// alike holds an example to what the program gave: the same fields of the same
// kinds, those in optional on one side at most. A null stands for any kind, and an
// empty list for any list. Cameras have names of their own.
func alike(t *testing.T, what string, example, real any, optional ...string) {
	t.Helper()
	switch example := example.(type) {
	case map[string]any:
		real, ok := real.(map[string]any)
		if !ok {
			t.Errorf("%s: the page has an object, the program none", what)
			return
		}
		example, real = unnamed(what, example), unnamed(what, real)
		for _, name := range fieldsOf(example, real) {
			e, shown := example[name]
			r, given := real[name]
			if shown && given {
				alike(t, what+"."+name, e, r, optional...)
			} else if !slices.Contains(optional, name) {
				t.Errorf("%s.%s: on the page %v, given by the program %v", what, name, shown, given)
			}
		}
	case []any:
		list, ok := real.([]any)
		if !ok {
			t.Errorf("%s: the page has a list, the program none", what)
		}
		for _, r := range list {
			if len(example) > 0 {
				alike(t, what+"[]", example[0], r, optional...)
			}
		}
	default:
		if example != nil && real != nil && fmt.Sprintf("%T", example) != fmt.Sprintf("%T", real) {
			t.Errorf("%s: the page has %v, the program %v", what, example, real)
		}
	}
}

func fieldsOf(a, b map[string]any) []string {
	names := append(slices.Collect(maps.Keys(a)), slices.Collect(maps.Keys(b))...)
	slices.Sort(names)
	return slices.Compact(names)
}

// unnamed calls all entries of an object of cameras alike.
func unnamed(what string, o map[string]any) map[string]any {
	if !strings.HasSuffix(what, ".cameras") {
		return o
	}
	for _, one := range o {
		return map[string]any{"<name>": one}
	}
	return o
}

// answer is the JSON of a command that does not fail.
func answerOf(t *testing.T, args ...string) any {
	t.Helper()
	stdout, stderr, code := outcome(t, dynvitd(t, args...))
	var v any
	if err := json.Unmarshal([]byte(stdout), &v); err != nil || code != 0 {
		t.Fatalf("dynvitd %s: exit %d, %v, stdout %q, stderr %q", strings.Join(args, " "), code, err, stdout, stderr)
	}
	return v
}

// TestInterfaceJSON: the examples of the commands have the fields that the
// commands print.
func TestInterfaceJSON(t *testing.T) {
	dir := t.TempDir()
	data, err := os.ReadFile(picture)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "0_a.jpg", string(data))
	out := t.TempDir()
	page := examples(t)
	for name, args := range map[string][]string{
		"classify":      {"classify", "--logits", "--features", "--kept", "--keep", "0.7", "--scorer", "predictor+merge", picture},
		"eval":          {"eval", "--keep", "0.7", "--data", dir},
		"bench":         {"bench", "--seconds", "0.01"},
		"bench gemm":    {"bench", "gemm", "--seconds", "0.001", "--rows", "4", "--width", "64", "--precision", "f32"},
		"visualize":     {"visualize", "--scorer", "predictor+merge", picture, "-o", filepath.Join(out, "a.png")},
		"visualize DIR": {"visualize", dir, "-o", filepath.Join(out, "a.html")},
		"devices":       {"devices"},
	} {
		alike(t, name, page[name], answerOf(t, append(args, "--json")...), map[string][]string{
			"devices": {"precisions"}, "eval": {"none"}, "bench": {"governor", "gpu", "temperature_c"},
		}[name]...)
	}
}

// TestInterfaceCalibrate: its JSON is a Table's.
func TestInterfaceCalibrate(t *testing.T) {
	unknown := []string{"broken", "labelled", "classes", "rarest", "accuracy", "accuracy_ci95", "right", "governor", "gpu", "temperature_c", "partial"}
	text, stderr, code := calibrated(t, 30*time.Second, nil, "calibrate", "--json", "--budget", "1m", "--model", smallModel(t), "--keep", "0.7", "--precision", "f32", "--threads", "1",
		"--data", filepath.Dir(picture), "--percentile", "50", "-o", filepath.Join(t.TempDir(), "c.json"))
	var real any
	if err := json.Unmarshal([]byte(text), &real); err != nil || code != 0 {
		t.Fatalf("exit %d, %v, stdout %q, stderr %q", code, err, text, stderr)
	}
	page := examples(t)
	set := stages.Set{Stages: []int{1}, Points: []stages.Point{{Keep: []int{1}}}}
	alike(t, "calibrate --stages", page["calibrate --stages"], encoded(t, foundStages{Written: "x", Found: stages.Found{Usual: set, Best: set, Tried: []stages.Set{set}, Finalists: []stages.Set{set}}}))
	alike(t, "calibrate", page["calibrate"], real, unknown...)
	point := calibrate.Measured{Point: calibrate.Point{Plan: calibrate.Plan{Keep: []int{1}, Tokens: []int{2}}}}
	alike(t, "bench calibrate", page["bench calibrate"], encoded(t, []kept{{Choice: point, Runs: []float64{1}}}))
}

// TestInterfaceStructures: what a test's machine need not have, a camera and a
// model in the store.
func TestInterfaceStructures(t *testing.T) {
	page := examples(t)
	devices := page["devices"].(map[string]any)["cameras"]
	camera := cameraDevice{Links: []string{""}, Formats: []cameraFormat{{Sizes: []cameraSize{{FPS: []float64{30}}}}}}
	alike(t, "devices", devices, encoded(t, []cameraDevice{camera}))
	report := &teach.Report{Classes: []teach.Class{{}}, ByKeep: []teach.AtKeep{{}}, Confusion: [][]int{{1}}, Doubtful: []teach.Doubtful{{}}, Curve: []teach.Point{{}}, Expected: new(teach.Point), Notes: []string{""}, Remarks: []teach.Remark{{Label: "open", Share: 0.5, Pictures: 1, Want: 1}}}
	alike(t, "teach", page["teach"], encoded(t, taught{Report: report}))
	alike(t, "capture", page["capture"], encoded(t, captured{}))
	labels := []classroom.Label{{Pictures: []classroom.Picture{{}}}}
	alike(t, "teaching", page["/page/teach/<name>"], encoded(t, classroom.Camera{InForce: new(classroom.InForce), Labels: labels}))
	c := dynvitd(t, "model", "pull", "deit-tiny", "--json")
	store := t.TempDir()
	write(t, store, "deit-tiny.safetensors", "")
	c.Env = append(c.Env, "DYNVIT_MODELS="+store)
	stdout, stderr, code := outcome(t, c)
	var pulled any
	if err := json.Unmarshal([]byte(stdout), &pulled); err != nil || code != 0 {
		t.Fatal(code, err, stderr)
	}
	alike(t, "model pull", page["model pull"], pulled)
}

func encoded(t *testing.T, v any) (decoded any) {
	t.Helper()
	data, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(data, &decoded)
	}
	if err != nil {
		t.Fatal(err)
	}
	return decoded
}

// TestInterfaceExamples: no example is left that no test looks at.
func TestInterfaceExamples(t *testing.T) {
	var have []string
	for name := range examples(t) {
		have = append(have, name)
	}
	want := []string{"classify", "eval", "bench", "bench gemm", "bench calibrate", "calibrate", "calibrate --stages", "visualize", "visualize DIR", "devices", "teach", "capture", "model pull", "/readyz", "/page/teach/<name>"}
	for _, topic := range topicRows(t) {
		if !topic.words {
			want = append(want, topic.name)
		}
	}
	same(t, "examples", have, want)
}
