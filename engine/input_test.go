package engine

import (
	"slices"
	"testing"

	"dynvit/camera"
	"dynvit/preprocess"
	"dynvit/vit"
)

// TestSharedInput: engines that want the same of a frame take it from the first, and say
// what they say alone; those that want something else prepare it themselves.
func TestSharedInput(t *testing.T) {
	store := t.TempDir()
	writeBackbone(t, store, "one", 1)
	writeBackbone(t, store, "two", 2)
	o := Options{Features: true, Store: []string{store}, Precision: "f32"}
	at := func(model string, scaled bool) *Engine {
		o := o
		o.Model, o.Scaled = model, scaled
		return open(t, o)
	}
	one, two, other := at("one", false), at("two", false), at("two", true)
	black, white := grey(), grey()
	white.Data = slices.Repeat([]byte{250}, len(white.Data))
	see := func(e *Engine, f *camera.Frame, shared *Input) []float32 {
		t.Helper()
		plan, err := e.Plan(vit.Keep{Ratio: 0.5})
		if err != nil {
			t.Fatal(err)
		}
		r := Result{WantFeatures: true, Shared: shared}
		if err := e.Classify(&r, f, preprocess.Whole, plan); err != nil {
			t.Fatal(err)
		}
		return r.Features
	}
	var shared Input
	for _, f := range []*camera.Frame{black, white} {
		shared.Begin()
		if !slices.Equal(see(one, f, &shared), see(one, f, nil)) {
			t.Error("the first says something else of what it shares")
		}
		see(one, f, &shared) // its memory holds this frame again
		if !slices.Equal(see(two, f, &shared), see(two, f, nil)) {
			t.Error("the second says something else of what it is given")
		}
	}
	// What is not begun anew is the frame before; a spec of its own is not.
	if !slices.Equal(see(two, black, &shared), see(two, white, nil)) {
		t.Error("the second has decoded")
	}
	if !slices.Equal(see(other, black, &shared), see(other, black, nil)) {
		t.Error("an engine that wants something else was given what the first has")
	}
}

// TestSharedInputOfADamagedFrame: it is an error for all of them.
func TestSharedInputOfADamagedFrame(t *testing.T) {
	store := t.TempDir()
	writeBackbone(t, store, "one", 1)
	e := open(t, Options{Model: "one", Features: true, Store: []string{store}})
	plan, err := e.Plan(vit.Keep{})
	if err != nil {
		t.Fatal(err)
	}
	var shared Input
	for range 2 {
		r := Result{Shared: &shared}
		if err := e.Classify(&r, &camera.Frame{Format: camera.JPEG, Data: []byte("no picture")}, preprocess.Whole, plan); err == nil {
			t.Error("a frame that is none was looked at")
		}
	}
}
