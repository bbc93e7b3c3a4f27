package daemon

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"dynvit/backends/all"
	schemes "dynvit/camera/all"
	"dynvit/config"
	"dynvit/engine"
	"dynvit/models"
	"dynvit/mqtt/mqtttest"
	"dynvit/tuning"
)

// TestDrawnScenesEndToEnd runs the embedded model on the drawn scenes, as
// `dynvitd run` without any arguments does, and reads what it publishes.
func TestDrawnScenesEndToEnd(t *testing.T) {
	c, err := config.Load(config.LoadOptions{
		Schemes: schemes.List(),
		Host:    "box", Sources: []string{"test:?frames=12&fps=10"},
		Settings: []config.Setting{{Key: "cameras.cam0.stable", Value: "1", Flag: "--stable"}}, // a slow machine sees few of the frames
	})
	if err != nil {
		t.Fatal(err)
	}
	broker := mqtttest.New()
	defer broker.Close()
	shown := 0
	deps := Deps{
		Schemes: schemes.List(),
		Open:    func(o engine.Options) (tuning.Classifier, error) { return engine.Open(o, all.List()) },
		Getenv:  noEnv, NoFile: true, dial: broker.Dial, brokerListen: "127.0.0.1:0",
	}
	wait := hear(&deps, func(Result) { shown++ })
	d, err := New(c, deps)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := d.Run(ctx); err != nil {
		t.Fatal(err)
	}
	wait()
	frames, dropped := d.Totals()
	if frames == 0 || frames+dropped != 12 || shown != int(frames) {
		t.Errorf("%d frames, %d dropped, %d shown", frames, dropped, shown)
	}
	var state struct {
		Label *string
		Score float64
		Model string
	}
	payload := broker.State().Retained["dynvit/box/camera/cam0/state"]
	if err := json.Unmarshal([]byte(payload), &state); err != nil {
		t.Fatalf("state %q: %v", payload, err)
	}
	if state.Label == nil || state.Score < 0.3 || state.Model != models.DefaultName {
		t.Errorf("state %s", payload)
	}
	t.Logf("%d frames, %d dropped, last state %s", frames, dropped, payload)
}
