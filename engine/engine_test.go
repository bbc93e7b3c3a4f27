package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"dynvit/backends"
	"dynvit/backends/all"
	"dynvit/backends/ref"
	"dynvit/camera"
	"dynvit/camera/files"
	"dynvit/internal/needs"
	"dynvit/modelfile"
	"dynvit/preprocess"
	"dynvit/vit"
)

func open(t *testing.T, o Options) *Engine {
	t.Helper()
	e, err := Open(o, all.List())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// grey is a frame of waves, no picture of anything.
func grey() *camera.Frame {
	f := &camera.Frame{Format: camera.RGB24, Width: 320, Height: 240, Data: make([]byte, 320*240*3)}
	for i := range f.Data {
		f.Data[i] = byte(128 + 100*math.Sin(float64(i)/977))
	}
	return f
}

// TestDefault: the embedded model opens, prunes as planned, and its scores are a
// distribution in descending order.
func TestDefault(t *testing.T) {
	e := open(t, Options{})
	info := e.Info()
	if info.Model != "imagenette" || info.Classes != 10 || info.Patches != 196 || info.Scorer != "predictor+merge" || len(info.SHA256) != 64 {
		t.Errorf("%+v", info)
	}
	plan, err := e.Plan(vit.Keep{})
	if err != nil {
		t.Fatal(err)
	}
	r := Result{TopN: 3, WantKept: true}
	if err := e.Classify(&r, grey(), preprocess.Whole, plan); err != nil {
		t.Fatal(err)
	}
	if want := []int{197, 138, 97, 68}; !slices.Equal(r.Tokens, want) || len(r.Kept[2]) != 67 || !slices.IsSorted(r.Kept[2]) {
		t.Errorf("tokens %v, want %v; kept %v", r.Tokens, want, r.Kept)
	}
	sum := 0.0
	for _, s := range r.Scores {
		sum += float64(s)
	}
	if math.Abs(sum-1) > 1e-5 || len(r.Top) != 3 || r.Scores[r.Top[0]] < r.Scores[r.Top[1]] {
		t.Errorf("scores %v top %v", r.Scores, r.Top)
	}
}

// TestPicture: what the model was shown is there for who wants it, and follows the
// frame and the region; nothing is for who does not.
func TestPicture(t *testing.T) {
	e := open(t, Options{})
	plan, err := e.Plan(vit.Keep{})
	if err != nil {
		t.Fatal(err)
	}
	f := &camera.Frame{Format: camera.RGB24, Width: 320, Height: 320, Data: make([]byte, 320*320*3)}
	for i := range 320 * 320 {
		f.Data[3*i+i%320/160*2] = 200 // red left, blue right
	}
	r := Result{WantPicture: true}
	at := func(x int) [3]byte { return [3]byte(r.Picture[3*(112*224+x):]) }
	if err := e.Classify(&r, f, preprocess.Whole, plan); err != nil {
		t.Fatal(err)
	}
	if len(r.Picture) != 224*224*3 || at(20) != [3]byte{200, 0, 0} || at(200) != [3]byte{0, 0, 200} {
		t.Errorf("%d bytes, left %v, right %v", len(r.Picture), at(20), at(200))
	}
	if err := e.Classify(&r, f, preprocess.Region{X0: 0.5, X1: 1, Y1: 1}, plan); err != nil || at(20) != [3]byte{0, 0, 200} {
		t.Errorf("of the right half: left %v, %v", at(20), err)
	}
	r.WantPicture = false
	if err := e.Classify(&r, f, preprocess.Whole, plan); err != nil || r.Picture != nil {
		t.Errorf("%d bytes that nobody wanted, %v", len(r.Picture), err)
	}
}

// allocRuns are enough that what the runtime allocates on its own now and then,
// which is counted too, is less than one a run.
const allocRuns = 10

// TestNoAllocations: from pixels in hand to the ranked result nothing is
// allocated after the first frame, pruned or dense, in every precision that there is.
func TestNoAllocations(t *testing.T) {
	if testing.Short() {
		t.Skip("slow under the race detector")
	}
	for _, precision := range open(t, Options{}).Precisions() {
		e := open(t, Options{Precision: precision, Threads: 2})
		for _, ratio := range []float64{0.7, 1} {
			plan, err := e.Plan(vit.Keep{Ratio: ratio})
			if err != nil {
				t.Fatal(err)
			}
			f := grey()
			var r Result
			n := testing.AllocsPerRun(allocRuns, func() {
				if err := e.Classify(&r, f, preprocess.Whole, plan); err != nil {
					t.Fatal(err)
				}
			})
			if n != 0 {
				t.Errorf("%s keep %v: %v allocations a frame", precision, ratio, n)
			}
		}
	}
}

// TestPrecisions: the golden photos get the same first class in every precision that there is, at the
// class that their file's name says.
// watcher notes what it is shown.
type watcher struct {
	thumbnail   preprocess.Thumbnail
	shown, seen int
	wants       bool
}

func (w *watcher) Thumbnail() *preprocess.Thumbnail { return &w.thumbnail }
func (w *watcher) Looks(seen bool) bool {
	w.shown++
	if seen {
		w.seen++
	}
	return w.wants
}

// TestWatcher: it decides whether the model runs, changes no answer, and costs no memory.
func TestWatcher(t *testing.T) {
	e := open(t, Options{})
	plan, err := e.Plan(vit.Keep{})
	if err != nil {
		t.Fatal(err)
	}
	var f camera.Frame
	if err := files.ReadPicture(&f, "../preprocess/testdata/drawn_420.jpg"); err != nil {
		t.Fatal(err)
	}
	var alone, watched Result
	w := &watcher{wants: true}
	watched.Watcher = w
	if err := errors.Join(e.Classify(&alone, &f, preprocess.Whole, plan), e.Classify(&watched, &f, preprocess.Whole, plan)); err != nil {
		t.Fatal(err)
	}
	var want preprocess.Thumbnail
	if err := new(preprocess.Thumbnailer).Make(&want, &f, preprocess.Whole); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(alone.Logits, watched.Logits) || w.shown != 1 || w.seen != 1 || w.thumbnail != want {
		t.Errorf("shown %d times, %d thumbnails; the logits are equal: %v, the thumbnail: %v", w.shown, w.seen, slices.Equal(alone.Logits, watched.Logits), w.thumbnail == want)
	}
	if n := testing.AllocsPerRun(allocRuns, func() { e.Classify(&watched, &f, preprocess.Whole, plan) }); n != 0 && !testing.Short() {
		t.Errorf("%v allocations a frame", n)
	}
	w.wants, watched.Logits = false, nil
	if err := e.Classify(&watched, &f, preprocess.Whole, plan); !errors.Is(err, ErrStill) || watched.Logits != nil {
		t.Errorf("%v, %d logits of a frame that was not wanted", err, len(watched.Logits))
	}
	f.Data = f.Data[:len(f.Data)/2]
	w.shown = 0
	if err := e.Classify(&watched, &f, preprocess.Whole, plan); err == nil || errors.Is(err, ErrStill) || w.shown != 0 {
		t.Errorf("of half a picture: %v, shown %d times", err, w.shown)
	}
}

func TestPrecisions(t *testing.T) {
	if testing.Short() {
		t.Skip("slow under the race detector")
	}
	photos, _ := filepath.Glob(filepath.Join(needs.Shared(t, "golden", "deit_tiny"), "n*.png"))
	if len(photos) == 0 {
		t.Fatal("no photos in ../shared/golden/deit_tiny")
	}
	for _, precision := range open(t, Options{}).Precisions() {
		e := open(t, Options{Precision: precision})
		plan, err := e.Plan(vit.Keep{Ratio: 0.7})
		if err != nil {
			t.Fatal(err)
		}
		for _, photo := range photos {
			var f camera.Frame
			if err := files.ReadPicture(&f, photo); err != nil {
				t.Fatal(err)
			}
			var r Result
			if err := e.Classify(&r, &f, preprocess.Whole, plan); err != nil {
				t.Fatal(err)
			}
			synset, _, _ := strings.Cut(filepath.Base(photo), "_")
			if want := e.Class(synset); r.Top[0] != want {
				t.Errorf("%s %s: %s, want %s", precision, photo, e.Label(r.Top[0]), e.Label(want))
			}
		}
	}
}

// TestStem: a model with a convolutional stem (pixels, not patches) and an
// auxiliary head prunes as planned and looks at the picture.
func TestStem(t *testing.T) {
	if testing.Short() {
		t.Skip("slow under the race detector")
	}
	e := open(t, Options{Arch: "lvvit_small", Precision: "f32"})
	plan, err := e.Plan(vit.Keep{Ratio: 0.7})
	if err != nil {
		t.Fatal(err)
	}
	r := Result{WantKept: true}
	var logits [][]float32
	for _, f := range []*camera.Frame{grey(), {Format: camera.GREY, Width: 300, Height: 300, Data: make([]byte, 300*300)}, grey()} {
		if err := e.Classify(&r, f, preprocess.Whole, plan); err != nil {
			t.Fatal(err)
		}
		logits = append(logits, slices.Clone(r.Logits))
	}
	if want := []int{197, 138, 97, 68}; !slices.Equal(r.Tokens, want) || len(r.Kept[2]) != 67 || len(r.Logits) != 1000 {
		t.Errorf("tokens %v, want %v; %d logits", r.Tokens, want, len(r.Logits))
	}
	if slices.Equal(logits[0], logits[1]) || !slices.Equal(logits[0], logits[2]) {
		t.Error("the logits do not follow the picture")
	}
}

// TestCloseEndsGoroutines: none is left of the backend's threads.
func TestCloseEndsGoroutines(t *testing.T) {
	awaitNoWorkers(t) // of tests before
	for range 3 {
		e, err := Open(Options{Threads: 4}, all.List())
		if err != nil {
			t.Fatal(err)
		}
		if workers() == 0 {
			t.Error("no goroutine was started: the test looks at nothing")
		}
		if err := errors.Join(e.Close(), e.Close()); err != nil {
			t.Fatal(err)
		}
	}
	awaitNoWorkers(t)
}

// workers counts the goroutines that run a backend's code.
func workers() (n int) {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for stack := range bytes.SplitSeq(stacks, []byte("\n\n")) {
		if bytes.Contains(stack, []byte("dynvit/backends/")) {
			n++
		}
	}
	return n
}

// awaitNoWorkers waits for goroutines that have nothing left to do, which the
// system may not have let end yet.
func awaitNoWorkers(t *testing.T) {
	t.Helper()
	const patience = time.Minute
	for start := time.Now(); workers() > 0; time.Sleep(time.Millisecond) {
		if time.Since(start) > patience {
			t.Fatalf("%d goroutines of a backend are left", workers())
		}
	}
}

func TestDamagedPicture(t *testing.T) {
	e := open(t, Options{})
	plan, err := e.Plan(vit.Keep{Ratio: 0.5})
	if err != nil {
		t.Fatal(err)
	}
	var r Result
	if err := e.Classify(&r, &camera.Frame{Format: camera.JPEG, Data: []byte("no")}, preprocess.Whole, plan); err == nil {
		t.Error("no error")
	}
	if err := e.Classify(&r, grey(), preprocess.Whole, plan); err != nil {
		t.Error("not usable afterwards:", err)
	}
}

// small is a backend without memory for a model's activations.
type small struct{ backends.Backend }

func (s small) Alloc(rows, cols int) (backends.Tensor, error) {
	return backends.Tensor{}, fmt.Errorf("small: %w: %d rows", backends.ErrNoMemory, rows)
}

// TestNoMemory: a model that a device has no memory for is opened on the next, and that
// is said; but not where the device was asked for by name.
func TestNoMemory(t *testing.T) {
	closed := 0
	list := append([]backends.Candidate{{Name: backends.Ref, Auto: true, Open: func(o backends.Options) (backends.Backend, error) {
		be, err := ref.Open(o)
		return closing{small{be}, &closed}, err
	}}}, all.List()...)
	e, err := Open(Options{}, list)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if i := e.Info(); i.Backend == backends.Ref || !strings.HasPrefix(i.Why, "ref: small: out of memory: ") || closed != 1 {
		t.Errorf("%s, %q, closed %d times", i.Backend, i.Why, closed)
	}
	if _, err := Open(Options{Backend: backends.Ref}, list[:1]); !errors.Is(err, backends.ErrNoMemory) {
		t.Errorf("by name: %v", err)
	}
}

// closing counts Close.
type closing struct {
	backends.Backend
	times *int
}

func (c closing) Close() error { *c.times++; return c.Backend.Close() }

// TestAutoScorer: merge is for models without predictors, on backends that merge.
func TestAutoScorer(t *testing.T) {
	bare := filepath.Join(t.TempDir(), "bare.safetensors")
	writeSmall(t, bare, 0)
	dropping, named, lacking := naming(t, "", true), naming(t, "predictor+merge", true), naming(t, "predictor+merge", false)
	plain := []backends.Candidate{{Name: backends.Portable, Auto: true, Open: func(o backends.Options) (backends.Backend, error) {
		be, _, err := backends.Pick(all.List(), backends.Portable, o)
		return struct{ backends.Backend }{be}, err
	}}}
	for name, c := range map[string]struct {
		o          Options
		candidates []backends.Candidate
		want       string
	}{
		"no predictors":                    {Options{Model: bare}, all.List(), "merge"},
		"auto, no predictors":              {Options{Model: bare, Scorer: "auto"}, all.List(), "merge"},
		"predictors":                       {Options{Model: dropping}, all.List(), "predictor"},
		"what its file names":              {Options{Model: named}, all.List(), "predictor+merge"},
		"named, but another asked for":     {Options{Model: named, Scorer: "attention"}, all.List(), "attention"},
		"named, a plain backend":           {Options{Model: named}, plain, "predictor"},
		"named, but it has none":           {Options{Model: lacking}, all.List(), "metadata scorer predictor+merge: the model has no predictors"},
		"no predictors, a plain backend":   {Options{Model: bare}, plain, "attention"},
		"predictors to merge by":           {Options{Scorer: "predictor+merge"}, all.List(), "predictor+merge"},
		"what a plain backend cannot do":   {Options{Model: bare, Scorer: "merge"}, plain, "scorer merge: the backend portable merges no patches (use attention)"},
		"no predictors that could be used": {Options{Model: bare, Scorer: "predictor+merge"}, all.List(), "scorer predictor+merge: the model has no predictors"},
	} {
		e, err := Open(c.o, c.candidates)
		if err != nil {
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want %s", name, err, c.want)
			}
			continue
		}
		if got := e.Info().Scorer; got != c.want {
			t.Errorf("%s: scorer %s, want %s", name, got, c.want)
		}
		e.Close()
	}
}

