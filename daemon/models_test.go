package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dynvit/config"
	"dynvit/mqtt/mqtttest"
)

// withModels has a box with these models: the node's own, two that tell the weather, and
// one that tells whether a door is open.
func withModels(r *rig, _ *Deps) {
	r.models = map[string]*fake{
		"":         {},
		"weather":  {name: "weather", labels: []string{"rain", "snow"}, takes: 12 * time.Millisecond},
		"door":     {name: "door", labels: []string{"open", "closed", "ajar"}, takes: 8 * time.Millisecond},
		"twin.one": {name: "twin"},
		"twin.two": {name: "twin"},
	}
}

// looking is a camera of these models.
func looking(c config.Config, name string, models ...string) config.Config {
	return withCamera(c, name, func(cam *config.Camera) {
		cam.Stable = 1
		for _, m := range models {
			cam.Models = append(cam.Models, config.Model{Name: m})
		}
	})
}

// result is what tests read of a state, event or frame.
type result struct {
	Camera, Label, Model string
	Latency              float64 `json:"latency_ms"`
	Frame                float64 `json:"frame_ms"`
	KeepRatio            float64 `json:"keep_ratio"`
	Top                  []struct{ Label string }
}

func (r *rig) results(topic string) (list []result) {
	r.t.Helper()
	for _, payload := range r.broker.State().Topic(root + topic) {
		var one result
		if err := json.Unmarshal([]byte(payload), &one); err != nil {
			r.t.Fatal(topic, err)
		}
		list = append(list, one)
	}
	return list
}

// last is what was published last to a topic.
func (r *rig) last(topic string) string {
	list := r.broker.State().Topic(root + topic)
	return list[len(list)-1]
}

// topics are all that were published to below cameras, but for their status.
func (r *rig) topics() (list []string) {
	for _, m := range r.broker.State().Messages {
		topic := strings.TrimPrefix(m.Topic, root+"/camera/")
		if topic != m.Topic && !strings.HasSuffix(topic, "/status") && !slices.Contains(list, topic) {
			list = append(list, topic)
		}
	}
	slices.Sort(list)
	return list
}

// TestAModelACamera: each camera is looked at by its own model alone, under the topics
// that a camera has always had.
func TestAModelACamera(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := looking(testConfig(), "yard", "weather")
		cam := c.Cameras["yard"]
		cam.Models, cam.Model, cam.Labels = nil, "weather", []string{"snow"}
		c.Cameras["yard"] = cam
		s := sources{"test:": {newScripted(time.Second, nil, shots(1, 5)...)}, "http://yard/": {newScripted(time.Second, nil, shots(1, 5)...)}}
		r := run(t, c, s, withModels)
		after(10 * time.Second)
		r.halt()
		if got, want := r.topics(), []string{"door/event", "door/state", "yard/event", "yard/state"}; !slices.Equal(got, want) {
			t.Errorf("topics %q, want %q", got, want)
		}
		door, yard := r.results("/camera/door/state"), r.results("/camera/yard/state")
		if last := door[len(door)-1]; last.Label != "dog" || last.Model != "fake" {
			t.Errorf("door %+v", last)
		}
		if last := yard[len(yard)-1]; last.Label != "snow" || last.Model != "weather" || len(last.Top) != 2 {
			t.Errorf("yard %+v", last)
		}
		if a, b := r.models[""].calls, r.models["weather"].calls; a != 1+5 || b != 1+5 || r.models["door"].calls != 0 {
			t.Errorf("the models have looked at %d and %d frames", a, b)
		}
		for name, m := range r.models {
			if m.calls > 0 && !m.closed {
				t.Errorf("model %q is still open", name)
			}
		}
		if info := r.last("/info"); !strings.Contains(info, `"model":"fake"`) || !strings.Contains(info, `"models":[{"model":"fake",`) ||
			!strings.Contains(info, `{"model":"weather","architecture":"none","classes":2,"backend":"ref","precision":"f32","threads":1,"scorer":"attention"}`) {
			t.Errorf("info %s", info)
		}
		if settings := r.last("/settings"); !strings.Contains(settings, `"yard":{"enabled":true,"keep":0.7}`) {
			t.Errorf("settings %s", settings)
		}
	})
}

