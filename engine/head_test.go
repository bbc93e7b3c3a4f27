package engine

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dynvit/backends/all"
	"dynvit/camera"
	"dynvit/head"
	"dynvit/modelfile"
	"dynvit/models"
	"dynvit/preprocess"
	"dynvit/vit"
)

// writeBackbone makes a small model without a head in a store, by a name.
func writeBackbone(t *testing.T, store, name string, seed uint64) *modelfile.File {
	t.Helper()
	c := smallConfig()
	c.Classes = 0
	path := filepath.Join(store, name+".safetensors")
	writeRandom(t, path, vit.Random{Config: c, Seed: seed}, nil)
	f, err := modelfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// taught is a head for a backbone: the first class where the first feature is above 0.
func taught(base string, backbone *modelfile.File, width int) *head.Head {
	h := &head.Head{Backbone: vit.BackboneSum(backbone), Base: base, Labels: []string{"open", "closed"}, Width: width,
		Weight: make([]float32, 2*width), Bias: make([]float32, 2), Temperature: 0.5}
	h.Weight[0], h.Weight[width] = 1, -1
	return h
}

// features are those of a frame under a plan, of an engine that is opened for them.
func features(t *testing.T, o Options, ratio float64) []float32 {
	t.Helper()
	o.Features = true
	e := open(t, o)
	plan, err := e.Plan(vit.Keep{Ratio: ratio})
	if err != nil {
		t.Fatal(err)
	}
	r := Result{WantFeatures: true}
	if err := e.Classify(&r, grey(), preprocess.Whole, plan); err != nil {
		t.Fatal(err)
	}
	if len(r.Features) != e.Info().Features {
		t.Fatalf("%d features, %+v", len(r.Features), e.Info())
	}
	return r.Features
}

// TestFeatures: a backbone has features and ranks nothing; a model with a head has both.
func TestFeatures(t *testing.T) {
	store := t.TempDir()
	writeBackbone(t, store, "plain", 1)
	for _, o := range []Options{{Model: "plain", Store: []string{store}}, {}} {
		o.Features = true
		e := open(t, o)
		plan, err := e.Plan(vit.Keep{Ratio: 0.7})
		if err != nil {
			t.Fatal(err)
		}
		var r Result
		for _, want := range []bool{true, false, true} {
			r.WantFeatures = want
			if err := e.Classify(&r, grey(), preprocess.Whole, plan); err != nil {
				t.Fatal(err)
			}
			if (len(r.Features) > 0) != want || len(r.Logits) != e.Info().Classes || len(r.Top) != min(5, e.Info().Classes) {
				t.Errorf("%s: %d features, %d logits, top %v", e.Info().Model, len(r.Features), len(r.Logits), r.Top)
			}
		}
	}
}

// TestTaught: a head beside its backbone in the store, in one file with it, or of the
// embedded model classifies by the backbone's features, dense and pruned.
func TestTaught(t *testing.T) {
	store := t.TempDir()
	backbone := writeBackbone(t, store, "plain", 1)
	embedded, err := modelfile.Parse(models.Default())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		head   *head.Head
		beside *modelfile.File
		base   string
	}{
		"beside":   {taught("plain", backbone, 64), nil, "plain"},
		"bundle":   {taught("gone", backbone, 64), backbone, "plain"},
		"embedded": {taught(models.DefaultName, embedded, 192), nil, ""},
	} {
		if err := c.head.Write(filepath.Join(store, name+".safetensors"), c.beside); err != nil {
			t.Fatal(err)
		}
		e := open(t, Options{Model: name, Store: []string{store}})
		if i := e.Info(); i.Model != name || i.Classes != 2 || e.Label(1) != "closed" || e.Class("open") != 0 || e.Class("1") != 1 || e.Class("tench") != -1 {
			t.Errorf("%s: %+v, %q", name, i, e.Label(1))
		}
		for _, ratio := range []float64{1, 0.5} {
			plan, err := e.Plan(vit.Keep{Ratio: ratio})
			if err != nil {
				t.Fatal(err)
			}
			var r Result
			if err := e.Classify(&r, grey(), preprocess.Whole, plan); err != nil {
				t.Fatal(err)
			}
			x := features(t, Options{Model: c.base, Store: []string{store}}, ratio)[0]
			want := 1 / (1 + math.Exp(-4*float64(x)))
			if math.Abs(float64(r.Scores[0])-want) > 1e-5 || r.Unknown || (r.Top[0] == 0) != (x > 0) {
				t.Errorf("%s at %v: %v %v, want %v", name, ratio, r.Scores, r.Top, want)
			}
		}
	}
}

