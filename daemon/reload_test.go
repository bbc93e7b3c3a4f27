package daemon

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"dynvit/calibrate"
	"dynvit/camera"
	"dynvit/config"
)

// reloader asks a daemon to read its configuration anew.
type reloader struct {
	hangups chan os.Signal
	mu      sync.Mutex
	config  config.Config
	err     error // what reading fails with
	reads   int
}

// reloading is run with a daemon that reads its configuration anew when reload is
// called.
func reloading(t *testing.T, c config.Config, s sources, change func(*rig, *Deps)) (*rig, *reloader) {
	t.Helper()
	l := &reloader{hangups: make(chan os.Signal, 1), config: c}
	r := run(t, c, s, func(r *rig, d *Deps) {
		d.Reload = l.hangups
		d.Load = func() (config.Config, error) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.reads++
			c := l.config
			c.Cameras = maps.Clone(c.Cameras)
			return c, l.err
		}
		if change != nil {
			change(r, d)
		}
	})
	return r, l
}

// reload has a change of the configuration read.
func (l *reloader) reload(change func(*config.Config)) {
	l.mu.Lock()
	l.config.Cameras = maps.Clone(l.config.Cameras)
	change(&l.config)
	l.mu.Unlock()
	l.hangups <- syscall.SIGHUP
	after(time.Second)
}

func (l *reloader) camera(name string, change func(*config.Camera)) {
	l.reload(func(c *config.Config) {
		cam := c.Cameras[name]
		change(&cam)
		c.Cameras[name] = cam
	})
}

// endless shows one class for ever.
func endless() *scripted { return newScripted(100*time.Millisecond, nil, shots(1, 100_000)...) }

// TestReloadOfCameras: a camera is added, changed, renamed and removed, while
// another loses no frame and is not opened anew; and the broker keeps nothing of one
// that is gone.
func TestReloadOfCameras(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		door, yard, other := endless(), endless(), endless()
		s := sources{"test:": {door}, "http://yard/": {yard}, "http://other/": {other, other, endless()}}
		r, l := reloading(t, fixed(testConfig()), s, func(_ *rig, d *Deps) { d.State = t.TempDir() })
		after(2 * time.Second)
		status := func(camera, want string) {
			t.Helper()
			if got := strings.Join(r.broker.State().Topic(root+"/camera/"+camera+"/status"), " "); got != want {
				t.Errorf("%s: status %q, want %q", camera, got, want)
			}
		}
		settings := func(want string) {
			t.Helper()
			if got := r.broker.State().Retained[root+"/settings"]; !strings.HasSuffix(got, `"cameras":{`+want+`}}`) {
				t.Errorf("settings %s, want cameras %s", got, want)
			}
		}
		l.reload(func(c *config.Config) { withCamera(*c, "yard", nil) })
		status("yard", "offline online")
		settings(`"door":{"enabled":true},"yard":{"enabled":true}`)
		if got, want := discoveries(r.broker.State()), []string{nodeConfig, doorConfig, yardConfig}; !slices.Equal(got, want) {
			t.Errorf("announced %q, want %q", got, want)
		}

		l.camera("yard", func(c *config.Camera) { c.Source = "http://other/" })
		status("yard", "offline online")
		if !isClosed(yard) {
			t.Error("the old source of a camera is still open")
		}
		seq := r.all().named("yard").verdicts[0].newest.Seq
		if seq < 15 {
			t.Errorf("a camera of another source counts its frames anew: %d", seq)
		}

		l.camera("yard", func(c *config.Camera) { c.Enabled = false })
		status("yard", "offline online disabled")
		settings(`"door":{"enabled":true},"yard":{"enabled":false}`)

		l.reload(func(c *config.Config) { delete(c.Cameras, "yard") })
		after(afterRemoval)
		status("yard", "offline online disabled ") // an empty payload takes it back
		settings(`"door":{"enabled":true}`)
		for topic := range r.broker.State().Retained {
			if strings.Contains(topic, "yard") {
				t.Errorf("%s is still retained", topic)
			}
		}
		if h := r.condition.health(); len(h.Cameras) != 1 || !h.Alive {
			t.Errorf("%+v", h)
		}
		for _, loop := range r.loops.Report(time.Now()) {
			if loop.Name == "camera yard" {
				t.Error("the watchdog still looks after the camera that is gone")
			}
		}
		r.commands.obey(t.Context(), "snapshot", []byte("yard"), false)
		after(time.Second)
		r.answered("snapshot").wants(t, "snapshot", "no such camera")

		// The same again, under another name.
		l.reload(func(c *config.Config) {
			cam := c.Cameras["door"]
			cam.Source = "http://other/"
			c.Cameras["porch"] = cam
		})
		status("porch", "offline online")

		if isClosed(door) {
			t.Error("the camera that did not change was opened anew")
		}
		f := r.all().named("door")
		if n, d := f.counts.looked.Load(), f.counts.drops().Total(); d > 0 || f.verdicts[0].newest.Seq != n || n < 60 {
			t.Errorf("of the camera that did not change %d frames were looked at, %d dropped, the last is %d", n, d, f.verdicts[0].newest.Seq)
		}
		status("door", "offline online")
		r.halt()
	})
}