// TestNameOfTheOnlyModel: a camera's only model leaves everything as it is, in whatever
// way it is named.
func TestNameOfTheOnlyModel(t *testing.T) {
	published := func(change func(*config.Config)) (said string) {
		synctest.Test(t, func(t *testing.T) {
			c := testConfig()
			change(&c)
			list := append(shots(1, 5), shots(0, 5)...)
			r := run(t, c, sources{"test:": {newScripted(time.Second, nil, list...)}}, func(r *rig, _ *Deps) {
				only := &fake{}
				r.models = map[string]*fake{"": only, "house": only}
			})
			after(time.Minute)
			r.halt()
			for _, m := range r.broker.State().Messages {
				if !strings.HasSuffix(m.Topic, "/stats") { // memory
					said += fmt.Sprintf("%s %v %s\n", m.Topic, m.Retain, m.Payload)
				}
			}
		})
		return said
	}
	want := published(func(*config.Config) {})
	for name, change := range map[string]func(*config.Config){
		"the node's": func(c *config.Config) { c.Model = "house" },
		"the camera's": func(c *config.Config) {
			cam := c.Cameras["door"]
			cam.Model = "house"
			c.Cameras["door"] = cam
		},
		"a list of one": func(c *config.Config) {
			cam := c.Cameras["door"]
			cam.Models = config.Models{{Name: "house"}}
			c.Cameras["door"] = cam
		},
	} {
		if got := published(change); got != want {
			t.Errorf("%s:\n%s, want\n%s", name, got, want)
		}
	}
	if strings.Count(want, "\n") < 10 {
		t.Errorf("published %s", want)
	}
}

// TestSeveralModels: each has topics, labels and thresholds of its own; a frame is
// counted once, and its time is that of all.
func TestSeveralModels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := looking(testConfig(), "yard", "weather", "door")
		least, stable := 0.95, 2
		cam := c.Cameras["yard"]
		cam.Publish.Frame, cam.Heartbeat = true, 5*time.Second
		cam.Models[0].MinScore, cam.Models[1].Stable, cam.Models[1].Labels = &least, &stable, []string{"closed", "ajar"}
		c.Cameras["yard"] = cam
		delete(c.Cameras, "door")
		list := append(shots(1, 4), shots(0, 4)...)
		list[6].score = 99
		r := run(t, c, sources{"http://yard/": {newScripted(time.Second, nil, list...)}}, withModels)
		after(20 * time.Second)
		frames, dropped := r.Totals()
		r.reporting.stats()
		after(time.Second)
		r.halt()
		if frames != 8 || dropped != 0 {
			t.Errorf("%d frames, %d dropped", frames, dropped)
		}
		want := []string{"yard/door/event", "yard/door/frame", "yard/door/state", "yard/weather/event", "yard/weather/frame", "yard/weather/state"}
		if got := r.topics(); !slices.Equal(got, want) {
			t.Errorf("topics %q, want %q", got, want)
		}
		labels := func(topic string) (list []string) {
			for _, one := range r.results(topic) {
				list = append(list, one.Label)
			}
			return list
		}
		if got, want := labels("/camera/yard/weather/event"), []string{"rain", ""}; !slices.Equal(got, want) {
			t.Errorf("events of weather %q, want %q", got, want)
		}
		if got, want := labels("/camera/yard/door/event"), []string{"closed", ""}; !slices.Equal(got, want) {
			t.Errorf("events of door %q, want %q", got, want)
		}
		for _, one := range append(r.results("/camera/yard/weather/frame"), r.results("/camera/yard/door/frame")...) {
			if one.Frame != 20 || one.Latency != 12.346 || one.Camera != "yard" {
				t.Errorf("%+v, want the time of the whole frame", one)
			}
		}
		// A frame each 1 s, a heartbeat each 5 s for either model.
		if a, b := len(labels("/camera/yard/weather/state")), len(labels("/camera/yard/door/state")); a < 4 || b < 4 {
			t.Errorf("%d and %d states", a, b)
		}
		stats := r.broker.State().Topic(root + "/stats")
		if last := stats[len(stats)-1]; !strings.Contains(last, `"frames":8`) || !strings.Contains(last, `"models":{"door":{"frames":8,"failed":0,"latency_ms":{"p50":12.`) {
			t.Errorf("stats %s", last)
		}
		if settings := r.last("/settings"); !strings.Contains(settings, `"yard":{"enabled":true,"models":["weather","door"]}`) {
			t.Errorf("settings %s", settings)
		}
		if r.models[""].calls != 0 {
			t.Error("the node's model was opened for no camera")
		}
	})
}

