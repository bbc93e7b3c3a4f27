package daemon

import (
	"encoding/json"
	"errors"
	"io"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	schemes "dynvit/camera/all"
	"dynvit/config"
	"dynvit/engine"
	"dynvit/tuning"
)

const root = "dynvit/box"

// TestPayloads holds every payload of a short life to its text. Time in a bubble
// begins at the year 2000.
func TestPayloads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := append(shots(1, 3), shots(2, 3)...)
		c := withCamera(testConfig(), "door", func(c *config.Camera) { c.Publish.Frame = true })
		r := run(t, c, sources{"http://door/": {newScripted(time.Second, io.EOF, list...)}}, nil)
		after(10 * time.Second)
		r.halt()
		got := r.broker.State()

		frame := func(second, class string, seq string) string {
			label := map[string]string{"1": `"dog"`, "2": `"a \"quoted\" owl"`}[class]
			rest := `{"class":0,"label":"cat","score":0.0333},{"class":2,"label":"a \"quoted\" owl","score":0.0333}`
			if class == "2" {
				rest = `{"class":0,"label":"cat","score":0.0333},{"class":1,"label":"dog","score":0.0333}`
			}
			return `{"schema":1,"camera":"door","seq":` + seq + `,"captured_at":"2000-01-01T00:00:0` + second + `.000Z","clock_synced":true,"age_ms":0,` +
				`"label":` + label + `,"class":` + class + `,"score":0.9,"top":[{"class":` + class + `,"label":` + label + `,"score":0.9},` + rest +
				`,{"class":3,"label":"fox","score":0.0333}],"keep_ratio":0.7,"tokens":[197,138,97,68],"latency_ms":12.346,"frame_ms":14,` +
				`"backend":"ref","precision":"f32","model":"fake"}`
		}
		null := strings.Replace(frame("1", "1", "1"), `"label":"dog","class":1`, `"label":null,"class":-1`, 1)
		events := []string{
			strings.TrimSuffix(frame("3", "1", "3"), "}") + `,"id":"b00t-1","boot_id":"b00t","previous":null,"since":"2000-01-01T00:00:01.000Z"}`,
			strings.TrimSuffix(frame("6", "2", "6"), "}") + `,"id":"b00t-2","boot_id":"b00t","previous":"dog","since":"2000-01-01T00:00:04.000Z"}`,
		}
		for topic, want := range map[string][]string{
			"/status":             {"online", "stopped"},
			"/camera/door/status": {"offline", "online", "offline"},
			"/camera/door/state":  {null, frame("3", "1", "3"), frame("6", "2", "6")},
			"/camera/door/event":  events,
			"/camera/door/frame": {
				frame("1", "1", "1"), frame("2", "1", "2"), frame("3", "1", "3"),
				frame("4", "2", "4"), frame("5", "2", "5"), frame("6", "2", "6"),
			},
		} {
			if list := got.Topic(root + topic); !slices.Equal(list, want) {
				t.Errorf("%s\n got %s\nwant %s", topic, strings.Join(list, "\n     "), strings.Join(want, "\n     "))
			}
		}
		for _, m := range got.Messages {
			volatile := strings.HasSuffix(m.Topic, "/frame") || strings.HasSuffix(m.Topic, "/stats")
			event := strings.HasSuffix(m.Topic, "/event")
			if m.Retain == (volatile || event) || (m.QoS == 0) != volatile {
				t.Errorf("%s: retain %v, QoS %d", m.Topic, m.Retain, m.QoS)
			}
		}
		if !r.model.closed {
			t.Error("the classifier is still open")
		}
	})
}

// TestNoneOfTheClasses: what a taught head's rule refuses has the label null however
// high its score, and makes a change of its own.
func TestNoneOfTheClasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := append(shots(1, 3), shots(2, 3)...)
		r := run(t, testConfig(), sources{"test:": {newScripted(time.Second, nil, list...)}}, func(r *rig, _ *Deps) { r.model.unknown = 2 })
		after(10 * time.Second)
		r.halt()
		got := r.broker.State()
		states, events := got.Topic(root+"/camera/door/state"), got.Topic(root+"/camera/door/event")
		if len(events) != 2 || !strings.Contains(events[0], `"label":"dog"`) || !strings.Contains(events[1], `"previous":"dog"`) {
			t.Fatalf("events %s", events)
		}
		if last := states[len(states)-1]; !strings.Contains(last, `"label":null,"class":-1,"score":0.9,"top":[{"class":2,`) || !strings.Contains(events[1], `"label":null`) {
			t.Errorf("state %s, event %s", last, events[1])
		}
	})
}

func TestInfoSettingsAndStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := shots(1, 40)
		list[5].score, list[7].score = 0, 101+90
		s := sources{"test:": {newScripted(time.Second, nil, list...)}}
		c := withCamera(testConfig(), "off", func(c *config.Camera) { c.Enabled = false })
		r := run(t, c, s, nil)
		after(31 * time.Second)
		r.halt()
		got := r.broker.State()
		for topic, want := range map[string]map[string]any{
			"/info": {
				"schema": 1.0, "version": "1.2.3", "model": "fake", "backend": "ref", "backend_why": "a test",
				"precision": "f32", "threads": 1.0, "boot_id": "b00t",
			},
			"/settings": {
				"schema": 1.0, "auto": true, "keep": 0.7, "budget_ms": 50.0, "percentile": 95.0,
				"cameras": map[string]any{"door": map[string]any{"enabled": true}, "off": map[string]any{"enabled": false}},
			},
			"/stats": {
				"schema": 1.0, "keep_ratio": 0.7,
				"latency_ms": map[string]any{"p50": 12.352, "p95": 12.352}, // the middle of 12.346's bucket
				"age_ms":     map[string]any{"p50": 0.0, "p95": 0.0},
				"drops":      map[string]any{"busy": 0.0, "budget": 0.0, "max_fps": 0.0, "failed": 1.0, "source": 0.0, "motion": 0.0},
			},
		} {
			var payload map[string]any
			if err := json.Unmarshal([]byte(append(got.Topic(root+topic), "")[0]), &payload); err != nil {
				t.Fatalf("%s: %v", topic, err)
			}
			for key, value := range want {
				if !reflect.DeepEqual(payload[key], value) {
					t.Errorf("%s %s: got %v, want %v", topic, key, payload[key], value)
				}
			}
			if topic != "/stats" {
				continue
			}
			if door := payload["cameras"].(map[string]any)["door"].(map[string]any); door["damaged"] != 1.0 {
				t.Errorf("%v frames damaged, want 1", door["damaged"])
			}
		}
		if list := got.Topic(root + "/camera/off/status"); !slices.Equal(list, []string{"disabled"}) {
			t.Errorf("status of a disabled camera: %v", list)
		}
	})
}

func TestReadyWithoutCameraAndBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := errors.New("no such device")
		s := sources{"test:": {gone, gone, gone, newScripted(time.Second, nil, shots(3, 500)...)}}
		r := run(t, testConfig(), s, func(r *rig, _ *Deps) { r.broker.Down() })
		synctest.Wait()
		if r.service == nil || !r.condition.ready.Load() {
			t.Fatal("not ready")
		}
		if line := r.condition.line(); !strings.Contains(line, "broker away") || !strings.Contains(line, "door offline (no such device)") {
			t.Errorf("status line: %s", line)
		}
		if log := r.log.String(); !strings.Contains(log, "no such device") || !strings.Contains(log, "broker") {
			t.Errorf("log:\n%s", log)
		}
		after(time.Minute)
		if err := r.broker.Up(); err != nil {
			t.Fatal(err)
		}
		after(time.Minute)
		got := r.broker.State()
		if got.Retained[root+"/camera/door/status"] != "online" || !strings.Contains(got.Retained[root+"/camera/door/state"], `"label":"fox"`) {
			t.Errorf("retained %v", got.Retained)
		}
		if n := len(got.Topic(root + "/camera/door/event")); n != 1 {
			t.Errorf("%d events, want the one from before the broker came", n)
		}
		r.halt()
	})
}

func TestStalledCameraComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := newScripted(15*time.Second, nil, shots(1, 2)...)
		r := run(t, testConfig(), sources{"test:": {slow}}, nil)
		after(time.Hour)
		got := r.broker.State().Topic(root + "/camera/door/status")
		r.halt()
		if want := []string{"offline", "stalled", "online", "stalled", "online", "stalled"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

// TestBrokenCameraHurtsNobody runs a good camera beside one that fails at every
// attempt, one of damaged pictures, one of a scheme that is not built and one
// that hangs.
func TestBrokenCameraHurtsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testConfig()
		for _, name := range []string{"broken", "damaged", "silent"} {
			c = withCamera(c, name, nil)
		}
		s := sources{
			"test:":           {newScripted(100*time.Millisecond, nil, shots(1, 1000)...)},
			"http://broken/":  {newScripted(0, io.ErrUnexpectedEOF)},
			"http://damaged/": {newScripted(50*time.Millisecond, nil, make([]shot, 1000)...)},
			"http://silent/":  {newScripted(0, nil)},
		}
		r := run(t, c, s, nil)
		after(20 * time.Second)
		for name, want := range map[string]string{
			"door": "online", "broken": "offline", "damaged": "stalled", "silent": "stalled",
		} {
			if got := r.broker.State().Retained[root+"/camera/"+name+"/status"]; got != want {
				t.Errorf("%s is %s, want %s", name, got, want)
			}
		}
		health := r.condition.health()
		stats := r.reporting.statistics.take()
		r.halt()
		if !health.Alive || !strings.Contains(health.Cameras["damaged"].Reason, errDamaged.Error()) {
			t.Errorf("health %+v", health)
		}
		if log := r.log.String(); !strings.Contains(log, `msg="camera stalled" camera=damaged why="no frame could be read for 10s: picture ends early"`) {
			t.Errorf("log:\n%s", log)
		}
		if word := stats.Cameras["damaged"].Status; word != "stalled" {
			t.Errorf("stats say %s", word)
		}
		for _, u := range r.all() {
			looked, failed := u.counts.looked.Load(), u.counts.failed.Load()
			if u.name == "door" && looked != 200 || u.name == "damaged" && (looked != 0 || failed != 400) {
				t.Errorf("%s: %d looked at, %d failed", u.name, looked, failed)
			}
		}
		if n := strings.Count(r.log.String(), "camera=broken"); n > 30 {
			t.Errorf("%d log lines of the broken camera", n)
		}
	})
}