func isClosed(s *scripted) bool {
	select {
	case <-s.closed:
		return true
	default:
		return false
	}
}

// TestReloadOfThresholds: what frames and labels pass changes between two frames; the
// source stays open, and what holds goes on.
func TestReloadOfThresholds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		door := endless()
		r, l := reloading(t, fixed(testConfig()), sources{"test:": {door}}, nil)
		after(2 * time.Second)
		events := func() int { return len(r.broker.State().Topic(root + "/camera/door/event")) }
		frames := func() int { return len(r.broker.State().Topic(root + "/camera/door/frame")) }
		if events() != 1 || frames() != 0 {
			t.Fatalf("%d events, %d frames", events(), frames())
		}
		l.camera("door", func(c *config.Camera) {
			c.Stable, c.MinScore, c.Labels, c.Publish.Frame = 1, 0.5, []string{"dog"}, true
		})
		if n := frames(); events() != 1 || n < 9 {
			t.Errorf("a label that still holds: %d events, %d frames", events(), n)
		}
		l.camera("door", func(c *config.Camera) { c.Labels = []string{"cat"} })
		list := r.broker.State().Topic(root + "/camera/door/event")
		if len(list) != 2 || !strings.Contains(list[1], `"label":null`) || !strings.Contains(list[1], `"previous":"dog"`) {
			t.Errorf("a label that is wanted no more: %q", list)
		}
		l.camera("door", func(c *config.Camera) { c.MaxFPS, c.Labels, c.Publish.Frame = 2, nil, false })
		before := r.all()[0].counts.looked.Load()
		after(10 * time.Second)
		if n := r.all()[0].counts.looked.Load() - before; n < 19 || n > 21 {
			t.Errorf("%d frames of 10 s at 2 a second", n)
		}
		l.camera("door", func(c *config.Camera) { c.Heartbeat, c.Motion = time.Second, 0.5 })
		if isClosed(door) {
			t.Error("opened anew for a threshold")
		}
		// A region for which the camera can stay open, and one for which it cannot.
		l.camera("door", func(c *config.Camera) { c.Region.X0, c.Region.X1 = 0, 1 })
		if isClosed(door) {
			t.Error("opened anew for the same region")
		}
		l.camera("door", func(c *config.Camera) { c.Region.X0 = 0.5 })
		if !isClosed(door) {
			t.Error("not opened anew for a region that needs a larger picture")
		}
		r.halt()
	})
}

