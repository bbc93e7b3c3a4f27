package daemon

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dynvit/config"
	"dynvit/messages"
	"dynvit/tuning"
)

// TestStandIn: when another backend looks at the frames, the frames from then on name it,
// and the node's info says why; nothing is calibrated meanwhile.
func TestStandIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "calibration.json")
		c := withCamera(testConfig(), "door", func(c *config.Camera) { c.Publish.Frame = true })
		r := run(t, c, sources{"http://door/": {newScripted(time.Second, nil, shots(0, 4)...)}}, func(r *rig, _ *Deps) {
			r.model.standIn = "portable"
		})
		after(20 * time.Second)
		r.halt()
		for _, want := range []struct{ topic, field, words string }{
			{"/camera/door/frame", "backend", "ref portable portable portable"},
			{"/camera/door/frame", "precision", "f32 bf16 bf16 bf16"},
			{"/info", "backend", "ref portable"},
			{"/info", "backend_why", "a test ref: device lost"},
		} {
			if got := r.list(want.topic, want.field); got != want.words {
				t.Errorf("%s %s: %s, want %s", want.topic, want.field, got, want.words)
			}
		}
		if got := r.service.reporting.statistics.Read().Engines[0]; got != (messages.Engine{Model: "fake", Backend: "portable", Precision: "bf16"}) {
			t.Errorf("/metrics says that %+v looks", got)
		}
		r.service.calibration.tables.folder = path
		if err := r.service.calibration.measure(t.Context(), r.service.models.Load().Passes); err == nil || !strings.Contains(err.Error(), "portable stands in for ref") {
			t.Errorf("calibrated: %v", err)
		}
	})
}

// TestLostWhileItCalibrates: what the stand-in's times are is not taken for the lost backend's.
func TestLostWhileItCalibrates(t *testing.T) {
	if testing.Short() {
		t.Skip("needs more than a short run: it draws scenes")
	}
	synctest.Test(t, func(t *testing.T) {
		state := t.TempDir()
		r := run(t, testConfig(), sources{"test:": {newScripted(time.Second, nil, shots(1, 30)...)}}, func(r *rig, d *Deps) {
			d.State = state
			r.model.takes, r.model.standIn = 10*time.Millisecond, "portable"
		})
		after(20 * time.Second)
		r.halt()
		if log := r.log.String(); !strings.Contains(log, "msg=\"not calibrated, keep stays\"") || !strings.Contains(log, "portable stands in for ref") {
			t.Error(log)
		}
		if _, err := os.Stat(filepath.Join(state, tuning.CalibrationFile)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a calibration is kept: %v", err)
		}
	})
}
