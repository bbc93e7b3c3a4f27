package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"dynvit/camera"
	schemes "dynvit/camera/all"
	"dynvit/camera/cameratest"
	"dynvit/config"
	"dynvit/engine"
	"dynvit/messages"
	"dynvit/mqtt/mqtttest"
	"dynvit/systemd"
	"dynvit/tuning"
)

// list is one field of all payloads on a topic under the node's root.
func (r *rig) list(topic, field string) string {
	r.t.Helper()
	var words []string
	for _, payload := range r.broker.State().Topic(root + topic) {
		var m map[string]any
		if err := json.Unmarshal([]byte(payload), &m); err != nil {
			r.t.Fatalf("%v in %s", err, payload)
		}
		words = append(words, fmt.Sprint(m[field]))
	}
	return strings.Join(words, " ")
}

// TestLabels: a first state without a label, then one state and one event for
// each label that holds; labels that are not wanted and scores that are too low
// count as none.
func TestLabels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var list []shot
		for _, s := range []struct {
			shot
			n int
		}{
			{shot{0, 90}, 3}, // cat
			{shot{1, 90}, 2}, // a dog, but not for long enough
			{shot{0, 80}, 1},
			{shot{1, 90}, 3}, // dog
			{shot{1, 29}, 3}, // too low
			{shot{0, 30}, 3}, // cat
			{shot{3, 99}, 3}, // a fox, which is not wanted
		} {
			for range s.n {
				list = append(list, s.shot)
			}
		}
		c := withCamera(testConfig(), "door", func(c *config.Camera) { c.Labels = []string{"cat", "dog"} })
		r := run(t, c, sources{"http://door/": {newScripted(time.Second, nil, list...)}}, nil)
		after(20 * time.Second)
		r.halt()
		for _, c := range []struct{ topic, field, want string }{
			{"state", "label", "<nil> cat dog <nil> cat <nil>"},
			{"state", "class", "-1 0 1 -1 0 -1"},
			{"state", "score", "0.9 0.9 0.9 0.29 0.3 0.99"},
			{"event", "label", "cat dog <nil> cat <nil>"},
			{"event", "previous", "<nil> cat dog <nil> cat"},
			{"event", "id", "b00t-1 b00t-2 b00t-3 b00t-4 b00t-5"},
			{"event", "seq", "3 9 12 15 18"},
			{"event", "since", "2000-01-01T00:00:01.000Z 2000-01-01T00:00:07.000Z 2000-01-01T00:00:10.000Z 2000-01-01T00:00:13.000Z 2000-01-01T00:00:16.000Z"},
		} {
			if got := r.list("/camera/door/"+c.topic, c.field); got != c.want {
				t.Errorf("%s %s\n got %s\nwant %s", c.topic, c.field, got, c.want)
			}
		}
	})
}

// TestStateKeepsTheFrameThatAgrees: what a heartbeat repeats is the newest frame
// with the label that holds, not one that contradicts it.
func TestStateKeepsTheFrameThatAgrees(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := append(shots(0, 5), shot{1, 99})
		c := withCamera(testConfig(), "door", func(c *config.Camera) { c.Heartbeat, c.Timeout = 30*time.Second, time.Hour })
		r := run(t, c, sources{"http://door/": {newScripted(time.Second, nil, list...)}}, nil)
		after(34 * time.Second) // the state was last published at 3 s
		r.halt()
		if got := r.list("/camera/door/state", "seq") + ", " + r.list("/camera/door/state", "age_ms"); got != "1 3 5, 0 0 28000" {
			t.Errorf("got %s", got)
		}
	})
}

// TestHeartbeatsEndWithAStall: a camera that delivers nothing has no present
// classification.
func TestHeartbeatsEndWithAStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := withCamera(testConfig(), "door", func(c *config.Camera) { c.Heartbeat, c.Timeout = 10*time.Second, 35*time.Second })
		source := cameratest.New(cameratest.Grey(2, 1, 90))
		r := run(t, c, sources{"http://door/": {source}}, nil)
		count := func(want int) {
			t.Helper()
			if n := len(r.broker.State().Topic(root + "/camera/door/state")); n != want {
				t.Errorf("%d states after %v, want %d", n, time.Since(r.started), want)
			}
		}
		after(34 * time.Second)
		count(4)
		after(time.Hour)
		count(4)
		source.Push(cameratest.Grey(2, 1, 90))
		synctest.Wait()
		count(5)
		r.halt()
	})
}

func TestMaxFPS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := withCamera(testConfig(), "door", func(c *config.Camera) { c.MaxFPS = 5 })
		r := run(t, c, sources{"http://door/": {newScripted(time.Second/30, nil, shots(1, 300)...)}}, nil)
		after(15 * time.Second)
		r.halt()
		if n, d := r.all()[0].counts.looked.Load(), r.all()[0].counts.drops(); n < 49 || n > 51 || n+d.TooFast != 300 {
			t.Errorf("%d looked at, %+v", n, d)
		}
	})
}