// TestReloadAndCommands: what a command has set stays where the configuration does
// not change it.
func TestReloadAndCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := withCamera(fixed(testConfig()), "yard", nil)
		r, l := reloading(t, c, sources{"test:": {endless()}, "http://yard/": {endless()}}, nil)
		after(time.Second)
		command := func(name, value string) {
			r.commands.obey(t.Context(), name, []byte(value), false)
			after(time.Second)
		}
		force := func(what string, budget time.Duration, ratio float64) {
			t.Helper()
			if now := r.tuners.shown(); now.budget != budget || now.ratio != ratio {
				t.Errorf("%s: %+v, want budget %v, keep %v", what, now, budget, ratio)
			}
		}
		command("budget", "25")
		command("keep", "0.5")
		command("camera/yard/enabled", "false")
		l.camera("door", func(c *config.Camera) { c.Stable = 1 })
		force("after another change", 25*time.Millisecond, 0.5)
		if r.all().named("yard").enabled.IsOn() {
			t.Error("a camera that was switched off is on")
		}
		l.reload(func(c *config.Config) { c.Latency.Budget = 30 * time.Millisecond })
		force("another budget", 30*time.Millisecond, 0.5)
		l.reload(func(c *config.Config) { c.Latency.Keep.Ratio = 0.9 })
		force("another keep", 30*time.Millisecond, 0.9)
		if got := r.broker.State().Retained[root+"/settings"]; !strings.Contains(got, `"keep":0.9,"budget_ms":30`) {
			t.Errorf("settings %s", got)
		}
		l.camera("yard", func(c *config.Camera) { c.Enabled = false })
		l.camera("yard", func(c *config.Camera) { c.Enabled = true })
		if !r.all().named("yard").enabled.IsOn() {
			t.Error("a camera that the configuration switches on is off")
		}
		command("snapshot", "yard") // no picture of it can be made, which is an answer
		l.reload(func(c *config.Config) { c.MQTT.Commands = false })
		command("budget", "40")
		r.answered("budget").wants(t, "commands off", "commands are off")
		force("commands off", 30*time.Millisecond, 0.9)
		l.reload(func(c *config.Config) { c.MQTT.Commands = true })
		command("budget", "40")
		force("commands on", 40*time.Millisecond, 0.9)
		r.halt()
	})
}

// TestReloadFollowsTheBudget: keep is fixed, and follows the budget again by the
// calibration that is kept, or for another percentile by a new one.
func TestReloadFollowsTheBudget(t *testing.T) {
	if testing.Short() {
		t.Skip("two calibrations")
	}
	synctest.Test(t, func(t *testing.T) {
		c := testConfig()
		r, l := reloading(t, c, sources{"test:": {endless()}}, func(r *rig, d *Deps) {
			d.State, r.model.takes = t.TempDir(), 5*time.Millisecond
		})
		after(20 * time.Second)
		if now := r.tuners.shown(); !now.auto || r.tuners.all()[0].controller == nil {
			t.Fatalf("not calibrated: %+v\n%s", now, r.log)
		}
		l.reload(func(c *config.Config) { c.Latency.Keep.Ratio = 0.5 })
		if now := r.tuners.shown(); now.auto || now.ratio != 0.5 {
			t.Errorf("%+v", now)
		}
		l.reload(func(c *config.Config) { c.Latency.Keep.Ratio = 0 })
		if now := r.tuners.shown(); !now.auto || r.tuners.all()[0].controller == nil {
			t.Errorf("%+v", now)
		}
		calibrations := strings.Count(r.log.String(), "msg=calibrated")
		l.reload(func(c *config.Config) { c.Latency.Percentile = 90 })
		after(20 * time.Second)
		if now := r.tuners.shown(); !now.auto || now.percentile != 90 || strings.Count(r.log.String(), "msg=calibrated") != calibrations+1 {
			t.Errorf("%+v\n%s", now, r.log)
		}
		l.reload(func(c *config.Config) { c.Latency.Budget = calibrate.LeastBudget })
		if now := r.tuners.shown(); now.budget != calibrate.LeastBudget || now.rate >= 1 {
			t.Errorf("a budget that cannot be met: %+v", now)
		}
		r.halt()
	})
}

