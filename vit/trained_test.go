package vit

import (
	"encoding/json"
	"fmt"
	"image/png"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dynvit/backends"
	"dynvit/backends/all"
	"dynvit/camera"
	"dynvit/internal/needs"
	"dynvit/modelfile"
	"dynvit/models"
	"dynvit/preprocess"
)

// scenes are small drawings; the golden files were computed from them by
// PyTorch (python -m dynvit_train golden --brief --enlarge) in this order.
var scenes = []string{"cassette", "church", "gaspump", "golfball", "parachute"}

// shipped are the trained weights that the program carries, pruned as auto does it; their
// golden files are testdata/<name>.safetensors and <name>_answers.json.
var shipped = map[string]func(t *testing.T) (Config, Tensors){
	"imagenette": func(t *testing.T) (Config, Tensors) { return opened(t, modelfile.Parse, models.Default()) },
	"imagenette_predictor": func(t *testing.T) (Config, Tensors) {
		c, f := opened(t, modelfile.Parse, models.Default())
		c.Scorer = Predictor.String()
		return c, f
	},
	"deit_tiny": func(t *testing.T) (Config, Tensors) {
		c, f := opened(t, modelfile.Open, needs.Shared(t, "models", "deit_tiny_patch16_224.safetensors"))
		p, err := modelfile.Open("../models/deit_tiny_predictors.safetensors")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close() })
		tensors, c, err := AddPredictors(c, f, p)
		if err != nil {
			t.Fatal(err)
		}
		return c, tensors
	},
}

func opened[From any](t *testing.T, open func(From) (*modelfile.File, error), from From) (Config, *modelfile.File) {
	t.Helper()
	f, err := open(from)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	c, err := Read(f)
	if err != nil {
		t.Fatal(err)
	}
	return c, f
}

// TestShippedEqualsPyTorch: shipped weights keep the same patches, merge the same ones and
// give the same logits within 1e-3, dense and pruned, on every backend.
func TestShippedEqualsPyTorch(t *testing.T) {
	for name, load := range shipped {
		t.Run(name, func(t *testing.T) {
			c, tensors := load(t)
			equalsPyTorch(t, c, tensors, filepath.Join("testdata", name+".safetensors"))
		})
	}
}

func equalsPyTorch(t *testing.T, c Config, tensors Tensors, path string) {
	golden, err := modelfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { golden.Close() })
	m := mini{config: c, golden: golden}
	eachBackend(t, func(t *testing.T, be backends.Backend) {
		s := usually(t, be, c, tensors)
		worst := 0.0
		keeps := []float64{1, 0.7, 0.5}
		tries := tried(t, be, len(keeps))
		for k, keep := range keeps {
			plan, err := PlanFor(keep, c.Patches(), len(c.PruneAt))
			if err != nil {
				t.Fatal(err)
			}
			for b, name := range scenes {
				if !tries(b, k) {
					continue
				}
				r := Result{WantKept: true}
				if err := s.Run(drawing(t, c, name), plan, &r); err != nil {
					t.Fatal(err)
				}
				key := fmt.Sprintf("keep%v", keep)
				if keep < 1 {
					sameSets(t, fmt.Sprintf("%s keep %v: kept", name, keep), r.Kept, m.idSets(t, key+".kept", b))
				}
				if s.scorer.Merges() {
					sameSets(t, fmt.Sprintf("%s keep %v: groups", name, keep), r.Groups, m.idSets(t, key+".groups", b))
				}
				for i, want := range m.example(t, key+".logits", b) {
					worst = max(worst, math.Abs(float64(r.Logits[i]-want)))
				}
			}
		}
		t.Logf("largest difference of a logit %.2g", worst)
		if worst > 1e-3 {
			t.Errorf("logits differ by %.2g, want at most 1e-3", worst)
		}
	})
}

func sameSets(t *testing.T, of string, got, want [][]int32) {
	t.Helper()
	for stage := range want {
		if len(got) != len(want) || !slices.Equal(got[stage], want[stage]) {
			t.Errorf("%s, stage %d: others than PyTorch's", of, stage)
		}
	}
}