// TestAgeIsBounded: however slow the model, a frame is at most as old when its
// result is published as the model takes and the camera's frames are apart.
func TestAgeIsBounded(t *testing.T) {
	const apart = time.Second / 60
	for _, takes := range []time.Duration{time.Millisecond, 16 * time.Millisecond, 17 * time.Millisecond, 90 * time.Millisecond, time.Second} {
		synctest.Test(t, func(t *testing.T) {
			var oldest time.Duration
			var n uint64
			var wait func()
			r := run(t, testConfig(), sources{"test:": {newScripted(apart, nil, shots(1, 3000)...)}}, func(r *rig, d *Deps) {
				r.model.takes = takes
				wait = hear(d, func(r Result) { n, oldest = n+1, max(oldest, time.Since(r.Captured)) })
			})
			after(29 * time.Second)
			r.halt()
			wait()
			if oldest > takes+apart {
				t.Errorf("a model that takes %v published a frame %v old", takes, oldest)
			}
			if want := 28 * uint64(time.Second/max(takes, apart)); n < want*9/10 {
				t.Errorf("a model that takes %v looked at %d frames, want %d", takes, n, want)
			}
		})
	}
}

// TestReopened: a source that broke is closed and opened again; its frames count
// on, and those that it saw without handing them over are counted, the last too.
func TestReopened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := cameratest.New(cameratest.Grey(2, 1, 90), cameratest.Grey(2, 1, 90)), cameratest.New()
		second.Skip(2)
		second.Push(cameratest.Grey(2, 1, 90))
		c := withCamera(testConfig(), "door", func(c *config.Camera) { c.Stable = 1 })
		r := run(t, c, sources{"http://door/": {first, second}}, nil)
		after(time.Second)
		first.Fail(&camera.LostError{Frames: 3, Err: errors.New("cable cut")})
		after(5 * time.Second)
		if !first.IsClosed() {
			t.Error("the broken source is still open")
		}
		u := r.all()[0]
		if u.counts.missed.Load() != 3+2 || r.all()[0].verdicts[0].newest.Seq != 5 {
			t.Errorf("frame %d, %+v", r.all()[0].verdicts[0].newest.Seq, u.counts.drops())
		}
		r.halt()
		// The first offline may have given way to online before the client connected.
		if got := strings.Join(r.broker.State().Topic(root+"/camera/door/status"), " "); !strings.HasSuffix(got, "online offline online offline") {
			t.Errorf("status %s", got)
		}
		if !second.IsClosed() {
			t.Error("the second source is still open")
		}
	})
}

// TestListener: it hears of every frame, and which of them changed a label.
func TestListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shown []string
		var wait func()
		s := sources{"test:": {newScripted(time.Second, nil, append(shots(1, 3), shot{}, shot{0, 10})...)}}
		r := run(t, testConfig(), s, func(_ *rig, d *Deps) {
			wait = hear(d, func(r Result) {
				shown = append(shown, fmt.Sprint(r.Camera, r.Seq, " ", r.Label, r.Class, " ", r.Changed, " ", r.Engine.Model))
			})
		})
		after(10 * time.Second)
		r.halt()
		wait()
		if got := strings.Join(shown, ", "); got != "door1 dog1 false fake, door2 dog1 false fake, door3 dog1 true fake, door5 -1 false fake" {
			t.Errorf("shown %s", got)
		}
	})
}

// TestStopIsQuick: a broker that takes nothing, and a driver that does not let go
// of its camera, delay the end by less than a second.
func TestStopIsQuick(t *testing.T) {
	for name, fault := range map[string]mqtttest.Fault{
		"good broker": {}, "no acknowledgements": {NoAck: true}, "reads nothing": {Stall: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := withCamera(testConfig(), "hung", nil)
				s := sources{
					"test:":        {newScripted(100*time.Millisecond, nil, shots(1, 1000)...)},
					"http://hung/": {hung{cameratest.New()}},
				}
				r := run(t, c, s, func(r *rig, _ *Deps) { r.broker.Set(fault) })
				after(5 * time.Second)
				begun := time.Now()
				r.stop()
				if err := <-r.result; err != nil {
					t.Error(err)
				}
				if took := time.Since(begun); took > 1500*time.Millisecond {
					t.Errorf("took %v", took)
				}
				r.broker.Set(mqtttest.Fault{})
				r.broker.Close()
				after(time.Minute) // for the driver
			})
		})
	}
}

// hung is a source that takes a minute to close.
type hung struct{ *cameratest.Source }

func (h hung) Close() error {
	time.Sleep(time.Minute)
	return h.Source.Close()
}

// TestStuckAtTheEnd: an inference that never comes back is given up, with an
// error, and the model it uses is left alone.
func TestStuckAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		r := run(t, testConfig(), sources{"test:": {newScripted(time.Second, nil, shots(1, 10)...)}}, func(r *rig, _ *Deps) { r.model.hang = hang })
		after(5 * time.Second)
		r.stop()
		err := <-r.result
		if !errors.Is(err, errStuck) || r.model.closed {
			t.Errorf("%v, model closed: %v", err, r.model.closed)
		}
		if got := r.broker.State().Retained[root+"/status"]; got != messages.NodeStopped {
			t.Errorf("status %s", got)
		}
		close(hang)
		r.broker.Close()
	})
}