// TestAModelThatFails leaves the others' verdicts standing; a frame that no model can
// look at has failed.
func TestAModelThatFails(t *testing.T) {
	for _, both := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := looking(testConfig(), "yard", "weather", "door")
			delete(c.Cameras, "door")
			r := run(t, c, sources{"http://yard/": {newScripted(time.Second, nil, shots(1, 5)...)}}, func(r *rig, d *Deps) {
				withModels(r, d)
				r.models["weather"].failing, r.models["door"].failing = true, both
			})
			after(8 * time.Second)
			frames, dropped := r.Totals()
			r.halt()
			if want := map[bool][2]uint64{false: {5, 0}, true: {0, 5}}[both]; frames != want[0] || dropped != want[1] {
				t.Errorf("%d frames, %d dropped", frames, dropped)
			}
			if got, want := r.topics(), map[bool][]string{false: {"yard/door/event", "yard/door/state"}}[both]; !slices.Equal(got, want) {
				t.Errorf("topics %q, want %q", got, want)
			}
			if !strings.Contains(r.log.String(), "overflows") {
				t.Errorf("log %s", r.log)
			}
		})
	}
}

// TestModelsThatCannotBe: one line that names the key.
func TestModelsThatCannotBe(t *testing.T) {
	label := func(c *config.Config) {
		cam := c.Cameras["yard"]
		cam.Models[1].Labels = []string{"rain"}
		c.Cameras["yard"] = cam
	}
	for _, test := range []struct {
		name   string
		models []string
		change func(*config.Config)
		want   string
	}{
		{"missing", []string{"door", "bird"}, nil, "cameras.yard.models: model bird: not in the store"},
		{"another's label", []string{"weather", "door"}, label, `cameras.yard.models.door.labels: "rain": model door has no such label, ` + "`dynvitd model info` lists them"},
		{"one name", []string{"twin.one", "twin.two"}, nil, "cameras.yard.models: another model is called twin too, and names tell them apart: rename the file"},
		{"no model's label", []string{"weather", "door"}, func(c *config.Config) {
			cam := c.Cameras["yard"]
			cam.Labels = []string{"rain", "cat"}
			c.Cameras["yard"] = cam
		}, `cameras.yard.labels: "cat": model weather or door has no such label, ` + "`dynvitd model info` lists them"},
		{"a model without labels", []string{"weather", "door"}, func(c *config.Config) {
			cam := c.Cameras["yard"]
			cam.Labels = []string{"rain"}
			c.Cameras["yard"] = cam
		}, "cameras.yard.labels: model door has none of these labels, `dynvitd model info` lists its own"},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := looking(testConfig(), "yard", test.models...)
			if test.change != nil {
				test.change(&c)
			}
			r := run(t, c, sources{}, withModels)
			err := r.ended()
			if err == nil || err.Error() != test.want {
				t.Errorf("%s: %v, want %s", test.name, err, test.want)
			}
			var bad *config.Error
			if !errors.As(err, &bad) {
				t.Errorf("%s: %T is no mistake in the configuration", test.name, err)
			}
			for name, m := range r.models {
				if slices.Contains(test.models, name) && !m.closed {
					t.Errorf("%s: model %q is still open", test.name, name)
				}
			}
		})
	}
}

