package vit

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"dynvit/backends"
	"dynvit/backends/all"
	"dynvit/camera"
	"dynvit/internal/needs"
	"dynvit/modelfile"
)

// eachBackend runs a test on every backend that this machine serves.
func eachBackend(t *testing.T, test func(t *testing.T, be backends.Backend)) {
	for _, candidate := range all.List() {
		t.Run(candidate.Name, func(t *testing.T) {
			be, err := candidate.Open(backends.Options{})
			if err != nil {
				t.Skip(err)
			}
			defer be.Close()
			test(t, be)
		})
	}
}

// tried tells which of photos by ratios a backend is tried with: all; but of one in plain Go, beside which this machine
// serves a faster one that is tried with all, each photo at one ratio, the next at the next.
func tried(t *testing.T, be backends.Backend, ratios int) func(photo, ratio int) bool {
	t.Helper()
	name := be.Facts().Name
	plain := name == backends.Ref || name == backends.Portable
	if !plain || fastest(t).Facts().Name == name {
		return func(int, int) bool { return true }
	}
	return func(photo, ratio int) bool { return photo%ratios == ratio }
}

// numbered are the numbers of different things, by when they come first.
type numbered[T comparable] struct{ seen []T }

func (n *numbered[T]) of(x T) int {
	i := slices.Index(n.seen, x)
	if i < 0 {
		i = len(n.seen)
		n.seen = append(n.seen, x)
	}
	return i
}

// mini is one of the small random models with every activation known.
type mini struct {
	config Config
	file   *modelfile.File
	golden *modelfile.File
}

