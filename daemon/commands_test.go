package daemon

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"dynvit/camera"
	"dynvit/config"
	"dynvit/messages"
	"dynvit/tuning"
)

// FuzzParseBudget: what is taken is within the bounds.
func FuzzParseBudget(f *testing.F) {
	for _, s := range []string{`0.5`, `"25ms"`, `1e300`, `"9h"`, `null`, `[1]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		if b, err := parseBudget(value); err == nil && (b < time.Millisecond || b > time.Minute) {
			t.Errorf("budget %v", b)
		}
	})
}

// answer is a command's result.
type answer struct {
	ID    *string
	OK    bool
	Error *string
	Value any
}

// TestCommands runs them on a daemon that looks at frames, and reads answer and
// settings.
func TestCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, testConfig(), sources{"test:": {newScripted(100*time.Millisecond, nil, shots(1, 3000)...)}}, nil)
		after(time.Second)
		for _, c := range []struct {
			name, payload string
			ok            bool
			says          string // of the error
			keep, budget  float64
			auto          bool
		}{
			{"keep", `hold`, true, "", 0.7, 50, false},
			{"keep", `0.5`, true, "", 0.5, 50, false},
			{"keep", `hold`, true, "", 0.5, 50, false},
			{"keep", `{"id":"k","value":0.9}`, true, "", 0.9, 50, false},
			{"keep", `7`, false, "want a ratio", 0.9, 50, false},
			{"keep", `NaN`, false, "want a ratio", 0.9, 50, false},
			{"keep", `auto`, false, "no calibration", 0.9, 50, false},
			{"budget", `25`, true, "", 0.9, 25, false},
			{"budget", `"30ms"`, true, "", 0.9, 30, false},
			{"budget", `-1`, false, "want 1 to 60000", 0.9, 30, false},
			{"budget", `1e300`, false, "want 1 to 60000", 0.9, 30, false},
			{"recalibrate", `1`, false, "want true", 0.9, 30, false},
			{"recalibrate", `true`, false, "calibration is off", 0.9, 30, false},
		} {
			r.commands.obey(t.Context(), c.name, []byte(c.payload), false)
			after(time.Second)
			got := r.broker.State().Topic(root + "/cmd/" + c.name + "/result")
			var a answer
			if err := json.Unmarshal([]byte(got[len(got)-1]), &a); err != nil || a.OK != c.ok || (a.Error == nil) != c.ok || a.Error != nil && !strings.Contains(*a.Error, c.says) {
				t.Errorf("%s %s: %s, %v", c.name, c.payload, got[len(got)-1], err)
			}
			if strings.Contains(c.payload, `"k"`) && (a.ID == nil || *a.ID != "k") {
				t.Errorf("%s: id %v", c.payload, a.ID)
			}
			var s messages.Settings
			if err := json.Unmarshal([]byte(r.broker.State().Retained[root+"/settings"]), &s); err != nil || s.Keep != c.keep || s.BudgetMS != c.budget || s.Auto != c.auto {
				t.Errorf("after %s %s: settings %+v, %v", c.name, c.payload, s, err)
			}
		}
		r.commands.obey(t.Context(), "keep", []byte("0.4"), true)
		r.commands.obey(t.Context(), "keep/result", []byte("0.4"), false)
		r.commands.obey(t.Context(), "reboot", []byte("true"), false)
		after(time.Second)
		if s := r.broker.State().Retained[root+"/settings"]; !strings.Contains(s, `"keep":0.9`) || len(r.broker.State().Topic(root+"/cmd/reboot/result")) > 0 {
			t.Errorf("a retained or unknown command, or an answer, was obeyed: %s", s)
		}
		r.halt()
	})
}

// TestCommandsOverMQTT: from the broker to the answer, and stats after Home
// Assistant's birth.
func TestCommandsOverMQTT(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, testConfig(), sources{"test:": {newScripted(100*time.Millisecond, nil, shots(1, 300)...)}}, nil)
		after(time.Second)
		if got := slices.Sorted(slices.Values(r.broker.State().Subscribed)); !slices.Equal(got, []string{root + "/cmd/+", root + "/cmd/camera/+/capture", root + "/cmd/camera/+/enabled", root + "/status", "homeassistant/status"}) {
			t.Errorf("subscribed to %q", got)
		}
		for _, m := range [][2]string{{root + "/cmd/keep", "0.5"}, {"homeassistant/status", "online"}} {
			if err := r.broker.Send(m[0], m[1], false); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.broker.Send(root+"/cmd/keep", "0.4", true); err != nil {
			t.Fatal(err)
		}
		after(time.Second)
		if got := r.broker.State().Topic(root + "/cmd/keep/result"); len(got) != 1 || !strings.Contains(got[0], `"ok":true`) || r.tuners.shown().ratio != 0.5 {
			t.Errorf("answers %v, keep %v", got, r.tuners.shown().ratio)
		}
		if got := r.broker.State().Topic(root + "/stats"); len(got) != 0 {
			t.Errorf("stats too soon: %v", got)
		}
		after(2 * time.Second)
		if got := r.broker.State().Topic(root + "/stats"); len(got) != 1 {
			t.Errorf("stats after the birth: %v", got)
		}
		r.halt()
	})
}

func TestCommandsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testConfig()
		c.MQTT.Commands = false
		r := run(t, c, sources{"test:": {newScripted(0, nil)}}, nil)
		after(time.Second)
		r.commands.obey(t.Context(), "keep", []byte("0.5"), false)
		after(time.Second)
		if got := r.broker.State().Topic(root + "/cmd/keep/result"); len(got) != 1 || !strings.Contains(got[0], "commands are off") || r.tuners.shown().ratio == 0.5 {
			t.Errorf("%v", got)
		}
		r.halt()
	})
}

// TestCalibrationEndsWithTheSources: nobody waits for a calibration that no frame
// will profit from, and every frame is answered while it draws its pictures.
func TestCalibrationEndsWithTheSources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		state := t.TempDir()
		r := run(t, testConfig(), sources{"test:": {newScripted(100*time.Millisecond, io.EOF, shots(1, 5)...)}}, func(r *rig, d *Deps) {
			d.NoFile, d.State = true, state
			r.model.takes = 20 * time.Millisecond
		})
		if err := r.ended(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("ended after %v", took)
		}
		if frames, dropped := r.Totals(); frames != 5 || dropped != 0 {
			t.Errorf("%d frames answered, %d dropped", frames, dropped)
		}
		if _, err := os.Stat(filepath.Join(state, tuning.CalibrationFile)); !errors.Is(err, fs.ErrNotExist) || strings.Contains(r.log.String(), "calibrated") {
			t.Errorf("kept a calibration, %v; log\n%s", err, r.log)
		}
	})
}

// TestCamerasDoNotStarve: while the calibration has the model look at its frames,
// each of them waits until every camera had its turn.
func TestCamerasDoNotStarve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testConfig()
		script := sources{"test:": {newScripted(time.Millisecond, nil, shots(1, 60000)...)}}
		for _, name := range []string{"yard", "gate"} {
			c = withCamera(c, name, nil)
			script["http://"+name+"/"] = []any{newScripted(time.Millisecond, nil, shots(1, 60000)...)}
		}
		state := t.TempDir()
		var mu sync.Mutex
		var order strings.Builder // a letter a frame: of a camera, or c for calibration
		r := run(t, c, script, func(r *rig, d *Deps) {
			d.State, d.drawn = state, slowly(time.Millisecond)
			r.model.takes = 10 * time.Millisecond
			r.model.seen = func(f *camera.Frame) {
				mu.Lock()
				defer mu.Unlock()
				if strings.HasPrefix(f.Name, "shot") {
					order.WriteByte('.')
				} else {
					order.WriteByte('c')
				}
			}
		})
		after(5 * time.Second)
		r.halt()
		// Before the first frames have come there is nobody to wait for.
		_, busy, _ := strings.Cut(order.String(), "...")
		if n := strings.Count(busy, "c"); n < 50 || strings.Contains(busy, "cc") || strings.Contains(busy, "c.c") || strings.Contains(busy, "c..c") {
			t.Errorf("%d frames of calibration, in this order: %s", n, order.String())
		}
	})
}

// TestFirstStartCalibrates: frames are answered meanwhile, the file is kept, and
// taken up at the next start unless it was made for something else.
func TestFirstStartCalibrates(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "state")
	note := filepath.Join(folder, tuning.UnfinishedFile)
	start := func(change func(*config.Config), wantCalibrated bool, says string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			c := testConfig()
			if change != nil {
				change(&c)
			}
			r := run(t, c, sources{"test:": {newScripted(500*time.Millisecond, nil, shots(1, 60)...)}}, func(r *rig, d *Deps) {
				d.State, d.drawn = folder, slowly(time.Millisecond)
				r.model.takes = 10 * time.Millisecond
				r.model.seen = func(f *camera.Frame) {
					if _, err := os.Stat(note); err != nil && strings.Contains(f.Name, " and ") {
						t.Errorf("while it calibrates: %v", err)
					}
				}
			})
			synctest.Wait()
			after(29 * time.Second)
			if frames, dropped := r.Totals(); frames < 50 || dropped > 3 {
				t.Errorf("%d frames answered, %d dropped", frames, dropped)
			}
			log := r.log.String()
			if got := strings.Contains(log, "msg=calibrated"); got != wantCalibrated || !strings.Contains(log, says) {
				t.Errorf("calibrated %v, want %v and %q; log\n%s", got, wantCalibrated, says, log)
			}
			if _, err := os.Stat(filepath.Join(folder, tuning.CalibrationFile)); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(note); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the note that it calibrates stays: %v", err)
			}
			r.halt()
		})
	}
	start(nil, true, "")
	start(nil, false, "")
	start(func(c *config.Config) { c.Latency.Percentile = 90 }, true, "wanted is p90")
	if err := os.WriteFile(filepath.Join(folder, tuning.CalibrationFile), []byte(`{"schema":1,`), 0o600); err != nil {
		t.Fatal(err)
	}
	start(nil, true, "damaged")
	start(func(c *config.Config) { c.Latency.Keep.Ratio = 0.5 }, false, "")
}

// TestKilledCalibrationIsNotTriedAgain: a start that finds a calibration begun
// and not ended runs with the defaults and says so, unless what was tried has
// changed since.
func TestKilledCalibrationIsNotTriedAgain(t *testing.T) {
	for _, c := range []struct {
		name, version string
		calibrates    bool
	}{{"as it was", "1.2.3", false}, {"another program", "1.2.4", true}} {
		t.Run(c.name, func(t *testing.T) {
			state := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				var drawn int
				r := run(t, testConfig(), sources{"test:": {newScripted(100*time.Millisecond, io.EOF, shots(1, 30)...)}}, func(r *rig, d *Deps) {
					d.NoFile, d.State, d.Version = true, state, c.version
					d.root = fstest.MapFS{}
					r.model.takes = 10 * time.Millisecond
					r.model.seen = func(f *camera.Frame) {
						if strings.Contains(f.Name, " and ") {
							drawn++
						}
					}
					if err := tuning.Unfinished(state).Write(tuning.Attempt(r.model.Info(), "1.2.3", d.root)); err != nil {
						t.Fatal(err)
					}
				})
				// The frames are over before a calibration has drawn its own.
				if err := r.ended(); err != nil {
					t.Fatal(err)
				}
				if says := strings.Contains(r.log.String(), "the last calibration was killed"); says == c.calibrates || drawn > 0 && !c.calibrates {
					t.Errorf("%d frames of calibration; log\n%s", drawn, r.log)
				}
			})
			if _, err := os.Stat(filepath.Join(state, tuning.UnfinishedFile)); errors.Is(err, fs.ErrNotExist) != c.calibrates {
				t.Errorf("the note: %v", err)
			}
		})
	}
}
