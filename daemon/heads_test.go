package daemon

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"dynvit/backends/all"
	schemes "dynvit/camera/all"
	"dynvit/config"
	"dynvit/engine"
	"dynvit/head"
	"dynvit/models"
	"dynvit/mqtt/mqtttest"
	"dynvit/tuning"
	"dynvit/vit"
)

// teach writes a head on the embedded model that finds one of two labels in everything.
func teach(t *testing.T, store, name string, found int, labels ...string) {
	t.Helper()
	base, _, err := engine.OpenFile("", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	width := 192
	h := &head.Head{
		Backbone: vit.BackboneSum(base), Base: models.DefaultName, Labels: labels, Width: width, Temperature: 1,
		Weight: make([]float32, len(labels)*width), Bias: make([]float32, len(labels)),
	}
	h.Bias[found] = 5
	if err := h.Write(filepath.Join(store, name+".safetensors"), nil); err != nil {
		t.Fatal(err)
	}
}

// TestHeadsEndToEnd: heads on the embedded model look at the drawn scenes beside it, by
// one engine; one that was taught again is in force after a reload, without it being
// opened anew.
func TestHeadsEndToEnd(t *testing.T) {
	store := t.TempDir()
	teach(t, store, "door", 0, "open", "closed")
	teach(t, store, "weather", 1, "rain", "snow")
	with := func(models string) config.Config {
		c, err := config.Load(config.LoadOptions{
			Schemes: schemes.List(), Host: "box", Sources: []string{"test:?fps=10"},
			Settings: []config.Setting{{Key: "cameras.cam0.stable", Value: "1"}, {Key: "cameras.cam0.models", Value: models}, {Key: "latency.keep", Value: "0.5"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	broker := mqtttest.New()
	defer broker.Close()
	opened, hangups, next := 0, make(chan os.Signal, 1), make(chan config.Config, 1)
	deps := Deps{
		Schemes: schemes.List(), Store: []string{store}, Getenv: noEnv, dial: broker.Dial, brokerListen: "127.0.0.1:0", NoFile: true,
		Open: func(o engine.Options) (tuning.Classifier, error) {
			opened++
			return engine.Open(o, all.List())
		},
		Inspect: engine.Inspect, Reload: hangups, Load: func() (config.Config, error) { return <-next, nil },
	}
	d, err := New(with("imagenette, door"), deps)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	until := func(topic, says string) {
		t.Helper()
		for begin := time.Now(); !strings.Contains(broker.State().Retained["dynvit/box/camera/cam0/"+topic], says); time.Sleep(10 * time.Millisecond) {
			if time.Since(begin) > time.Minute {
				t.Fatalf("%s does not say %s: %s", topic, says, broker.State().Retained["dynvit/box/camera/cam0/"+topic])
			}
		}
	}
	until("imagenette/state", `"model":"imagenette"`)
	until("door/state", `"label":"open"`)
	teach(t, store, "door", 2, "open", "closed", "ajar")
	next <- with("imagenette, door, weather")
	hangups <- syscall.SIGHUP
	until("door/state", `"label":"ajar"`)
	until("weather/state", `"label":"snow"`)
	teach(t, store, "weather", 0, "hail", "snow")
	next <- with("imagenette, door, weather")
	hangups <- syscall.SIGHUP
	until("weather/state", `"label":"hail"`)
	stop()
	if err := <-ended; err != nil || opened != 1 {
		t.Errorf("%v, opened %d engines", err, opened)
	}
}