func openMini(t *testing.T, name string) mini {
	t.Helper()
	file, err := modelfile.ReadPTH(needs.Shared(t, "golden", name, name+".pth"), "")
	if err != nil {
		t.Fatal(err)
	}
	golden, err := modelfile.Open(needs.Shared(t, "golden", name, "golden.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close(); golden.Close() })
	c, err := Infer(file, modelfile.Manifest{Heads: 2})
	if err != nil {
		t.Fatal(err)
	}
	return mini{c, file, golden}
}

// example returns part b of a golden tensor [B, …].
func (m mini) example(t *testing.T, name string, b int) []float32 {
	t.Helper()
	data, shape, err := m.golden.Float32(name)
	if err != nil {
		t.Fatal(err)
	}
	n := len(data) / shape[0]
	return data[b*n : (b+1)*n]
}

// keptSets returns the ids alive after each stage, in the reference's order.
func (m mini) keptSets(t *testing.T, keep string, b int) [][]int32 {
	t.Helper()
	return m.idSets(t, keep+".kept", b)
}

// idSets returns the patch ids that are given of each stage.
func (m mini) idSets(t *testing.T, of string, b int) [][]int32 {
	t.Helper()
	var sets [][]int32
	for s := range m.config.PruneAt {
		var ids []int32
		for _, v := range m.example(t, fmt.Sprintf("%s.%d", of, s), b) {
			ids = append(ids, int32(v))
		}
		sets = append(sets, ids)
	}
	return sets
}

// input turns a normalised picture [3, S, S] into what Run takes.
func (c Config) input(x []float32) []float32 {
	s, p := c.ImageSize, c.PatchSize
	out := make([]float32, len(x))
	for ch := range 3 {
		for y := range s {
			for xx := range s {
				at := (y/p*c.Grid()+xx/p)*3*p*p + ch*p*p + y%p*p + xx%p
				if c.ConvStem > 0 {
					at = 3*(y*s+xx) + ch
				}
				out[at] = x[ch*s*s+y*s+xx]
			}
		}
	}
	return out
}

// TestGolden compares every activation with PyTorch's, the kept sets forced to
// the reference's, within 2e-5 of the tensor's largest value (a wrong LayerNorm eps gives
// 6e-5). Short, as under emulation, of one example and ratio.
func TestGolden(t *testing.T) {
	for _, name := range []string{"mini_deit", "mini_lvvit"} {
		t.Run(name, func(t *testing.T) {
			m := openMini(t, name)
			eachBackend(t, func(t *testing.T, be backends.Backend) {
				w, err := Load(be, m.config, m.file, backends.F32)
				if err != nil {
					t.Fatal(err)
				}
				if testing.Short() {
					compareMini(t, m, be, w, 0.5, 1)
					return
				}
				for _, ratio := range []float64{0.7, 0.5} {
					for b := range 2 {
						compareMini(t, m, be, w, ratio, b)
					}
				}
			})
		})
	}
}

func compareMini(t *testing.T, m mini, be backends.Backend, w *Weights, ratio float64, b int) {
	t.Helper()
	keep := fmt.Sprintf("keep%v", ratio)
	plan, err := PlanFor(ratio, m.config.Patches(), len(m.config.PruneAt))
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSession(be, w, Predictor)
	if err != nil {
		t.Fatal(err)
	}
	input := m.config.input(m.example(t, "x", b))
	sets := m.keptSets(t, keep, b)
	free := Result{WantKept: true}
	if err := s.Run(input, plan, &free); err != nil {
		t.Fatal(err)
	}
	for k, ids := range sets {
		want := slices.Sorted(slices.Values(ids))
		if !slices.Equal(free.Kept[k], want) {
			t.Errorf("%s example %d stage %d: free-running keeps another set", keep, b, k)
		}
		s.forced = append(s.forced, want)
	}
	worst, at := 0.0, ""
	s.probe = func(name string, x backends.Tensor) {
		got := make([]float32, x.Rows*x.Cols)
		if err := be.Download(got, x); err != nil {
			t.Fatal(err)
		}
		want := m.inOrder(t, keep+"."+name, name, b, x.Rows, sets)
		if d := relative(got, want[:len(got)]); d > worst {
			worst, at = d, name
		}
	}
	var r Result
	if err := s.Run(input, plan, &r); err != nil {
		t.Fatal(err)
	}
	if d := relative(r.Logits, m.example(t, keep+".logits", b)); d > worst {
		worst, at = d, "logits"
	}
	t.Logf("%s example %d: largest difference %.2g (%s)", keep, b, worst, at)
	if worst > 2e-5 {
		t.Errorf("%s example %d: %s differs by %.2g of its largest value, want at most 2e-5", keep, b, at, worst)
	}
}

// inOrder is a golden activation with its rows in ascending order of patch id;
// the reference leaves them in the order of score. Scores become keep minus drop
// as the golden file has column 0 of LogSoftmax: there logit difference is
// log(p/(1-p)).
func (m mini) inOrder(t *testing.T, key, name string, b, rows int, sets [][]int32) []float32 {
	t.Helper()
	data := m.example(t, key, b)
	var block, stage int
	cls := 1
	order := -1 // which set orders the rows
	if n, _ := fmt.Sscanf(name, "score.%d", &stage); n == 1 {
		cls, order = 0, stage-1
		data = slices.Clone(data)
		for i, v := range data {
			data[i] = v - float32(math.Log(-math.Expm1(float64(v))))
		}
	} else if n, _ := fmt.Sscanf(name, "block.%d", &block); n == 1 {
		for k, at := range m.config.PruneAt {
			if block >= at {
				order = k
			}
		}
	}
	if order < 0 {
		return data
	}
	ids := sets[order]
	d := len(data) / (len(ids) + cls)
	sorted := slices.Sorted(slices.Values(ids))
	out := slices.Clone(data)
	for i, id := range ids {
		to, _ := slices.BinarySearch(sorted, id)
		copy(out[(to+cls)*d:(to+cls+1)*d], data[(i+cls)*d:])
	}
	return out
}

// relative is the largest difference over the largest value wanted.
func relative(got, want []float32) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	most, largest := 0.0, 0.0
	for i, v := range got {
		most = max(most, math.Abs(float64(v)-float64(want[i])))
		largest = max(largest, math.Abs(float64(want[i])))
	}
	return most / largest
}

// TestDeiTTiny runs real weights with seeded predictors on photos at six keep
// ratios: logits within 1e-4, kept sets equal but for ties inside 1e-4.
func TestDeiTTiny(t *testing.T) {
	data, err := os.ReadFile(needs.Shared(t, "golden", "deit_tiny", "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Cases []struct {
			Image     string    `json:"image"`
			KeepRatio float64   `json:"keep_ratio"`
			Logits    []float32 `json:"logits"`
			Kept      [][]int32 `json:"kept"`
		} `json:"cases"`
	}
	if err := json.Unmarshal(data, &golden); err != nil || len(golden.Cases) < 36 {
		t.Fatal(len(golden.Cases), err)
	}
	model, err := modelfile.Open(needs.Shared(t, "models", "deit_tiny_patch16_224.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer model.Close()
	predictors, err := modelfile.Open(needs.Shared(t, "golden", "deit_tiny", "predictors.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer predictors.Close()
	c, err := Read(model)
	if err != nil {
		t.Fatal(err)
	}
	tensors, c, err := AddPredictors(c, model, predictors)
	if err != nil {
		t.Fatal(err)
	}
	inputs := map[string][]float32{}
	eachBackend(t, func(t *testing.T, be backends.Backend) {
		s := predicting(t, be, c, tensors)
		worst, cases := 0.0, 0
		tries := tried(t, be, 6)
		var photos numbered[string]
		var ratios numbered[float64]
		for _, g := range golden.Cases {
			if !tries(photos.of(g.Image), ratios.of(g.KeepRatio)) {
				continue
			}
			cases++
			if inputs[g.Image] == nil {
				inputs[g.Image] = pixels(t, c, camera.PNG, needs.Shared(t, "golden", "deit_tiny", filepath.Base(g.Image)))
			}
			plan, err := PlanFor(g.KeepRatio, c.Patches(), 3)
			if err != nil {
				t.Fatal(err)
			}
			r := Result{WantKept: true}
			if err := s.Run(inputs[g.Image], plan, &r); err != nil {
				t.Fatal(err)
			}
			for k, want := range g.Kept {
				if !slices.Equal(r.Kept[k], want) {
					t.Errorf("%s keep %v stage %d: another set", g.Image, g.KeepRatio, k)
				}
			}
			for j, v := range r.Logits {
				worst = max(worst, math.Abs(float64(v-g.Logits[j])))
			}
		}
		t.Logf("%d cases, largest difference of a logit %.2g", cases, worst)
		if cases < 6 || worst > 1e-4 {
			t.Errorf("%d cases, logits differ by %.2g, want at most 1e-4", cases, worst)
		}
	})
}

// predicting is a session in f32 that prunes by the model's predictors.
func predicting(t *testing.T, be backends.Backend, c Config, src Tensors) *Session {
	t.Helper()
	return sessionOf(t, be, c, src, backends.F32, Predictor)
}