func TestCamerasAreServedFairly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testConfig()
		s := sources{"test:": {newScripted(time.Millisecond, nil, shots(1, 10000)...)}}
		for name, every := range map[string]time.Duration{"a": 3 * time.Millisecond, "b": 10 * time.Millisecond, "z": 20 * time.Millisecond} {
			c = withCamera(c, name, nil)
			s["http://"+name+"/"] = []any{newScripted(every, nil, shots(1, 10000)...)}
		}
		r := run(t, c, s, func(r *rig, _ *Deps) { r.model.takes = 100 * time.Millisecond })
		after(6050 * time.Millisecond)
		r.halt()
		var counts []uint64
		total := uint64(0)
		for _, u := range r.all() {
			counts = append(counts, u.counts.looked.Load())
			total += u.counts.looked.Load()
		}
		if slices.Max(counts)-slices.Min(counts) > 1 || total < 55 {
			t.Errorf("frames looked at: %v", counts)
		}
		if _, dropped := r.Totals(); dropped < 5000 {
			t.Errorf("%d frames dropped", dropped)
		}
	})
}

func TestEndsWithItsSources(t *testing.T) {
	for _, c := range []struct {
		name   string
		noFile bool
		ends   bool
	}{{"command line", true, true}, {"configuration file", false, false}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				config := withCamera(testConfig(), "yard", nil)
				s := sources{
					"test:":        {newScripted(time.Second, io.EOF, shots(1, 3)...)},
					"http://yard/": {newScripted(time.Second, io.EOF, shots(1, 5)...)},
				}
				r := run(t, config, s, func(_ *rig, d *Deps) { d.NoFile = c.noFile })
				after(time.Hour)
				select {
				case err := <-r.result:
					if !c.ends || err != nil {
						t.Errorf("ended with %v", err)
					}
					r.result <- err
				default:
					if c.ends {
						t.Error("still runs")
					}
				}
				r.halt()
				if frames, _ := r.Totals(); frames != 8 {
					t.Errorf("%d frames", frames)
				}
			})
		})
	}
}

// TestStopFinishesTheFrameInHand stops in the middle of an inference.
func TestStopFinishesTheFrameInHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := withCamera(testConfig(), "door", func(c *config.Camera) { c.Stable = 1 })
		s := sources{"http://door/": {newScripted(time.Second, nil, shots(2, 100)...)}}
		r := run(t, c, s, func(r *rig, _ *Deps) { r.model.takes = 3 * time.Second })
		time.Sleep(5 * time.Second) // the warm-up took 3 s, the first frame came at 4 s
		begun := time.Now()
		r.halt()
		if took := time.Since(begun); took > 3*time.Second {
			t.Errorf("stopping took %v", took)
		}
		got := r.broker.State()
		if events := got.Topic(root + "/camera/door/event"); len(events) != 1 {
			t.Errorf("events %v", events)
		}
		if last := got.Messages[len(got.Messages)-1]; last.Topic != root+"/status" || last.Payload != "stopped" {
			t.Errorf("last message %+v", last)
		}
	})
}

// TestStopWhileStarting: a daemon that is told to stop before it is ready ends
// at once and without an error, whatever it is about.
func TestStopWhileStarting(t *testing.T) {
	for name, change := range map[string]func(*rig, *Deps){
		"loading": func(r *rig, d *Deps) {
			d.Open = func(engine.Options) (tuning.Classifier, error) {
				time.Sleep(time.Hour)
				return r.model, nil
			}
		},
		"loading what cannot be loaded": func(_ *rig, d *Deps) {
			d.Open = func(engine.Options) (tuning.Classifier, error) {
				time.Sleep(time.Hour)
				return nil, errors.New("no such model")
			}
		},
		"warming": func(r *rig, _ *Deps) { r.model.takes = time.Hour },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := run(t, testConfig(), sources{"test:": {newScripted(0, nil)}}, change)
				after(time.Minute)
				begun := time.Now()
				r.halt()
				if took := time.Since(begun); took > 0 {
					t.Errorf("stopping took %v", took)
				}
				if r.service != nil {
					t.Error("it had started")
				}
				after(time.Hour)
				if name != "loading what cannot be loaded" && !r.model.closed {
					t.Error("the model that was left behind stays open")
				}
			})
		})
	}
}