// TestReloadOfModels: a camera's models may be others, which are opened where they are
// not. What holds for one that stays under its topics goes on.
func TestReloadOfModels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := looking(testConfig(), "yard", "weather", "door")
		r, l := reloading(t, c, sources{"test:": {endless()}, "http://yard/": {endless()}}, withModels)
		after(5 * time.Second)
		events := len(r.results("/camera/yard/weather/event"))
		change := func(models ...string) {
			l.reload(func(c *config.Config) { *c = looking(testConfig(), "yard", models...) })
			after(5 * time.Second)
		}
		change("weather", "")
		if got := r.results("/camera/yard/fake/state"); len(got) == 0 || got[0].Model != "fake" {
			t.Errorf("the node's model says %+v", got)
		}
		if n := len(r.results("/camera/yard/weather/event")); n != events || events == 0 {
			t.Errorf("%d events of the model that stays, %d before", n, events)
		}
		if got := r.broker.State().Retained; got[root+"/camera/yard/door/state"] != "" || got[root+"/camera/yard/weather/state"] == "" {
			t.Error("the state of the model that is gone stands, or that of one that stays does not")
		}
		if !r.models["door"].closed || r.models["weather"].closed {
			t.Error("a model that nobody needs is open, or one that somebody does is not")
		}
		calls := r.models["door"].calls
		change("door")
		if got := r.results("/camera/yard/state"); len(got) == 0 || got[0].Model != "door" || r.models["door"].calls <= calls {
			t.Errorf("the only model says %+v", got)
		}
		if n := len(r.tuners.all()); n != 2 {
			t.Errorf("%d teams of two", n)
		}
		if info := r.last("/info"); strings.Contains(info, "weather") || !strings.Contains(info, `"models":[{"model":"fake"`) {
			t.Errorf("info %s", info)
		}
		before := r.models["door"].calls
		change("door", "bird")
		if !strings.Contains(r.log.String(), "cameras.yard.models: model bird: not in the store") || r.models["door"].calls <= before {
			t.Errorf("%s", r.log)
		}
		r.halt()
	})
}

// TestTurns: a camera that several models look at has its turn as often as others.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := looking(fixed(testConfig()), "yard", "weather", "door")
		fast := func() *scripted { return newScripted(7*time.Millisecond, nil, shots(1, 5000)...) }
		r := run(t, c, sources{"test:": {fast()}, "http://yard/": {fast()}}, func(r *rig, d *Deps) {
			withModels(r, d)
			r.models[""].takes = 5 * time.Millisecond
		})
		after(10 * time.Second)
		door, yard := r.all().named("door").counts.looked.Load(), r.all().named("yard").counts.looked.Load()
		if door < 350 || door > yard+1 || yard > door+1 {
			t.Errorf("%d frames of the one, %d of the other", door, yard)
		}
		r.halt()
	})
}

// TestFormerModels: what Home Assistant was told of a model goes with it, also when the
// daemon was not running as it went.
func TestFormerModels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker, state := mqtttest.New(), t.TempDir()
		defer broker.Close()
		for _, step := range []struct {
			models     []string
			told, gone []string
		}{
			{[]string{"weather", "door"}, []string{"label_weather", "label_door"}, []string{"label"}},
			{[]string{"weather", ""}, []string{"label_weather", "label_fake"}, []string{"label", "label_door"}},
			{[]string{"weather"}, []string{"label"}, []string{"label_weather", "label_fake"}},
		} {
			c := fixed(looking(testConfig(), "yard", step.models...))
			s := sources{"test:": {newScripted(0, nil)}, "http://yard/": {newScripted(0, nil)}}
			r := run(t, c, s, func(r *rig, d *Deps) {
				withModels(r, d)
				r.broker, d.dial, d.State = broker, broker.Dial, state
			})
			after(10 * time.Second)
			var told struct{ Components map[string]map[string]any }
			if err := json.Unmarshal([]byte(broker.State().Retained[yardConfig]), &told); err != nil {
				t.Fatal(err)
			}
			for _, key := range step.told {
				if len(told.Components[key]) < 2 {
					t.Errorf("%q: %s: %v", step.models, key, told.Components[key])
				}
			}
			for _, key := range step.gone {
				if len(told.Components[key]) != 1 {
					t.Errorf("%q: %s: %v", step.models, key, told.Components[key])
				}
			}
			r.stop()
			if err := <-r.result; err != nil {
				t.Error(err)
			}
		}
	})
}

