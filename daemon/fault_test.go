package daemon

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/jpeg"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"dynvit/backends/all"
	"dynvit/camera"
	schemes "dynvit/camera/all"
	"dynvit/camera/rtsp/rtsptest"
	"dynvit/config"
	"dynvit/engine"
	"dynvit/internal/needs"
	"dynvit/machine"
	"dynvit/messages"
	"dynvit/mqtt/mqtttest"
	"dynvit/timing"
	"dynvit/tuning"
)

// The tests named TestFault… print the figures of the fault table in
// docs/reliability.md. They run the daemon with the model, over real sockets and
// child processes, in real time.

// faultTimeout is the cameras': longer than a loaded box keeps a program waiting.
const faultTimeout = 2 * time.Second

// faultLimit is how long anything may take that does come.
const faultLimit = time.Minute

// faulty is a daemon beside the faults that a test makes.
type faulty struct {
	*service
	t      *testing.T
	broker *mqtttest.Broker
	log    *mqtttest.Log
}

// startFaulty runs cameras of these sources, each with a timeout of two seconds, and
// one of drawn scenes, "good", which nothing may disturb.
func startFaulty(t *testing.T, sources map[string]string) *faulty {
	t.Helper()
	sources["good"] = "test:?fps=5&size=320x240"
	return startCameras(t, sources, func(*Deps) {})
}

func startCameras(t *testing.T, sources map[string]string, change func(*Deps), cameras ...func(*config.Camera)) *faulty {
	t.Helper()
	if testing.Short() {
		t.Skip("needs more than a short run: it takes seconds of real time")
	}
	broker, err := mqtttest.Listen()
	if err != nil {
		t.Fatal(err)
	}
	c := config.Default("box")
	c.MQTT.Broker = broker.URL()
	for name, uri := range sources {
		cam := config.DefaultCamera()
		cam.Source, cam.Timeout, cam.Publish.Frame = uri, faultTimeout, true
		for _, set := range cameras {
			set(&cam)
		}
		c.Cameras[name] = cam
	}
	c.MQTT.ClientID = "dynvit-box"
	f := &faulty{t: t, broker: broker, log: new(mqtttest.Log)}
	deps := Deps{
		Schemes: schemes.List(),
		Open:    func(o engine.Options) (tuning.Classifier, error) { return engine.Open(o, all.List()) },
		Log:     f.log.Logger(slog.LevelInfo), Getenv: noEnv,
	}
	change(&deps)
	ready := whenReady(t, &deps)
	d, err := New(c, deps)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- d.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-result; err != nil {
			t.Error(err)
		}
		broker.Close()
		if t.Failed() {
			t.Logf("log:\n%s", f.log)
		}
	})
	f.service = ready()
	return f
}

// await waits until a camera's status is that, and says how long it took.
func (f *faulty) await(name, word string) time.Duration {
	f.t.Helper()
	start := time.Now()
	ctx, cancel := context.WithTimeout(f.t.Context(), faultLimit)
	defer cancel()
	_, err := f.broker.Await(ctx, func(s mqtttest.State) bool { return s.Retained[root+"/camera/"+name+"/status"] == word })
	if err != nil {
		f.t.Fatalf("camera %s does not become %s; log\n%s", name, word, f.log)
	}
	return time.Since(start)
}

// watch runs do and holds that the good camera stayed online and was looked at
// all the while; it returns its frames a second.
func (f *faulty) watch(do func()) float64 {
	f.t.Helper()
	f.await("good", messages.CameraOnline)
	good := f.feedNamed("good")
	before, start, statuses := good.counts.looked.Load(), time.Now(), len(f.broker.State().Topic(root+"/camera/good/status"))
	do()
	rate := float64(good.counts.looked.Load()-before) / time.Since(start).Seconds()
	if n := len(f.broker.State().Topic(root + "/camera/good/status")); n != statuses {
		f.t.Error("the good camera did not stay online")
	}
	if took := time.Since(start); took > 3*time.Second && rate < 1 {
		f.t.Errorf("the good camera was looked at %.1f times a second for %v", rate, took)
	}
	return rate
}

func (f *faulty) feedNamed(name string) *feed { return f.cameras.roster.all().named(name) }

// looked waits until n more frames of a camera have been classified.
func (f *faulty) looked(name string, n uint64) {
	f.t.Helper()
	u := f.feedNamed(name)
	want := u.counts.looked.Load() + n
	f.until(name+" is looked at", func() bool { return u.counts.looked.Load() >= want })
}