func TestStuckInferenceIsSick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		s := sources{"test:": {newScripted(time.Second, nil, shots(1, 1000)...)}}
		r := run(t, testConfig(), s, func(r *rig, _ *Deps) { r.model.hang = hang })
		after(30 * time.Second)
		if code, body := get(r, "/healthz"); code != 200 {
			t.Errorf("within the limit: %d %s", code, body)
		}
		after(inferenceLimit)
		if code, body := get(r, "/healthz"); code != 503 || !strings.Contains(body, "a frame of camera door") {
			t.Errorf("stuck: %d %s", code, body)
		}
		close(hang)
		after(time.Second)
		if code, body := get(r, "/healthz"); code != 200 {
			t.Errorf("moving again: %d %s", code, body)
		}
		r.halt()
	})
}

func TestIdleIsHealthy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, testConfig(), sources{"test:": {newScripted(0, nil)}}, func(r *rig, _ *Deps) { r.broker.Down() })
		after(2 * time.Hour)
		for _, path := range []string{"/healthz", "/readyz"} {
			if code, body := get(r, path); code != 200 {
				t.Errorf("%s: %d %s", path, code, body)
			}
		}
		r.halt()
		if code, _ := get(r, "/readyz"); code != 503 {
			t.Errorf("/readyz after the end: %d", code)
		}
	})
}

func get(r *rig, path string) (code int, body string) {
	w := httptest.NewRecorder()
	probes(r.condition.health, speaking).ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w.Code, w.Body.String()
}

func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, testConfig(), sources{"test:": {newScripted(time.Second, nil, shots(1, 1000)...)}}, nil)
		after(5*time.Minute + 30*time.Second)
		r.halt()
		// One at the first frame, one at the change in the third second, one a
		// minute since.
		if n := len(r.broker.State().Topic(root + "/camera/door/state")); n != 7 {
			t.Errorf("%d states", n)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*config.Config)
		want   string
	}{
		{"bad configuration", func(c *config.Config) { c.MQTT.Broker = "" }, "mqtt.broker: no broker named"},
		{"password file that is not there", func(c *config.Config) { c.MQTT.PasswordFile = "/does/not/exist" }, "mqtt.password_file"},
	} {
		config := testConfig()
		c.change(&config)
		if _, err := New(config, Deps{Schemes: schemes.List(), Getenv: noEnv}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestUnknownLabelIsAConfigError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := withCamera(testConfig(), "yard", func(c *config.Camera) { c.Labels = []string{"cat", "unicorn"} })
		r := run(t, c, sources{}, nil)
		err := r.ended()
		var bad *config.Error
		if !errors.As(err, &bad) || bad.Key != "cameras.yard.labels" || !strings.Contains(err.Error(), "unicorn") {
			t.Errorf("got %v", err)
		}
		if !r.model.closed {
			t.Error("the classifier is still open")
		}
	})
}

// TestUnreadableTLSFiles: they are an error of the configuration, found at the
// start and not by its check, which may run as another user.
func TestUnreadableTLSFiles(t *testing.T) {
	for key, set := range map[string]func(*config.Config){
		"mqtt.ca_file":   func(c *config.Config) { c.MQTT.CAFile = "/nowhere/ca.pem" },
		"mqtt.cert_file": func(c *config.Config) { c.MQTT.CertFile, c.MQTT.KeyFile = "/nowhere/c.pem", "/nowhere/k.pem" },
		"cameras.door.ca_file": func(c *config.Config) {
			*c = withCamera(*c, "door", func(c *config.Camera) { c.Source, c.CAFile = "https://door/", "/nowhere/cam.pem" })
		},
	} {
		c := testConfig()
		c.MQTT.Broker = "mqtts://broker"
		set(&c)
		if err := c.Validate(schemes.List()); err != nil {
			t.Errorf("%s: check: %v", key, err)
		}
		_, err := New(c, Deps{Schemes: schemes.List(), Getenv: noEnv})
		var bad *config.Error
		if !errors.As(err, &bad) || bad.Key != key || !strings.Contains(err.Error(), "/nowhere/") || !strings.Contains(err.Error(), "no such file") {
			t.Errorf("%s: %v", key, err)
		}
	}
}