// TestReloadOfNonsense: what is wrong changes nothing, and is said in the log and in
// the status, until another attempt succeeds.
func TestReloadOfNonsense(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		door := endless()
		r, l := reloading(t, fixed(testConfig()), sources{"test:": {door}}, nil)
		after(time.Second)
		for _, c := range []struct {
			say    string
			change func(*config.Config)
		}{
			{"cameras.yard.source: ", func(c *config.Config) { withCamera(*c, "yard", func(c *config.Camera) { c.Source = "gopher:" }) }},
			{`cameras.yard.labels: \"unicorn\": model fake has no such label`, func(c *config.Config) {
				withCamera(*c, "yard", func(c *config.Camera) { c.Labels = []string{"unicorn"} })
			}},
			{"cameras: no camera named", func(c *config.Config) { c.Cameras = map[string]config.Camera{} }},
			{"mqtt.password_file: read /nowhere: ", func(c *config.Config) { c.MQTT.PasswordFile = "/nowhere" }},
			{"mqtt.ca_file: ", func(c *config.Config) { c.MQTT.Broker, c.MQTT.CAFile = "mqtts://broker", "/nowhere" }},
			{"latency.budget: out of range", func(c *config.Config) { c.Latency.Budget = 0 }},
		} {
			good := l.config
			l.reload(func(to *config.Config) {
				cam := to.Cameras["door"]
				cam.Stable = 7
				to.Cameras["door"], to.Log.Level = cam, "debug"
				c.change(to)
			})
			if !strings.Contains(r.log.String(), "configuration not reloaded, all stays as it was") || !strings.Contains(r.log.String(), c.say) {
				t.Errorf("%s: log\n%s", c.say, r.log)
			}
			if line := r.condition.line(); !strings.Contains(line, "configuration not reloaded (") {
				t.Errorf("%s: status %s", c.say, line)
			}
			l.config = good
		}
		l.err = errors.New("dynvit.yaml:3:7: modle: unknown key")
		l.reload(func(*config.Config) {})
		if line := r.condition.line(); !strings.Contains(line, "dynvit.yaml:3:7: modle: unknown key") {
			t.Errorf("status %s", line)
		}
		l.err = nil
		if got := r.all()[0].config.Load().Stable; got != 3 || isClosed(door) || len(r.all()) != 1 || r.broker.State().Connects != 1 {
			t.Errorf("something has changed: stable %d, %d cameras, %d connections", got, len(r.all()), r.broker.State().Connects)
		}
		l.reload(func(*config.Config) {})
		if line := r.condition.line(); strings.Contains(line, "not reloaded") || !strings.Contains(r.log.String(), "nothing has changed") {
			t.Errorf("status %s\n%s", line, r.log)
		}
		l.reload(func(c *config.Config) { c.Model, c.HTTP.Listen, c.Node = "deit-tiny", "1", "porch" })
		if !strings.Contains(r.log.String(), `held from the next start on" reload=9 keys="node model http.listen"`) {
			t.Errorf("log\n%s", r.log)
		}
		r.halt()
	})
}

// TestReloadOfBroker: other credentials and subscriptions are taken up by another
// connection; cameras go on.
func TestReloadOfBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		door := endless()
		var level slog.LevelVar
		r, l := reloading(t, fixed(testConfig()), sources{"test:": {door}}, func(r *rig, d *Deps) { d.Level = &level })
		after(time.Second)
		l.reload(func(c *config.Config) { c.MQTT.Username, c.Log.Level = "u", "debug" })
		if s := r.broker.State(); s.Connects != 2 || s.Open != 1 || level.Level() != slog.LevelDebug {
			t.Errorf("%d connections, %d open, level %v", s.Connects, s.Open, level.Level())
		}
		l.reload(func(c *config.Config) { c.HomeAssistant.Enabled = false })
		if got := discoveries(r.broker.State()); len(got) > 0 {
			t.Errorf("still announced: %q", got)
		}
		before := len(r.broker.State().Subscribed)
		l.reload(func(c *config.Config) { c.HomeAssistant.Enabled, c.HomeAssistant.DiscoveryPrefix = true, "ha" })
		if list := r.broker.State().Subscribed[before:]; !slices.Contains(list, "ha/status") {
			t.Errorf("subscribed to %q", list)
		}
		if err := r.broker.Send("ha/status", "online", false); err != nil {
			t.Fatal(err)
		}
		after(3 * time.Second)
		if got := r.broker.State().Topic("ha/device/dynvit_box/config"); len(got) < 2 {
			t.Errorf("announced %d times to a Home Assistant that has just started", len(got))
		}
		if isClosed(door) || r.all()[0].counts.drops().Total() > 0 {
			t.Error("the camera did not go on")
		}
		r.halt()
	})
}