// until polls what has no channel.
func (f *faulty) until(what string, ok func() bool) {
	f.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(faultLimit)
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			f.t.Fatalf("not in %v: %s; log\n%s", faultLimit, what, f.log)
		}
	}
}

// stream is an MJPEG camera over HTTP that sends what a test gives it.
type stream struct {
	t       *testing.T
	address string
	server  *http.Server
	served  sync.WaitGroup

	mu    sync.Mutex
	part  func(n int) string // the n'th part since it was set, header and all; "": be silent
	n     int
	every time.Duration
}

// newStream serves JPEGs of a size at 20 frames a second.
func newStream(t *testing.T) *stream {
	s := &stream{t: t, address: "127.0.0.1:0", every: 50 * time.Millisecond}
	s.set(func(int) string { return whole(picture(t, 320, 240)) })
	s.start()
	t.Cleanup(s.stop)
	return s
}

func (s *stream) url() string { return "http://" + s.address + "/" }

func (s *stream) start() {
	s.t.Helper()
	l, err := net.Listen("tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.address = l.Addr().String()
	s.server = &http.Server{Handler: s}
	s.served.Go(func() { s.server.Serve(l) }) // until it is closed
}

// stop breaks every connection.
func (s *stream) stop() {
	s.server.Close()
	s.served.Wait()
}

func (s *stream) set(part func(n int) string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.part, s.n = part, 0
}

func (s *stream) next() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	return s.part(s.n)
}

func (s *stream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "multipart/x-mixed-replace; boundary=f")
	tick := time.NewTicker(s.every)
	defer tick.Stop()
	for {
		if _, err := fmt.Fprint(w, s.next()); err != nil {
			return
		}
		w.(http.Flusher).Flush()
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
}