func TestOpenErrors(t *testing.T) {
	nan, bare := filepath.Join(t.TempDir(), "nan.safetensors"), filepath.Join(t.TempDir(), "bare.safetensors")
	writeSmall(t, nan, float32(math.NaN()))
	writeSmall(t, bare, 0)
	refuses := []backends.Candidate{{Name: "none", Auto: true, Open: func(backends.Options) (backends.Backend, error) {
		return nil, fmt.Errorf("%w: no such thing", backends.ErrUnavailable)
	}}}
	for name, c := range map[string]struct {
		o          Options
		candidates []backends.Candidate
		says       string
	}{
		"missing file":     {Options{Model: "/nowhere/x.safetensors"}, all.List(), "/nowhere/x.safetensors"},
		"missing name":     {Options{Model: "nothing", Store: []string{"/nowhere"}}, all.List(), "nothing"},
		"unknown backend":  {Options{Backend: "abacus"}, all.List(), "abacus"},
		"no backend":       {Options{}, refuses, "no such thing"},
		"no predictors":    {Options{Model: bare, Scorer: "predictor"}, all.List(), "predictor"},
		"unknown scorer":   {Options{Scorer: "dice"}, all.List(), "dice"},
		"bad precision":    {Options{Precision: "f8"}, all.List(), "f8"},
		"unknown arch":     {Options{Arch: "resnet"}, all.List(), "resnet"},
		"NaN weights":      {Options{Model: nan}, all.List(), "NaN"},
		"predictors wrong": {Options{Predictors: nan}, all.List(), "score_predictor"},
	} {
		e, err := Open(c.o, c.candidates)
		if err == nil {
			e.Close()
			t.Errorf("%s: no error", name)
			continue
		}
		if !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %q, want one line with %q", name, err, c.says)
		}
	}
}