// manager is the service manager's end of the notification socket.
type manager struct {
	t    *testing.T
	conn *net.UnixConn
}

func newManager(t *testing.T) (*manager, *systemd.Notifier) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "30000000"}
	notifier, err := systemd.New(func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { notifier.Close(); conn.Close() })
	return &manager{t, conn}, notifier
}

// read returns what has arrived, without waiting: time in a bubble does not move
// while a system call does.
func (m *manager) read() string {
	m.t.Helper()
	raw, err := m.conn.SyscallConn()
	if err != nil {
		m.t.Fatal(err)
	}
	var all []string
	buf := make([]byte, 4096)
	for {
		n := 0
		var failed error
		err := raw.Read(func(fd uintptr) bool {
			n, _, failed = unix.Recvfrom(int(fd), buf, unix.MSG_DONTWAIT)
			return true
		})
		if err != nil || failed != nil {
			return strings.Join(all, "\n")
		}
		all = append(all, string(buf[:n]))
	}
}

// TestWatchdog: idle cameras and a broker that is away don't keep the watchdog
// from being fed, a stuck inference does, and one that moves again feeds it.
func TestWatchdog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, notifier := newManager(t)
		hang := make(chan struct{})
		source := cameratest.New()
		c := withCamera(testConfig(), "gone", nil)
		s := sources{"test:": {source}, "http://gone/": {errors.New("no such device")}}
		r := run(t, c, s, func(r *rig, d *Deps) {
			d.Notify, r.model.hang = notifier, hang
			r.broker.Down()
		})
		fed := func(d time.Duration) (n int) {
			for range d / (10 * time.Second) {
				after(10 * time.Second)
				n += strings.Count(m.read(), "WATCHDOG=1")
			}
			return n
		}
		synctest.Wait()
		if first := m.read(); !strings.Contains(first, "READY=1\nSTATUS=0 of 2 cameras online; broker away") {
			t.Errorf("at the start: %s", first)
		}
		if n := fed(10 * time.Minute); n < 39 {
			t.Errorf("idle: fed %d times in ten minutes", n)
		}
		source.Push(cameratest.Grey(2, 1, 90))
		if n := fed(inferenceLimit); n < 3 {
			t.Errorf("within the limit: fed %d times", n)
		}
		fed(20 * time.Second)
		if n := fed(10 * time.Minute); n != 0 {
			t.Errorf("stuck: fed %d times", n)
		}
		close(hang)
		if n := fed(time.Minute); n < 3 {
			t.Errorf("moving again: fed %d times", n)
		}
		r.halt()
		if last := m.read(); !strings.Contains(last, "STOPPING=1") {
			t.Errorf("at the end: %s", last)
		}
	})
}

// TestRealParts runs with the drawn source, the embedded broker and the HTTP
// server on real sockets, ends with its source, and leaves no goroutine behind.
func TestRealParts(t *testing.T) {
	before := runtime.NumGoroutine()
	c := config.Default("box")
	c.MQTT.Broker, c.HTTP.Listen = config.Embedded, "127.0.0.1:0"
	cam := config.DefaultCamera()
	cam.Source = "test:?frames=5&fps=200&size=64x64"
	c.Cameras["cam0"] = cam
	shown := 0
	deps := Deps{
		Schemes: schemes.List(),
		Open:    func(engine.Options) (tuning.Classifier, error) { return &fake{}, nil },
		NoFile:  true, Getenv: noEnv, brokerListen: "127.0.0.1:0",
	}
	wait := hear(&deps, func(Result) { shown++ })
	d, err := New(c, deps)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	wait()
	if frames, dropped := d.Totals(); frames+dropped != 5 || int(frames) != shown || frames == 0 {
		t.Errorf("%d frames, %d dropped, %d shown", frames, dropped, shown)
	}
	// Some libraries' goroutines see their closed connections a moment later.
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			stack := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, %d before\n%s", runtime.NumGoroutine(), before, stack[:runtime.Stack(stack, true)])
		}
	}
}

// TestMissingFileEndsRun: who types a file's name wants to know at once that it
// is not there; a daemon with a configuration waits for it.
func TestMissingFileEndsRun(t *testing.T) {
	for _, noFile := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			missing := filepath.Join(t.TempDir(), "none.jpg")
			c := withCamera(testConfig(), "door", func(c *config.Camera) { c.Source = missing })
			r := run(t, c, nil, func(_ *rig, d *Deps) { d.NoFile, d.openSource = noFile, nil })
			after(time.Minute)
			if noFile {
				if err := r.ended(); err == nil || !strings.Contains(err.Error(), "none.jpg") || strings.Contains(err.Error(), "\n") {
					t.Errorf("ended with %v", err)
				}
				return
			}
			if got := r.broker.State().Retained[root+"/camera/door/status"]; got != messages.CameraOffline {
				t.Errorf("camera is %s", got)
			}
			r.halt()
		})
	}
}