// usually is a session by the scorer that auto is.
func usually(t *testing.T, be backends.Backend, c Config, src Tensors) *Session {
	t.Helper()
	_, merges := be.(backends.Merger)
	scorer, err := ParseScorer("auto", c, merges)
	if err != nil {
		t.Fatal(err)
	}
	return sessionOf(t, be, c, src, backends.F32, scorer)
}

// drawing reads a small square PNG and repeats its pixels to the model's size,
// so that no resizing has a say.
func drawing(t *testing.T, c Config, name string) []float32 {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name+".png"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	picture, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	size, times := c.ImageSize, c.ImageSize/picture.Bounds().Dx()
	x := make([]float32, 3*size*size)
	for row := range size {
		for column := range size {
			r, g, b, _ := picture.At(column/times, row/times).RGBA()
			for ch, v := range []uint32{r, g, b} {
				x[(ch*size+row)*size+column] = (float32(v>>8)/255 - c.Mean[ch]) / c.Std[ch]
			}
		}
	}
	return c.input(x)
}

// TestShippedAnswersAsPyTorch compares top-1 on the validation pictures:
// every 16th, all of them with DYNVIT_EVERY_PICTURE=1 (5 min).
func TestShippedAnswersAsPyTorch(t *testing.T) {
	if testing.Short() {
		t.Skip("needs more than a short run: it runs models on photos")
	}
	for name, load := range shipped {
		t.Run(name, func(t *testing.T) {
			c, tensors := load(t)
			answersAsPyTorch(t, c, tensors, filepath.Join("testdata", name+"_answers.json"))
		})
	}
}

func answersAsPyTorch(t *testing.T, c Config, tensors Tensors, path string) {
	root := needs.Shared(t, "data", "imagenette160", "val")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Pictures int              `json:"pictures"`
		Answers  map[string][]int `json:"answers"`
		Ties     map[string][]int `json:"ties"`
	}
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	paths := pictures(t, root)
	if len(paths) != want.Pictures || len(want.Answers) < 2 {
		t.Fatalf("%d pictures and %d ratios, want %d and at least 2", len(paths), len(want.Answers), want.Pictures)
	}
	step := 16
	if os.Getenv("DYNVIT_EVERY_PICTURE") != "" {
		step = 1
	}
	s := usually(t, fastest(t), c, tensors)
	for i := 0; i < len(paths); i += step {
		input := pixels(t, c, camera.JPEG, paths[i])
		for keep, answers := range want.Answers {
			var ratio float64
			if _, err := fmt.Sscan(keep, &ratio); err != nil {
				t.Fatal(err)
			}
			plan, err := PlanFor(ratio, c.Patches(), len(c.PruneAt))
			if err != nil {
				t.Fatal(err)
			}
			var r Result
			if err := s.Run(input, plan, &r); err != nil {
				t.Fatal(err)
			}
			got := slices.Index(r.Logits, slices.Max(r.Logits))
			if got != answers[i] && !slices.Contains(want.Ties[keep], i) {
				t.Errorf("%s keep %s: class %d, PyTorch says %d (%v)", paths[i], keep, got, answers[i], r.Logits)
			}
		}
	}
}

// pictures are the files below root in the order of their paths.
func pictures(t *testing.T, root string) []string {
	t.Helper()
	var paths []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.EqualFold(filepath.Ext(path), ".jpeg") {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(paths)
	return paths
}

func fastest(t *testing.T) backends.Backend {
	t.Helper()
	be, _, err := backends.Pick(all.List(), "auto", backends.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { be.Close() })
	return be
}

// pixels is a picture as the model takes it.
func pixels(t *testing.T, c Config, format camera.Format, path string) []float32 {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := preprocess.New(preprocess.Spec{Size: c.ImageSize, Resize: c.Resize, Mean: c.Mean, Std: c.Std, Patch: c.PatchSize})
	if err != nil {
		t.Fatal(err)
	}
	input := make([]float32, p.Len())
	if err := p.Do(input, &camera.Frame{Format: format, Data: data}, preprocess.Whole); err != nil {
		t.Fatal(err)
	}
	return input
}
