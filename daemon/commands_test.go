package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestParseCommand(t *testing.T) {
	long := `"` + strings.Repeat("x", maxCommand) + `"`
	for _, c := range []struct{ payload, id, value, err string }{
		{`0.5`, "", `0.5`, ""},
		{` auto `, "", `"auto"`, ""},
		{`"auto"`, "", `"auto"`, ""},
		{`true`, "", `true`, ""},
		{`{"id":"x","value":0.5}`, "x", `0.5`, ""},
		{`{"value":"auto"}`, "", `"auto"`, ""},
		{``, "", "", "empty"},
		{`{"id":"x"}`, "x", "", "no \"value\""},
		{`{"id":"x","value":1,"more":2}`, "", "", "is not"},
		{`{"id":7,"value":1}`, "", "", "is not"},
		{`{"value":1}{}`, "", "", "is not"},
		{`{`, "", "", "is not"},
		{long, "", "", "at most 1024"},
	} {
		id, value, err := parseCommand([]byte(c.payload))
		got := ""
		if id != nil {
			got = *id
		}
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) || c.err == "" && (got != c.id || string(value) != c.value) {
			t.Errorf("%.40s: id %q, value %s, %v", c.payload, got, value, err)
		}
	}
}

func FuzzParseCommand(f *testing.F) {
	for _, s := range []string{`0.5`, `auto`, `{"id":"x","value":true}`, "\xff", `{"value":{"a":[1]}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		_, value, err := parseCommand(payload)
		if err == nil && !json.Valid(value) {
			t.Errorf("%q became %q, which is no JSON", payload, value)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("error of several lines: %q", err)
		}
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
			{"keep", `0.5`, true, "", 0.5, 50, false},
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
			r.obey(t.Context(), c.name, []byte(c.payload), false)
			after(time.Second)
			got := r.broker.State().Topic(root + "/cmd/" + c.name + "/result")
			var a answer
			if err := json.Unmarshal([]byte(got[len(got)-1]), &a); err != nil || a.OK != c.ok || (a.Error == nil) != c.ok || a.Error != nil && !strings.Contains(*a.Error, c.says) {
				t.Errorf("%s %s: %s, %v", c.name, c.payload, got[len(got)-1], err)
			}
			if strings.Contains(c.payload, `"k"`) && (a.ID == nil || *a.ID != "k") {
				t.Errorf("%s: id %v", c.payload, a.ID)
			}
			var s settings
			if err := json.Unmarshal([]byte(r.broker.State().Retained[root+"/settings"]), &s); err != nil || s.Keep != c.keep || s.BudgetMS != c.budget || s.Auto != c.auto {
				t.Errorf("after %s %s: settings %+v, %v", c.name, c.payload, s, err)
			}
		}
		r.obey(t.Context(), "keep", []byte("0.4"), true)
		r.obey(t.Context(), "keep/result", []byte("0.4"), false)
		r.obey(t.Context(), "reboot", []byte("true"), false)
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
		if got := slices.Sorted(slices.Values(r.broker.State().Subscribed)); !slices.Equal(got, []string{root + "/cmd/+", root + "/cmd/camera/+/enabled", "homeassistant/status"}) {
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
		if got := r.broker.State().Topic(root + "/cmd/keep/result"); len(got) != 1 || !strings.Contains(got[0], `"ok":true`) || r.tuner.shown().ratio != 0.5 {
			t.Errorf("answers %v, keep %v", got, r.tuner.shown().ratio)
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
		r.obey(t.Context(), "keep", []byte("0.5"), false)
		after(time.Second)
		if got := r.broker.State().Topic(root + "/cmd/keep/result"); len(got) != 1 || !strings.Contains(got[0], "commands are off") || r.tuner.shown().ratio == 0.5 {
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
		if _, err := os.Stat(filepath.Join(state, CalibrationFile)); !errors.Is(err, fs.ErrNotExist) || strings.Contains(r.log.String(), "calibrated") {
			t.Errorf("kept a calibration, %v; log\n%s", err, r.log)
		}
	})
}

func TestDrawnFramesLetOthersIn(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	frames, err := DrawnFrames(ctx, 3, func() {
		if calls++; calls == 102 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || frames != nil || calls != 102 {
		t.Errorf("%d frames, %v after %d calls", len(frames), err, calls)
	}
}

// TestFirstStartCalibrates: frames are answered meanwhile, the file is kept, and
// taken up at the next start unless it was made for something else.
func TestFirstStartCalibrates(t *testing.T) {
	if testing.Short() {
		t.Skip("needs more than a short run: it draws a hundred scenes")
	}
	folder := filepath.Join(t.TempDir(), "state")
	start := func(change func(*Config), wantCalibrated bool, says string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			c := testConfig()
			if change != nil {
				change(&c)
			}
			r := run(t, c, sources{"test:": {newScripted(500*time.Millisecond, nil, shots(1, 60)...)}}, func(r *rig, d *Deps) {
				d.State = folder
				r.model.takes = 10 * time.Millisecond
			})
			<-r.Ready()
			after(29 * time.Second)
			if frames, dropped := r.Totals(); frames < 50 || dropped > 3 {
				t.Errorf("%d frames answered, %d dropped", frames, dropped)
			}
			log := r.log.String()
			if got := strings.Contains(log, "msg=calibrated"); got != wantCalibrated || !strings.Contains(log, says) {
				t.Errorf("calibrated %v, want %v and %q; log\n%s", got, wantCalibrated, says, log)
			}
			if _, err := os.Stat(filepath.Join(folder, CalibrationFile)); err != nil {
				t.Error(err)
			}
			r.halt()
		})
	}
	start(nil, true, "")
	start(nil, false, "")
	start(func(c *Config) { c.Latency.Percentile = 90 }, true, "wanted is p90")
	if err := os.WriteFile(filepath.Join(folder, CalibrationFile), []byte(`{"schema":1,`), 0o600); err != nil {
		t.Fatal(err)
	}
	start(nil, true, "damaged")
	start(func(c *Config) { c.Latency.Keep.Ratio = 0.5 }, false, "")
}