// picture is a JPEG of a size, of some shades.
func picture(t *testing.T, w, h int) []byte {
	t.Helper()
	img := image.NewGray(image.Rect(0, 0, w, h))
	for i := range img.Pix {
		img.Pix[i] = byte(i%w*255/w) ^ byte(i/w)
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// whole is a part with its length, the body ending early or not.
func whole(body []byte) string {
	return fmt.Sprintf("--f\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n", len(body), body)
}

// milli is a figure for the table.
func milli(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

func TestFaultCameraStalled(t *testing.T) {
	s := newStream(t)
	f := startFaulty(t, map[string]string{"bad": s.url()})
	f.await("bad", messages.CameraOnline)
	rate := f.watch(func() {
		s.set(func(int) string { return "" })
		stalled := f.await("bad", messages.CameraStalled)
		// Later the source gives up too, and is opened anew to no avail.
		f.until("it is opened again", func() bool { return strings.Contains(f.log.String(), "no frame in 3s") })
		if got := f.broker.State().Retained[root+"/camera/bad/status"]; got != messages.CameraStalled {
			t.Errorf("then it is %s", got)
		}
		s.set(func(int) string { return whole(picture(t, 320, 240)) })
		online := f.await("bad", messages.CameraOnline)
		t.Logf("FIGURES stalled after %v (timeout 2s), online %v after frames come again", milli(stalled), milli(online))
	})
	t.Logf("FIGURES the good camera: %.1f frames/s meanwhile", rate)
}

func TestFaultCameraTruncatedJPEG(t *testing.T) {
	s := newStream(t)
	f := startFaulty(t, map[string]string{"bad": s.url()})
	f.await("bad", messages.CameraOnline)
	f.watch(func() {
		data := picture(t, 320, 240)
		s.set(func(n int) string {
			if n%2 == 0 {
				return whole(data[:n%len(data)]) // cut at another place each time
			}
			return whole(data)
		})
		u := f.feedNamed("bad")
		failed := u.counts.failed.Load()
		f.looked("bad", 30)
		if d := u.counts.failed.Load() - failed; d < 10 {
			t.Errorf("%d damaged frames counted", d)
		}
		if now := u.status.get(); now.Word != messages.CameraOnline {
			t.Errorf("the camera is %s", now.Word)
		}
		if n := strings.Count(f.log.String(), "frame not classified"); n == 0 {
			t.Error("not told")
		}
		t.Logf("FIGURES 30 whole frames classified among %d damaged ones, online all the while", u.counts.failed.Load()-failed)
	})
}

// TestFaultCameraHugeJPEG: 100 MB in a frame, announced or not, are an error, not
// memory.
func TestFaultCameraHugeJPEG(t *testing.T) {
	const huge = 100 << 20
	for name, head := range map[string]string{
		"announced": fmt.Sprintf("--f\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n", huge),
		"endless":   "--f\r\nContent-Type: image/jpeg\r\n\r\n\xff\xd8\xff\xda\x00\x02",
	} {
		t.Run(name, func(t *testing.T) {
			s := newStream(t)
			f := startFaulty(t, map[string]string{"bad": s.url()})
			f.await("bad", messages.CameraOnline)
			f.watch(func() {
				before := machine.At(os.DirFS("/")).RSS()
				chunk := strings.Repeat("x", huge/4)
				s.set(func(n int) string {
					if n%5 == 1 {
						return head
					}
					return chunk
				})
				offline := f.await("bad", messages.CameraOffline)
				reason := f.feedNamed("bad").status.get().Reason
				if !strings.Contains(reason, "16 MiB") {
					t.Errorf("the reason is %s", reason)
				}
				grown := (float64(machine.At(os.DirFS("/")).RSS()) - float64(before)) / (1 << 20)
				s.set(func(int) string { return whole(picture(t, 320, 240)) })
				online := f.await("bad", messages.CameraOnline)
				// The test's own server holds a chunk and its copy.
				if grown > 200 && !needs.Race {
					t.Errorf("%.0f MiB more", grown)
				}
				t.Logf("FIGURES offline after %v (%s), online %v after it is good; RSS %+.0f MiB, 75 of them the test's own", milli(offline), reason, milli(online), grown)
			})
		})
	}
}

func TestFaultCameraSizeChange(t *testing.T) {
	s := newStream(t)
	f := startFaulty(t, map[string]string{"bad": s.url()})
	f.await("bad", messages.CameraOnline)
	sizes := [][]byte{picture(t, 320, 240), picture(t, 1280, 720), picture(t, 240, 320), picture(t, 17, 1000), picture(t, 8, 8)}
	f.watch(func() {
		s.set(func(n int) string { return whole(sizes[n%len(sizes)]) })
		f.looked("bad", 50)
		if d := f.feedNamed("bad").counts.drops(); d.Failed != 0 || f.feedNamed("bad").status.get().Word != messages.CameraOnline {
			t.Errorf("%+v", d)
		}
		t.Logf("FIGURES 50 frames of 5 sizes by turns classified, none failed")
	})
}

func TestFaultCameraGone(t *testing.T) {
	s := newStream(t)
	f := startFaulty(t, map[string]string{"bad": s.url()})
	f.await("bad", messages.CameraOnline)
	rate := f.watch(func() {
		s.stop()
		offline := f.await("bad", messages.CameraOffline)
		f.until("it was tried", func() bool { return strings.Contains(f.log.String(), "connection refused") })
		s.start()
		online := f.await("bad", messages.CameraOnline)
		t.Logf("FIGURES offline after %v, online %v after it is there again", milli(offline), milli(online))
	})
	t.Logf("FIGURES the good camera: %.1f frames/s meanwhile", rate)
}

// TestFaultDecoderCrashes: an ffmpeg that ends as soon as it starts is started
// again with growing pauses; nothing is left of it.
func TestFaultDecoderCrashes(t *testing.T) {
	folder := t.TempDir()
	count := filepath.Join(folder, "count")
	script := "#!/bin/sh\necho x >>" + count + "\necho 'rtsp://me:s3cret@cam: no codec' >&2\nexit 1\n"
	if err := os.WriteFile(filepath.Join(folder, "ffmpeg"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", folder+":"+os.Getenv("PATH"))
	path := filepath.Join(folder, "a.mp4")
	if err := os.WriteFile(path, []byte("film"), 0o644); err != nil {
		t.Fatal(err)
	}
	f := startFaulty(t, map[string]string{"bad": path})
	starts := func() int {
		data, _ := os.ReadFile(count) // none at first
		return bytes.Count(data, []byte("x"))
	}
	rate := f.watch(func() {
		start := time.Now()
		f.until("five starts", func() bool { return starts() >= 5 })
		took := time.Since(start)
		if took < 2*time.Second {
			t.Errorf("five starts in %v", took)
		}
		log := f.log.String()
		if !strings.Contains(log, "exit status 1: rtsp://***@cam: no codec") || strings.Contains(log, "s3cret") {
			t.Errorf("log\n%s", log)
		}
		f.until("no zombie", func() bool { return len(zombies(t)) == 0 })
		t.Logf("FIGURES five starts in %v, no zombie", milli(took))
	})
	t.Logf("FIGURES the good camera: %.1f frames/s meanwhile", rate)
}

// zombies are our children that ended and were not waited for.
func zombies(t *testing.T) (list []string) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range stats {
		data, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(data), ") ")
		if strings.HasPrefix(rest, fmt.Sprintf("Z %d ", os.Getpid())) {
			list = append(list, path)
		}
	}
	return list
}

// TestFaultRTSPServerKilled: the stream comes back by itself.
func TestFaultRTSPServerKilled(t *testing.T) {
	s := rtsptest.New(t, "ffmpeg", film(t, "one-by-one-person-detection.mp4"), false)
	s.Rate, s.User, s.Password = 100, "me", "s3cret"
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { s.Stop() }()
	f := startFaulty(t, map[string]string{"bad": s.URL()})
	f.await("bad", messages.CameraOnline)
	f.watch(func() {
		s.Stop()
		offline := f.await("bad", messages.CameraOffline)
		f.until("it was tried", func() bool { return strings.Contains(f.log.String(), "connection refused") })
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		online := f.await("bad", messages.CameraOnline)
		f.looked("bad", 3)
		if strings.Contains(f.log.String(), "s3cret") {
			t.Error("the password is in the log")
		}
		t.Logf("FIGURES offline after %v, online %v after the server is there again", milli(offline), milli(online))
	})
}

// TestFaultSlowConsumer: a camera of 60 frames a second, on a box that has other
// work than the daemon's, gets no older than a frame's time and the distance to
// the next one. The newest frame is looked at, never one from a queue. The camera
// is a program on the same box: when that is late, the distance is what it was.
func TestFaultSlowConsumer(t *testing.T) {
	if os.Getenv("DYNVIT_FAULTS") == "" {
		t.Skip("make test-faults runs it: it keeps the box busy for minutes; TestAgeIsBounded is the rule in fake time")
	}
	for _, c := range []struct {
		load    int
		backend string
		frames  uint64
	}{{0, "auto", 1000}, {2, "auto", 1000}, {0, "portable", 100}, {2, "portable", 100}} {
		t.Run(fmt.Sprint(c.backend, ", ", c.load, " busy programs"), func(t *testing.T) {
			s := newStream(t)
			s.every = time.Second / 60
			frame := whole(picture(t, 1280, 720))
			s.set(func(int) string { return frame })
			seen := new(arrivals)
			ages := new(ages)
			f := startCameras(t, map[string]string{"fast": s.url()}, func(d *Deps) {
				d.openSource = seen.open
				hear(d, ages.add)
				d.Open = func(o engine.Options) (tuning.Classifier, error) {
					o.Backend = c.backend
					return engine.Open(o, all.List())
				}
			})
			f.looked("fast", 10)
			for range c.load {
				spin(t)
			}
			f.looked("fast", 10)
			ages.drain()
			seen.drain()
			for range c.frames / 20 { // each within the limit
				f.looked("fast", 20)
			}
			work, age := ages.drain()
			apart := seen.drain()
			for _, list := range [][]time.Duration{work, age, apart} {
				slices.Sort(list)
			}
			interval := max(timing.Rounded(s.every), percentile(apart, 99))
			bound := percentile(work, 99) + interval
			t.Logf("FIGURES %d frames looked at of %d: frame_ms p50 %.1f p99 %.1f, frames apart p50 %.1f p99 %.1f, age p50 %.1f p99 %.1f ms; bound %.1f",
				len(work), len(apart), percentile(work, 50), percentile(work, 99), percentile(apart, 50), percentile(apart, 99), percentile(age, 50), percentile(age, 99), bound)
			if percentile(age, 99) > bound {
				t.Errorf("age p99 %.1f ms, want at most %.1f", percentile(age, 99), bound)
			}
		})
	}
}

// percentile is the nearest rank of sorted times, in milliseconds.
func percentile(sorted []time.Duration, p int) float64 {
	return timing.Rounded(sorted[timing.Rank(len(sorted), float64(p))])
}

// ages notes how long frames took, and how old they were once published.
type ages struct {
	mu        sync.Mutex
	work, age []time.Duration
}

func (a *ages) add(r Result) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.work, a.age = append(a.work, r.Frame), append(a.age, time.Since(r.Captured))
}

func (a *ages) drain() (work, age []time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	work, age = a.work, a.age
	a.work, a.age = nil, nil
	return work, age
}

// arrivals notes how far apart the frames of a source come.
type arrivals struct {
	camera.Source
	mu    sync.Mutex
	last  time.Time
	apart []time.Duration
}

func (a *arrivals) open(uri string, o camera.Options) (s camera.Source, err error) {
	a.Source, err = schemes.List().Open(uri, o)
	return a, err
}

func (a *arrivals) Next(ctx context.Context, f *camera.Frame) error {
	err := a.Source.Next(ctx, f)
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.last.IsZero() {
		a.apart = append(a.apart, f.Captured.Sub(a.last))
	}
	a.last = f.Captured
	return err
}

func (a *arrivals) drain() []time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := a.apart
	a.apart = nil
	return list
}

// spin runs a program that does nothing as fast as it can.
func spin(t *testing.T) {
	t.Helper()
	c := exec.Command("sh", "-c", "while :; do :; done")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
	})
}

