package classroom

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"dynvit/backends"
	"dynvit/camera"
	"dynvit/capture"
	"dynvit/config"
	"dynvit/engine"
	"dynvit/head"
	"dynvit/mqtt/mqtttest"
	"dynvit/vit"
)

// eyes see a picture's first bytes as its features.
type eyes struct {
	wait   chan struct{} // if set, each look waits for it
	closed bool
}

const width = 192 // of the embedded model

func (e *eyes) Info() engine.Info {
	return engine.Info{Model: "fake", Precision: backends.F32, Features: width}
}
func (e *eyes) Plan(k vit.Keep) (vit.Plan, error)    { return vit.PlanFor(k.Ratio, 196, 3) }
func (e *eyes) Ratio(k vit.Keep, _ vit.Plan) float64 { return k.Ratio }
func (e *eyes) Close() error                         { e.closed = true; return nil }
func (e *eyes) Features(dst []float32, f *camera.Frame, _ engine.View, plans []vit.Plan) ([]float32, error) {
	if e.wait != nil {
		<-e.wait
	}
	img, err := jpeg.Decode(bytes.NewReader(f.Data))
	if err != nil {
		return dst, err
	}
	for range plans {
		for i := range width {
			r, g, b, _ := img.At(i%16, i/16).RGBA()
			dst = append(dst, float32([]uint32{r, g, b}[i%3])/65535-0.5)
		}
	}
	return dst, nil
}

// picture is a JPEG of a colour, and a spot that makes it a scene of its own.
func picture(t *testing.T, c color.Color, spot int) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 16, 16))
	for i := range 256 {
		img.Set(i%16, i/16, c)
	}
	for i := range 60 {
		img.Set((spot*7+i*3)%16, (spot*5+i/4)%16, color.Gray{uint8(40 * spot)})
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: 95}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// school is a room, and what it knows.
type school struct {
	whole bool // the backbone was last opened for whole pictures
	*Room
	dir     string
	eyes    *eyes
	config  config.Config
	renewed []string // the door's model, each time the configuration was taken up
	refuses error    // to be taken up
	turns   int
	broken  error // models do not open
	log     mqtttest.Log
}

func (s *school) opens(*config.Config, string) error { return s.broken }

func newSchool(t *testing.T, dir string) *school {
	t.Helper()
	s := &school{dir: dir, eyes: new(eyes), config: config.Default("box")}
	cam := config.DefaultCamera()
	cam.Source = "test:"
	s.config.Cameras["door"], s.config.Cameras["yard"] = cam, cam
	cam.Models = config.Models{{Name: "a"}, {Name: "b"}}
	s.config.Cameras["gate"] = cam
	log := s.log.Logger(slog.LevelInfo)
	record := Open(filepath.Join(dir, "taught.json"), log)
	folder := filepath.Join(dir, "taught")
	s.Room = New(Options{
		Record: record, Pictures: capture.New(filepath.Join(dir, "teach"), capture.MostBytes), Folder: folder, Store: []string{filepath.Join(dir, "models"), folder}, Log: log, Program: "1",
		Open:       func(o engine.Options) (Looker, error) { s.whole = o.Whole; return s.eyes, nil },
		Inspect:    func(o engine.Options) (engine.Outline, error) { return engine.Outline{}, s.broken },
		Configured: func() *config.Config { return &s.config },
		Engine: func(_ *config.Config, model string, store []string) engine.Options {
			return engine.Options{Model: model, Store: store}
		},
		InTurn: func(_ context.Context, do func() error) error { s.turns++; return do() },
		Renew: func(context.Context) error {
			now, settle := record.Apply(s.config, s.opens)
			s.renewed = append(s.renewed, Configured(&now, "door"))
			if s.refuses == nil {
				settle()
			}
			return s.refuses
		},
	})
	t.Cleanup(s.Close)
	return s
}