// TestReloadStorm: 200 reloads in 20 s while the configuration changes: the cameras
// that are the same all the while lose no frame. The bubble shows goroutines that
// are left.
func TestReloadStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		seen := map[string][]uint64{}
		c := withCamera(fixed(testConfig()), "same", nil)
		s := sources{"test:": {endless()}, "http://same/": {endless()}, "http://comes/": {}}
		r, l := reloading(t, c, s, func(r *rig, d *Deps) {
			d.State = t.TempDir()
			inner := d.openSource
			d.openSource = func(uri string, o camera.Options) (camera.Source, error) {
				if strings.HasPrefix(uri, "http://comes") {
					return newScripted(30*time.Millisecond, io.EOF, shots(2, 7)...), nil
				}
				return inner(uri, o)
			}
			wait := hear(d, func(res Result) {
				mu.Lock()
				defer mu.Unlock()
				seen[res.Camera] = append(seen[res.Camera], res.Seq)
			})
			t.Cleanup(wait)
		})
		after(time.Second)
		for i := range 200 {
			l.mu.Lock()
			l.config.Cameras = maps.Clone(l.config.Cameras)
			l.config.Latency.Budget = time.Duration(20+i%7) * time.Millisecond
			l.config.MQTT.Username = fmt.Sprint("u", i%3)
			l.err = nil
			switch i % 4 {
			case 0, 1:
				withCamera(l.config, "comes", func(c *config.Camera) { c.Source, c.Stable = fmt.Sprintf("http://comes/%d", i/2), 1+i%3 })
			case 2:
				delete(l.config.Cameras, "comes")
			case 3:
				l.err = errors.New("dynvit.yaml:1:1: half of a file")
			}
			l.mu.Unlock()
			select {
			case l.hangups <- syscall.SIGHUP:
			default: // as the kernel does: one is pending
			}
			time.Sleep(100 * time.Millisecond)
		}
		after(5 * time.Second)
		l.mu.Lock()
		if l.reads < 190 {
			t.Errorf("the configuration was read %d times", l.reads)
		}
		l.mu.Unlock()
		mu.Lock()
		for _, name := range []string{"door", "same"} {
			f := r.all().named(name)
			list := seen[name]
			if d := f.counts.drops().Total(); d > 0 || len(list) < 255 || list[len(list)-1] != uint64(len(list)) {
				t.Errorf("%s: %d frames looked at, %d dropped, the last is %d", name, len(list), d, list[len(list)-1])
			}
			if got := strings.Join(r.broker.State().Topic(root+"/camera/"+name+"/status"), " "); strings.Contains(got, "stalled") || strings.Count(got, "offline") > 1 {
				t.Errorf("%s: %s", name, got)
			}
		}
		if len(seen["comes"]) < 100 {
			t.Errorf("%d frames of the camera that comes and goes", len(seen["comes"]))
		}
		mu.Unlock()
		if h := r.condition.health(); !h.Alive || !h.Broker.Connected || len(r.loops.Report(time.Now())) > 5 {
			t.Errorf("%+v", h)
		}
		r.halt()
	})
}