// TestFaultClockStepped by a day, both ways: nothing stalls, hurries or repeats,
// ages stay what they are, and what is published carries the new time.
func TestFaultClockStepped(t *testing.T) {
	for _, days := range []int{1, -1} {
		t.Run(fmt.Sprint(days), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				step, start := 0, time.Now()
				now := func() time.Time {
					mu.Lock()
					defer mu.Unlock()
					return wallStepped(time.Now(), start, step)
				}
				source := &onClock{newScripted(time.Second, nil, append(shots(1, 100), shots(2, 100)...)...), now}
				c := withCamera(testConfig(), "door", func(c *config.Camera) {
					c.Publish.Frame, c.MaxFPS, c.Timeout, c.Heartbeat = true, 5, 3*time.Second, 30*time.Second
				})
				r := run(t, c, sources{"http://door/": {source}}, func(_ *rig, d *Deps) { d.now = now })
				after(50*time.Second + time.Millisecond)
				mu.Lock()
				step = days
				mu.Unlock()
				after(70 * time.Second)
				r.halt()
				if got := strings.Join(r.broker.State().Topic(root+"/camera/door/status"), " "); got != "offline online offline" {
					t.Errorf("status %s", got)
				}
				if got := strings.Fields(r.list("/camera/door/frame", "seq")); len(got) != 120 {
					t.Errorf("%d frames published, want 120", len(got))
				}
				for i, age := range strings.Fields(r.list("/camera/door/frame", "age_ms")) {
					if age != "0" {
						t.Errorf("frame %d is %s ms old", i+1, age)
					}
				}
				// The first, the label that holds in the third second, a heartbeat every
				// 30 s, and the change.
				if got := r.list("/camera/door/state", "seq"); got != "1 3 32 62 92 103" {
					t.Errorf("states of frames %s", got)
				}
				events := strings.Fields(r.list("/camera/door/event", "captured_at"))
				want := "2000-01-02T00:01:43.000Z"
				if days < 0 {
					want = "1999-12-31T00:01:43.000Z"
				}
				if len(events) != 2 || events[1] != want {
					t.Errorf("events at %v, want the last at %s", events, want)
				}
				t.Logf("FIGURES clock %+d day: every frame published once, age 0 ms, heartbeats on time", days)
			})
		})
	}
}

// onClock stamps frames by a clock.
type onClock struct {
	*scripted
	now func() time.Time
}

func (s *onClock) Next(ctx context.Context, f *camera.Frame) error {
	err := s.scripted.Next(ctx, f)
	f.Captured = s.now()
	return err
}

// wallStepped is what time.Now would return if the wall clock had been set by so
// many days, the monotonic one going on. No exported function makes such a Time,
// and time in a bubble has no monotonic reading, so it is put together as package
// time does: a flag, 33 bits of seconds since 1885 and 30 of nanoseconds, then the
// monotonic reading.
func wallStepped(t, start time.Time, days int) time.Time {
	stepped := struct {
		wall uint64
		ext  int64
		loc  *time.Location
	}{loc: time.UTC}
	since1885 := t.AddDate(0, 0, days).Unix() - time.Date(1885, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	stepped.wall = 1<<63 | uint64(since1885)<<30 | uint64(t.Nanosecond())
	stepped.ext = int64(t.Sub(start)) + 1
	return *(*time.Time)(unsafe.Pointer(&stepped))
}