// captured keeps pictures of two labels.
func (s *school) captured(t *testing.T, camera string) {
	t.Helper()
	for i := range 6 {
		at := time.Date(2026, 11, 29, 12, 0, i, 0, time.UTC)
		for label, c := range map[string]color.Color{"open": color.RGBA{220, 30, 30, 255}, "shut": color.RGBA{30, 30, 220, 255}} {
			if _, _, err := s.Pictures().Add(camera, label, at, picture(t, c, i)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// learned waits for the lesson to end.
func (s *school) learned(t *testing.T) {
	t.Helper()
	for begin := time.Now(); s.Status().Running != nil; time.Sleep(time.Millisecond) {
		if time.Since(begin) > time.Minute {
			t.Fatal("the lesson does not end")
		}
	}
}

func (s *school) train(t *testing.T, camera string) *Result {
	t.Helper()
	if err := s.Train(camera, false); err != nil {
		t.Fatal(err)
	}
	s.learned(t)
	c, err := s.Camera(camera)
	if err != nil || c.Failed != "" || c.Result == nil {
		t.Fatalf("%+v, %v", c, err)
	}
	return c.Result
}

// TestWholeLesson: a lesson on whole pictures looks at such, and its head says so; one that
// is not does not.
func TestWholeLesson(t *testing.T) {
	s := newSchool(t, t.TempDir())
	s.captured(t, "door")
	for _, whole := range []bool{true, false} {
		if err := s.Train("door", whole); err != nil {
			t.Fatal(err)
		}
		s.learned(t)
		c, err := s.Camera("door")
		if err != nil || c.Result == nil || c.Result.Whole != whole || s.whole != whole {
			t.Fatalf("%+v, opened whole %v, %v", c, s.whole, err)
		}
		h, err := head.Load(filepath.Join(s.dir, "taught", c.Result.Model+".safetensors"))
		if err != nil || h.Whole != whole {
			t.Errorf("%+v, %v", h, err)
		}
	}
}

// TestLesson: what was captured becomes a head under a name of its own, with a report,
// which is there after a restart too; a picture at a time is looked at in turn.
func TestLesson(t *testing.T) {
	s := newSchool(t, t.TempDir())
	s.captured(t, "door")
	var mu sync.Mutex
	var phases []string
	s.OnChange(func() {
		mu.Lock()
		defer mu.Unlock()
		if now := s.Status().Running; now != nil {
			phases = append(phases, now.Phase)
		}
	})
	r := s.train(t, "door")
	if r.Model != "door-1" || r.Pictures != 12 || r.Accuracy < 0.9 || len(r.Confusion) != 2 || r.Backbone != "imagenette" {
		t.Errorf("%+v %+v", r, r.Report)
	}
	h, err := head.Load(filepath.Join(s.dir, "taught", "door-1.safetensors"))
	if err != nil || strings.Join(h.Labels, " ") != "open shut" || h.Base != "imagenette" || h.Note["camera"] != "door" {
		t.Errorf("%+v, %v", h, err)
	}
	if least := 12 * (7 + 3*2); s.turns != least || !s.eyes.closed {
		t.Errorf("%d turns, want %d; closed %v", s.turns, least, s.eyes.closed)
	}
	mu.Lock()
	if got := strings.Join(phases, " "); !strings.HasPrefix(got, "model pictures") || !strings.Contains(got, "folds") {
		t.Errorf("phases %s", got)
	}
	mu.Unlock()
	again := newSchool(t, s.dir)
	if c, err := again.Camera("door"); err != nil || c.Result == nil || c.Result.Accuracy != r.Accuracy || c.Result.CI95 != r.CI95 || len(c.Labels) != 2 || len(c.Labels[0].Pictures) != 6 {
		t.Errorf("after a restart: %+v, %v", c, err)
	}
	// One that was never in force makes room for the next; one that was stays.
	if r := again.train(t, "door"); r.Model != "door-2" {
		t.Errorf("the second is %s", r.Model)
	}
	if err := again.Put(t.Context(), "door", "door-2", "imagenette"); err != nil {
		t.Fatal(err)
	}
	if r := again.train(t, "door"); r.Model != "door-1" {
		t.Errorf("the third is %s", r.Model)
	}
	if list, _ := filepath.Glob(filepath.Join(s.dir, "taught", "*")); len(list) != 2 {
		t.Errorf("heads %v", list)
	}
}

// TestLessonFails: what is wrong is said, at once or where it shows, and a lesson that is
// cancelled, by whom it may be, leaves nothing behind.
func TestLessonFails(t *testing.T) {
	s := newSchool(t, t.TempDir())
	for camera, want := range map[string]string{"door": "no pictures", "none": "no such camera", "../door": "no such camera"} {
		if err := s.Train(camera, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", camera, err, want)
		}
	}
	if _, _, err := s.Pictures().Add("door", "open", time.Now(), picture(t, color.White, 1)); err != nil {
		t.Fatal(err)
	}
	if err := s.Train("door", false); err == nil || !strings.Contains(err.Error(), "only the class") || strings.Contains(err.Error(), s.dir) {
		t.Errorf("one class: %v", err)
	}
	s.captured(t, "door")
	s.captured(t, "yard")
	s.eyes.wait = make(chan struct{})
	if err := s.Train("door", false); err != nil {
		t.Fatal(err)
	}
	if err := s.Train("yard", false); err == nil || !strings.Contains(err.Error(), "one lesson at a time") {
		t.Errorf("a second lesson: %v", err)
	}
	if err := s.Cancel("yard"); err == nil {
		t.Error("another camera's lesson is cancelled")
	}
	if err := s.Cancel("door"); err != nil {
		t.Error(err)
	}
	close(s.eyes.wait)
	s.learned(t)
	if c, err := s.Camera("door"); err != nil || c.Failed != "cancelled" || c.Result != nil || !s.eyes.closed {
		t.Errorf("%+v, %v", c, err)
	}
	if list, _ := filepath.Glob(filepath.Join(s.dir, "taught", "*")); len(list) != 0 {
		t.Errorf("heads %v", list)
	}
	s.Close()
	if err := s.Train("door", false); err == nil {
		t.Error("taught in a room that is closed")
	}
}

// TestForce: a head is in force at once and after a restart, until that is undone, or the
// configuration says something else than what it was put in place of.
func TestForce(t *testing.T) {
	s := newSchool(t, t.TempDir())
	s.captured(t, "door")
	s.captured(t, "gate")
	s.train(t, "door")
	for name, err := range map[string]error{
		"unknown camera":   s.Put(t.Context(), "none", "door-1", "imagenette"),
		"another head":     s.Put(t.Context(), "door", "yard-1", "imagenette"),
		"a path":           s.Put(t.Context(), "door", "../door-1", "imagenette"),
		"not what is said": s.Put(t.Context(), "door", "door-1", "garage"),
		"several models":   s.Put(t.Context(), "gate", "gate-1", "a, b"),
		"nothing to undo":  s.Undo(t.Context(), "door"),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	s.broken = errors.New("its backbone is gone")
	if err := s.Put(t.Context(), "door", "door-1", "imagenette"); err == nil {
		t.Error("a head that does not open is in force")
	}
	s.broken, s.refuses = nil, errors.New("the configuration is wrong")
	if err := s.Put(t.Context(), "door", "door-1", "imagenette"); err == nil || s.o.Record.Entry("door").InForce != nil {
		t.Errorf("what was refused is in force: %v", err)
	}
	s.refuses = nil
	if len(s.renewed) != 1 {
		t.Errorf("taken up %d times by what was wrong", len(s.renewed))
	}
	if err := s.Put(t.Context(), "door", "door-1", "imagenette"); err != nil {
		t.Fatal(err)
	}
	cam := s.config.Cameras["door"]
	cam.Labels = []string{"tench"}
	s.config.Cameras["door"] = cam
	again := newSchool(t, s.dir)
	now, _ := again.o.Record.Apply(s.config, again.opens)
	if got := Configured(&now, "door"); got != "door-1" || now.Cameras["door"].Labels != nil || Configured(&now, "yard") != "imagenette" {
		t.Errorf("after a restart: %s, labels %v", got, now.Cameras["door"].Labels)
	}
	if s.config.Cameras["door"].Model != "" {
		t.Error("the configuration itself was written to")
	}
	if err := s.Undo(t.Context(), "door"); err != nil || s.renewed[len(s.renewed)-1] != "imagenette" {
		t.Errorf("undone: %v, %v", err, s.renewed)
	}
	if now, _ := newSchool(t, s.dir).o.Record.Apply(s.config, s.opens); Configured(&now, "door") != "imagenette" {
		t.Error("undone, and in force after a restart")
	}
}

// TestForceEnds: the file that changes, a camera that is gone and a head that does not
// open any more end it, with a line in the log, and the daemon starts all the same.
func TestForceEnds(t *testing.T) {
	for name, spoil := range map[string]func(*school){
		"another model": func(s *school) { s.config.Model = "deit-tiny" },
		"camera gone":   func(s *school) { delete(s.config.Cameras, "door") },
		"head gone":     func(s *school) { s.broken = errors.New("not in the store") },
	} {
		s := newSchool(t, t.TempDir())
		s.captured(t, "door")
		s.train(t, "door")
		if err := s.Put(t.Context(), "door", "door-1", "imagenette"); err != nil {
			t.Fatal(err)
		}
		spoil(s)
		now, settle := s.o.Record.Apply(s.config, s.opens)
		if s.o.Record.Entry("door").InForce == nil {
			t.Errorf("%s: forgotten before the configuration is taken up", name)
		}
		settle()
		if now.Cameras["door"].Model != "" || s.o.Record.Entry("door").InForce != nil {
			t.Errorf("%s: still in force", name)
		}
		if _, had := now.Cameras["door"]; had != (name != "camera gone") {
			t.Errorf("%s: the camera is there: %v", name, had)
		}
		if !strings.Contains(s.log.String(), "not in force any more") {
			t.Errorf("%s: nothing in the log", name)
		}
	}
}

// FuzzRecord: whatever stands in the file, it is read or refused.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"schema":1,"cameras":{"door":{"in_force":{"model":"door-1","instead_of":"imagenette"},"result":{"model":"door-1","accuracy":1}}}}`))
	f.Add([]byte(`{"schema":1,"cameras":{"door":{"in_force":{"model":"../x"}}}}`))
	f.Add([]byte(`{"schema":1,"cameras":{"door":{"result":{}}}}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := parse(data)
		for _, e := range list {
			if err != nil || e.InForce != nil && strings.ContainsAny(e.InForce.Model, "/\\") || e.Result != nil && e.Result.Report == nil {
				t.Errorf("%+v, %v", e, err)
			}
		}
	})
}

// TestRecordBroken: a record that cannot be read puts nothing in force, and is no reason
// not to start.
func TestRecordBroken(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "taught.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSchool(t, dir)
	if !strings.Contains(s.log.String(), "cannot be read") || s.o.Record.Entry("door") != (Entry{}) {
		t.Errorf("log: %s", s.log.String())
	}
}
