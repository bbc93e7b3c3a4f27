package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dynvit/backends"
	"dynvit/camera"
	schemes "dynvit/camera/all"
	"dynvit/config"
	"dynvit/engine"
	"dynvit/mqtt/mqtttest"
	"dynvit/preprocess"
	"dynvit/tuning"
	"dynvit/vit"
)

// fake is a classifier of four classes: a frame's first byte is its class, the
// second its score in percent. A frame without bytes is damaged.
type fake struct {
	takes   time.Duration         // for a frame
	hang    chan struct{}         // if set, Classify waits for it
	calls   int                   // of Classify
	closed  bool                  // Close was called
	seen    func(f *camera.Frame) // if set
	standIn string                // the backend that looks from the third frame on, if set
	name    string                // of the model; "": fake
	labels  []string              // nil: fakeLabels
	failing bool                  // it cannot be run on any frame but the first
	unknown int                   // the class whose pictures are none of the classes, if not 0
}

var fakeLabels = []string{"cat", "dog", `a "quoted" owl`, "fox"}

// fakePicture is what the fake was shown: black.
var fakePicture = make([]byte, 3*16*16)

var errOverflow = errors.New("the model overflows")

var errDamaged = errors.New("picture ends early")

// errTerminated is the cause that signal.NotifyContext gives a context.
var errTerminated = errors.New("terminated signal received")

func (c *fake) Info() engine.Info {
	if c.standIn != "" && c.calls > 2 {
		return engine.Info{Model: "fake", Backend: c.standIn, Why: "ref: device lost", Precision: backends.BF16, Classes: len(fakeLabels)}
	}
	return engine.Info{
		Model: cmp.Or(c.name, "fake"), Architecture: "none", Backend: "ref", Why: "a test", Threads: 1, Scorer: "attention",
		Patches: 196, Stages: 3, Classes: len(c.classes()), ShortSide: 256,
	}
}
func (c *fake) Label(class int) string { return c.classes()[class] }
func (c *fake) classes() []string {
	if c.labels != nil {
		return c.labels
	}
	return fakeLabels
}
func (c *fake) Plan(k vit.Keep) (vit.Plan, error) {
	if k.IsAuto() {
		k.Ratio = 0.7
	}
	return vit.PlanFor(k.Ratio, 196, 3)
}
func (c *fake) Ratio(k vit.Keep, _ vit.Plan) float64 {
	if k.IsAuto() {
		return 0.7
	}
	return k.Ratio
}
func (c *fake) MACs(p vit.Plan) int64 { return int64(1000 * p.Keep[0]) }
func (c *fake) Close() error          { c.closed = true; return nil }

func (c *fake) Classify(r *engine.Result, f *camera.Frame, _ preprocess.Region, _ vit.Plan) error {
	if c.takes > 0 {
		time.Sleep(c.takes)
	}
	if c.hang != nil && c.calls > 0 { // the warm-up frame is let through
		<-c.hang
	}
	c.calls++
	if c.failing && c.calls > 1 {
		return errOverflow
	}
	if len(f.Data) < 2 {
		return errDamaged
	}
	if c.seen != nil {
		c.seen(f)
	}
	class, score := int(f.Data[0])%len(c.classes()), float32(f.Data[1]%101)/100
	r.Scores, r.Top = r.Scores[:0], append(r.Top[:0], class)
	for i := range c.classes() {
		r.Scores = append(r.Scores, (1-score)/float32(len(c.classes())-1))
		if i != class {
			r.Top = append(r.Top, i)
		}
	}
	r.Scores[class], r.Damaged = score, f.Data[1] > 100
	r.Unknown = class == c.unknown && class > 0
	r.Logits = append(r.Logits[:0], r.Scores...)
	r.Tokens = append(r.Tokens[:0], 197, 138, 97, 68)
	if r.Picture = nil; r.WantPicture {
		r.Picture = fakePicture
	}
	r.Latency, r.Frame = 12345678*time.Nanosecond, 14*time.Millisecond
	if c.takes > 0 {
		r.Frame = c.takes
	}
	return nil
}

// shot is one frame of a scripted source.
type shot struct {
	class byte
	score byte // percent; 0: damaged, above 100: 101 more than it, and a part is lost
}

func shots(class byte, n int) []shot {
	var list []shot
	for range n {
		list = append(list, shot{class, 90})
	}
	return list
}

// scripted shows shots at a steady pace, then fails with end, or is silent for
// ever if that is nil.
type scripted struct {
	every  time.Duration
	shots  []shot
	end    error
	n      int
	closed chan struct{}
	once   sync.Once
}

func newScripted(every time.Duration, end error, list ...shot) *scripted {
	return &scripted{every: every, shots: list, end: end, closed: make(chan struct{})}
}

