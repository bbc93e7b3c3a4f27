package daemon

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dynvit/calibrate"
	"dynvit/camera"
	"dynvit/tuning"
)

// slowly draws a frame in so long.
func slowly(each time.Duration) func(context.Context, int, func() bool) ([]camera.Frame, error) {
	return func(_ context.Context, n int, enough func() bool) (frames []camera.Frame, err error) {
		for len(frames) < n {
			time.Sleep(each)
			frames = append(frames, camera.Frame{Data: []byte{byte(len(frames)), 90}, Name: "one and another"})
			if enough() {
				break
			}
		}
		return frames, nil
	}
}

var tookPattern = regexp.MustCompile(`msg=calibrated took=(\S+) points=(\d+)`)

// TestFirstStartWithinTenSeconds: however slow the box, the first start is calibrated within 10 s, by what it could
// measure meanwhile, and the next start takes that up; a box that is slower yet says so in the same time.
func TestFirstStartWithinTenSeconds(t *testing.T) {
	for _, c := range []struct {
		frame, draw time.Duration
		points      int // at least; 0: it says that it is too slow
	}{
		{2 * time.Millisecond, 50 * time.Millisecond, 7},
		{30 * time.Millisecond, 230 * time.Millisecond, 3},
		{100 * time.Millisecond, 800 * time.Millisecond, 2},
		{150 * time.Millisecond, 2500 * time.Millisecond, 2},
		{1500 * time.Millisecond, 50 * time.Millisecond, 0},
	} {
		t.Run(fmt.Sprint(c.frame), func(t *testing.T) {
			folder := t.TempDir()
			start := func() string {
				var log string
				synctest.Test(t, func(t *testing.T) {
					// Two cameras, whose frames come between those of the calibration.
					list := sources{"test:": {newScripted(200*time.Millisecond, nil, shots(1, 100)...)}, "file:b": {newScripted(200*time.Millisecond, nil, shots(2, 100)...)}}
					config := testConfig()
					b := config.Cameras["door"]
					b.Source = "file:b"
					config.Cameras["b"] = b
					r := run(t, config, list, func(r *rig, d *Deps) {
						d.State, d.drawn, r.model.takes = folder, slowly(c.draw), c.frame
					})
					synctest.Wait()
					after(19 * time.Second)
					log = r.log.String()
					r.halt()
				})
				return log
			}
			log := start()
			found := tookPattern.FindStringSubmatch(log)
			if c.points == 0 {
				if found != nil || !strings.Contains(log, "too slow to measure") {
					t.Errorf("log\n%s", log)
				}
				return
			}
			if found == nil {
				t.Fatalf("not calibrated; log\n%s", log)
			}
			if took, err := time.ParseDuration(found[1]); err != nil || took > 10*time.Second {
				t.Errorf("took %s", found[1])
			}
			table, err := calibrate.ReadFile(filepath.Join(folder, tuning.CalibrationFile))
			if err != nil || len(table.Points) < c.points {
				t.Errorf("kept %d points, %v", len(table.Points), err)
			}
			if log := start(); strings.Contains(log, "calibrated") || strings.Contains(log, "measured anew") {
				t.Errorf("the next start; log\n%s", log)
			}
		})
	}
}

// TestKeepWhileCalibrating: who fixes keep while the first calibration runs keeps that, and the log says that
// it was made nevertheless; auto is then no second one, and is answered when the first can be followed.
func TestKeepWhileCalibrating(t *testing.T) {
	for _, again := range []bool{false, true} {
		t.Run(fmt.Sprint("again ", again), func(t *testing.T) {
			state := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				r := run(t, testConfig(), sources{"test:": {newScripted(200*time.Millisecond, nil, shots(1, 100)...)}}, func(r *rig, d *Deps) {
					d.State, d.drawn, r.model.takes = state, slowly(time.Millisecond), 10*time.Millisecond
				})
				synctest.Wait()
				after(time.Second)
				r.commands.obey(t.Context(), "keep", []byte("0.4"), false)
				after(time.Second)
				if again {
					r.commands.obey(t.Context(), "keep", []byte("auto"), false)
				}
				after(15 * time.Second)
				now, log, answers := r.tuners.shown(), r.log.String(), r.broker.State().Topic(root+"/cmd/keep/result")
				if strings.Count(log, "msg=calibrated") != 1 || strings.Contains(log, "refused") {
					t.Errorf("log\n%s", log)
				}
				if now.auto != again || !again && (now.ratio != 0.4 || !strings.Contains(log, "keep=0.4 auto=false")) {
					t.Errorf("%+v; log\n%s", now, log)
				}
				if last := answers[len(answers)-1]; !strings.Contains(last, `"ok":true`) || again != strings.Contains(last, "auto") {
					t.Errorf("answers %q", answers)
				}
				r.halt()
			})
		})
	}
}