// TestWholeHead: a head of whole pictures is opened for such, also beside one that is not, with
// which it shares no pass; two that are share one.
func TestWholeHead(t *testing.T) {
	store := t.TempDir()
	backbone := writeBackbone(t, store, "plain", 1)
	pass := map[string]string{}
	for _, name := range []string{"middle", "whole", "whole2"} {
		h := taught("plain", backbone, 64)
		h.Whole = name != "middle"
		if err := h.Write(filepath.Join(store, name+".safetensors"), nil); err != nil {
			t.Fatal(err)
		}
		o := Options{Model: name, Store: []string{store}}
		e := open(t, o)
		if in := e.Input(); (in.Resize == 0) != h.Whole || in.Size != 32 {
			t.Errorf("%s: %+v", name, in)
		}
		out, err := Inspect(o)
		if err != nil {
			t.Fatal(err)
		}
		pass[name] = out.Pass
	}
	if pass["middle"] == pass["whole"] || pass["whole"] != pass["whole2"] {
		t.Errorf("passes %v", pass)
	}
}

// TestNoneOfThese: what the head's rule refuses is Unknown; scores and order are there
// all the same, and nothing is allocated.
func TestNoneOfThese(t *testing.T) {
	store := t.TempDir()
	backbone := writeBackbone(t, store, "plain", 1)
	x := features(t, Options{Model: "plain", Store: []string{store}}, 1)
	length := 0.0
	for _, v := range x {
		length += float64(v) * float64(v)
	}
	for sign, unknown := range map[float32]bool{1: false, -1: true} {
		h := taught("plain", backbone, 64)
		h.None = &head.None{Threshold: 0.01}
		for _, v := range x {
			h.None.Centres = append(h.None.Centres, sign*float32(float64(v)/math.Sqrt(length)))
		}
		if err := h.Write(filepath.Join(store, "door.safetensors"), nil); err != nil {
			t.Fatal(err)
		}
		e := open(t, Options{Model: "door", Store: []string{store}, Threads: 1})
		plan, err := e.Plan(vit.Keep{Ratio: 1})
		if err != nil {
			t.Fatal(err)
		}
		var r Result
		f := grey()
		n := testing.AllocsPerRun(allocRuns, func() {
			if err := e.Classify(&r, f, preprocess.Whole, plan); err != nil {
				t.Fatal(err)
			}
		})
		if r.Unknown != unknown || len(r.Top) != 2 || n != 0 {
			t.Errorf("%v times the centre: %+v, %v allocations", sign, r, n)
		}
	}
}

// TestTaughtRefused: a head without its backbone, or with another, is refused in a line
// that says which it wants.
func TestTaughtRefused(t *testing.T) {
	store := t.TempDir()
	backbone := writeBackbone(t, store, "plain", 1)
	writeBackbone(t, store, "other", 2)
	for says, h := range map[string]*head.Head{
		"backbone gone":                    taught("gone", backbone, 64),
		"other is not the model":           taught("other", backbone, 64),
		"has 64 features, the head reads ": taught("plain", backbone, 32),
		"is a taught head itself":          taught("door", backbone, 64),
	} {
		if err := h.Write(filepath.Join(store, "door.safetensors"), nil); err != nil {
			t.Fatal(err)
		}
		e, err := Open(Options{Model: "door", Store: []string{store}}, all.List())
		if err == nil {
			e.Close()
		}
		if err == nil || !strings.Contains(err.Error(), says) || !strings.HasPrefix(err.Error(), "model door: ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", says, err)
		}
	}
}

// TestFeaturesOfViews: those of the whole picture under several plans are what Classify
// gives under each; a part and a mirror image have others.
func TestFeaturesOfViews(t *testing.T) {
	e := open(t, Options{})
	var plans []vit.Plan
	var want []float32
	for _, ratio := range []float64{1, 0.5} {
		plan, err := e.Plan(vit.Keep{Ratio: ratio})
		if err != nil {
			t.Fatal(err)
		}
		plans = append(plans, plan)
		r := Result{WantFeatures: true}
		if err := e.Classify(&r, grey(), preprocess.Whole, plan); err != nil {
			t.Fatal(err)
		}
		want = append(want, r.Features...)
	}
	seen := [][]float32{}
	for _, v := range []View{{Region: preprocess.Whole}, {preprocess.Whole, true}, {Region: preprocess.Region{X0: 0.2, X1: 1, Y1: 0.8}}} {
		got, err := e.Features([]float32{7}, grey(), v, plans)
		if err != nil || got[0] != 7 || len(got) != 1+len(want) {
			t.Fatalf("%v: %d features, %v", v, len(got), err)
		}
		seen = append(seen, got[1:])
	}
	if !slices.Equal(seen[0], want) || slices.Equal(seen[1], want) || slices.Equal(seen[2], want) || slices.Equal(seen[1], seen[2]) {
		t.Error("views have each other's features")
	}
	if _, err := e.Features(nil, &camera.Frame{Format: camera.JPEG, Data: []byte("no")}, View{Region: preprocess.Whole}, plans); err == nil {
		t.Error("no error of a damaged picture")
	}
}
