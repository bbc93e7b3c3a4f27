package drawn_test

import (
	"fmt"
	"testing"

	"dynvit/backends/all"
	"dynvit/camera"
	"dynvit/camera/cameratest"
	"dynvit/camera/drawn"
	"dynvit/engine"
	"dynvit/preprocess"
	"dynvit/vit"
)

// The demo lives on it: the default model recognises each drawn scene while
// it moves, dense and pruned.
func TestScenesAreRecognised(t *testing.T) {
	if testing.Short() {
		t.Skip("needs more than a short run: it runs the default model")
	}
	e, err := engine.Open(engine.Options{}, all.List())
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for _, c := range []struct {
		ratio float64
		seeds int
	}{{1, 1}, {0.7, 3}} {
		plan, err := e.Plan(vit.Keep{Ratio: c.ratio})
		if err != nil {
			t.Fatal(err)
		}
		least := map[string]float32{}
		for seed := range c.seeds {
			uri := fmt.Sprintf("test:?fps=0&frames=100&seed=%d", seed)
			recognise(t, e, plan, cameratest.Open(t, drawn.Scheme(), uri, camera.Options{}), least)
		}
		if len(least) < 5 {
			t.Errorf("%d scenes were shown, want at least 5", len(least))
		}
		t.Logf("keep %v: least score by scene: %v", c.ratio, least)
	}
}

// recognise checks every ninth of a hundred frames and keeps each scene's least
// score.
func recognise(t *testing.T, e *engine.Engine, plan vit.Plan, s camera.Source, least map[string]float32) {
	t.Helper()
	var f camera.Frame
	var r engine.Result
	for i := range 100 {
		if err := s.Next(t.Context(), &f); err != nil {
			t.Fatal(err)
		}
		if i%9 != 0 {
			continue
		}
		if err := e.Classify(&r, &f, preprocess.Whole, plan); err != nil {
			t.Fatal(err)
		}
		label, score := e.Label(r.Top[0]), r.Scores[r.Top[0]]
		if label != f.Name || score < 0.75 {
			t.Errorf("frame %d, %s: %s with %.3f", f.Seq, f.Name, label, score)
		}
		if old, ok := least[f.Name]; !ok || score < old {
			least[f.Name] = score
		}
	}
}