// TestTeamsHoldTheBudget: models that look at one frame are calibrated each by itself,
// in files of their own, and keep less together than each would alone.
func TestTeamsHoldTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		state := t.TempDir()
		c := looking(testConfig(), "yard", "weather", "door")
		c.Latency.Budget = 15 * time.Millisecond
		start := func() *rig {
			return run(t, c, sources{"test:": {endless()}, "http://yard/": {endless()}}, func(r *rig, d *Deps) {
				withModels(r, d)
				d.State, d.drawn = state, slowly(time.Millisecond)
			})
		}
		r := start()
		after(2 * time.Minute)
		teams := r.tuners.all()
		if n := strings.Count(r.log.String(), "msg=calibrated"); n != 3 || len(teams) != 2 {
			t.Fatalf("%d calibrations, %d teams\n%s", n, len(teams), r.log)
		}
		// weather and door take 20 ms whatever the plan: over the budget of the one, and
		// none of the other's business.
		alone, together := teams[0].shown(), teams[1].shown()
		if alone.rate != 1 || together.rate >= 1 || r.tuners.shown().rate != together.rate {
			t.Errorf("alone %+v, together %+v", alone, together)
		}
		if teams[1].controller == nil || len(teams[1].plans) != 2 {
			t.Errorf("together: %+v", teams[1].plans)
		}
		r.halt()
		files, err := filepath.Glob(filepath.Join(state, "calibration*.json"))
		if err != nil || len(files) != 3 {
			t.Fatalf("%q, %v", files, err)
		}
		r = start()
		after(time.Minute)
		if strings.Contains(r.log.String(), "msg=calibrated") || r.tuners.all()[1].controller == nil {
			t.Errorf("measured again\n%s", r.log)
		}
		r.halt()
		if err := os.Remove(files[0]); err != nil {
			t.Fatal(err)
		}
		r = start()
		after(time.Minute)
		r.halt()
		if n := strings.Count(r.log.String(), "msg=calibrated"); n != 1 {
			t.Errorf("%d calibrations where one file is missing", n)
		}
	})
}

// TestKeepOfTeams: commands are for all of them.
func TestKeepOfTeams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := looking(testConfig(), "yard", "weather", "door")
		r := run(t, c, sources{"test:": {endless()}, "http://yard/": {endless()}}, withModels)
		after(time.Second)
		r.commands.obey(t.Context(), "keep", []byte("0.5"), false)
		after(3 * time.Second)
		for _, u := range r.tuners.all() {
			if now := u.shown(); now.ratio != 0.5 || now.auto || len(u.plans) != len(u.passes) || u.plans[len(u.plans)-1].Keep[0] != 98 {
				t.Errorf("%+v, plans %v", now, u.plans)
			}
		}
		r.commands.obey(t.Context(), "budget", []byte("70"), false)
		after(70 * time.Second) // a heartbeat
		if now := r.tuners.all()[1].shown(); now.budget != 70*time.Millisecond {
			t.Errorf("%+v", now)
		}
		r.halt()
		for _, topic := range []string{"/camera/door/state", "/camera/yard/door/state"} {
			if got := r.results(topic); got[len(got)-1].KeepRatio != 0.5 || got[0].KeepRatio != 0.7 {
				t.Errorf("%s: %+v", topic, got)
			}
		}
	})
}