func (s *scripted) Next(ctx context.Context, f *camera.Frame) error {
	var tick <-chan time.Time
	switch {
	case s.n < len(s.shots):
		tick = time.After(s.every)
	case s.end != nil:
		return s.end
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closed:
		return camera.ErrClosed
	case <-tick:
	}
	shot := s.shots[s.n]
	s.n++
	f.Format, f.Width, f.Height, f.Data = camera.RGB24, 1, 1, f.Data[:0]
	if shot.score > 0 {
		f.Data = append(f.Data, shot.class, shot.score, 0)
	}
	f.Seq, f.Captured, f.Name = uint64(s.n), time.Now(), fmt.Sprintf("shot %d", s.n)
	return nil
}

func (s *scripted) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

// rig is a daemon with a test broker, running in a bubble.
type rig struct {
	*Daemon
	*service // nil until Run has built it
	t        *testing.T
	broker   *mqtttest.Broker
	model    *fake
	models   map[string]*fake // by name in the configuration, where they are others
	log      *mqtttest.Log
	stop     context.CancelFunc
	result   chan error
}

// sources opens what a test has for a camera, by URI: the first call the first
// of the list, and the last one ever after. An error is what opening fails with.
type sources map[string][]any

func (s sources) open(uri string, _ camera.Options) (camera.Source, error) {
	list := s[uri]
	if len(list) == 0 {
		return nil, fmt.Errorf("no script for %s", uri)
	}
	if len(list) > 1 {
		s[uri] = list[1:]
	}
	if err, ok := list[0].(error); ok {
		return nil, err
	}
	return list[0].(camera.Source), nil
}

// testConfig has one camera "door" with the source test:, whose opening sources
// replaces.
func testConfig() config.Config {
	c := config.Default("box")
	c.MQTT.Broker = "mqtt://broker"
	cam := config.DefaultCamera()
	cam.Source = "test:"
	c.Cameras["door"] = cam
	c.MQTT.ClientID = "dynvit-box"
	return c
}

// withCamera adds a camera, or replaces one, with the source http://<name>/.
// Nothing is ever asked over HTTP: sources has a script in its place.
func withCamera(c config.Config, name string, change func(*config.Camera)) config.Config {
	cam := config.DefaultCamera()
	cam.Source = "http://" + name + "/"
	if change != nil {
		change(&cam)
	}
	c.Cameras[name] = cam
	return c
}

// run starts a daemon whose broker is there. It must be called in a bubble.
func run(t *testing.T, c config.Config, s sources, change func(*rig, *Deps)) *rig {
	t.Helper()
	r := &rig{t: t, broker: mqtttest.New(), model: &fake{}, log: new(mqtttest.Log), result: make(chan error, 1)}
	var mu sync.Mutex
	deps := Deps{
		Schemes: schemes.List(),
		Open:    r.open,
		Version: "1.2.3",
		Log:     r.log.Logger(slog.LevelInfo),
		Getenv:  noEnv,
		dial:    r.broker.Dial,
		bootID:  "b00t",
		synced:  func() bool { return true },
		openSource: func(uri string, o camera.Options) (camera.Source, error) {
			mu.Lock()
			defer mu.Unlock()
			return s.open(uri, o)
		},
	}
	deps.started = func(s *service) { r.service = s }
	if change != nil {
		change(r, &deps)
	}
	var err error
	if r.Daemon, err = New(c, deps); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancelCause(context.Background())
	r.stop = func() { stop(errTerminated) }
	go func() { r.result <- r.Run(ctx) }()
	return r
}

// open opens the model of a name, the only one where there are no others.
func (r *rig) open(o engine.Options) (tuning.Classifier, error) {
	if r.models == nil {
		return r.model, nil
	}
	if m := r.models[o.Model]; m != nil {
		return m, nil
	}
	return nil, fmt.Errorf("model %s: not in the store", o.Model)
}

// hear calls take with each result, on a goroutine; wait returns when the daemon
// has ended and all were taken.
func hear(d *Deps, take func(Result)) (wait func()) {
	l := NewListener(1024)
	d.Listeners = append(d.Listeners, l)
	done := going(func() {
		for r, ok := l.Next(); ok; r, ok = l.Next() {
			take(r)
		}
	})
	return func() { <-done }
}

// whenReady has deps tell what Run built, and returns what waits until that is
// ready. It is for daemons in real time.
func whenReady(t *testing.T, deps *Deps) (wait func() *service) {
	built := make(chan *service, 1)
	deps.started = func(s *service) { built <- s }
	return func() *service {
		t.Helper()
		select {
		case s := <-built:
			for !s.condition.ready.Load() {
				time.Sleep(time.Millisecond)
			}
			return s
		case <-time.After(time.Minute):
			t.Fatal("not ready within a minute")
			return nil
		}
	}
}

// all are the cameras that there are now.
func (r *rig) all() feeds { return r.roster.all() }

// ended waits for Run to return and closes the broker.
func (r *rig) ended() error {
	r.t.Helper()
	err := <-r.result
	r.stop()
	r.broker.Close()
	return err
}

// halt stops the daemon and expects no error.
func (r *rig) halt() {
	r.t.Helper()
	r.stop()
	if err := r.ended(); err != nil {
		r.t.Errorf("Run: %v", err)
	}
}

// after lets time pass until nothing moves any more.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func noEnv(string) string { return "" }