// writeSmall makes a small model without predictors whose head begins with a value.
func writeSmall(t *testing.T, path string, head float32) {
	t.Helper()
	writeRandom(t, path, vit.Random{Config: smallConfig()}, func(tensor modelfile.Tensor) {
		if tensor.Name == "head.weight" {
			binary.LittleEndian.PutUint32(tensor.Data, math.Float32bits(head))
		}
	})
}

// writeRandom makes a model of random weights, each of which edit may change.
func writeRandom(t testing.TB, path string, r vit.Random, edit func(modelfile.Tensor)) {
	t.Helper()
	tensors, err := r.Tensors()
	if err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		for _, tensor := range tensors {
			edit(tensor)
		}
	}
	if err := modelfile.Write(path, r.Config.Manifest().Encode(), tensors); err != nil {
		t.Fatal(err)
	}
}

func smallConfig() vit.Config {
	return vit.Config{Architecture: "vit", ImageSize: 32, PatchSize: 16, Width: 64, Depth: 4, Heads: 1, Hidden: 128, Classes: 3,
		Eps: 1e-6, SkipLam: 1, QKVBias: true, Resize: 36, Interpolation: "bicubic", Std: [3]float32{1, 1, 1}, PruneAt: []int{1, 2, 3}}
}

// naming is the file of a small model that names a scorer.
func naming(t *testing.T, scorer string, predictors bool) string {
	t.Helper()
	c := smallConfig()
	c.Scorer, c.Predictors = scorer, predictors
	path := filepath.Join(t.TempDir(), "naming.safetensors")
	writeRandom(t, path, vit.Random{Config: c}, nil)
	return path
}

// TestLabelsDoNotAllocate: a model without labels names its classes by numbers,
// which are made once.
func TestLabelsDoNotAllocate(t *testing.T) {
	e := open(t, Options{Arch: "deit_tiny"})
	if got := e.Label(999); got != "999" {
		t.Errorf("label %q, want 999", got)
	}
	if n := testing.AllocsPerRun(10, func() { e.Label(999) }); n != 0 {
		t.Errorf("%v allocations a label", n)
	}
}

// TestBackbone: a model without a head is refused in words, not ranked by its features.
func TestBackbone(t *testing.T) {
	c, err := vit.Named("deit_tiny")
	if err != nil {
		t.Fatal(err)
	}
	c.Depth, c.PruneAt, c.Classes, c.Predictors = 1, nil, 0, false
	path := filepath.Join(t.TempDir(), "backbone.safetensors")
	writeRandom(t, path, vit.Random{Config: c, Seed: 1}, nil)
	if _, err := Open(Options{Model: path}, all.List()); err == nil || err.Error() != "model backbone: it has no classes: a backbone without a head" {
		t.Error(err)
	}
}
