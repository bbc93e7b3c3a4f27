package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"dynvit/backends/all"
	schemes "dynvit/camera/all"
	"dynvit/capture"
	"dynvit/classroom"
	"dynvit/config"
	"dynvit/engine"
	"dynvit/mqtt/mqtttest"
	"dynvit/tuning"
)

// house is a daemon on the embedded model that teaches, and is started again and again.
type house struct {
	t       *testing.T
	state   string
	broker  *mqtttest.Broker
	log     *mqtttest.Log
	opened  int
	next    chan config.Config
	hangups chan os.Signal
	address string
	stop    func()
}

const houseToken = "correct-horse-battery"

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, state: t.TempDir(), next: make(chan config.Config, 1), hangups: make(chan os.Signal, 1)}
	if err := os.WriteFile(filepath.Join(h.state, "token"), []byte(houseToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *house) config(settings ...config.Setting) config.Config {
	h.t.Helper()
	c, err := config.Load(config.LoadOptions{Schemes: schemes.List(), Host: "box", Sources: []string{"test:?fps=20"}, Settings: append([]config.Setting{
		{Key: "cameras.cam0.stable", Value: "1"}, {Key: "cameras.cam0.min_score", Value: "0"}, {Key: "latency.keep", Value: "0.5"},
		{Key: "http.listen", Value: "127.0.0.1:0"}, {Key: "http.token_file", Value: filepath.Join(h.state, "token")},
	}, settings...)})
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

// start runs the daemon until h.stop is called.
func (h *house) start(c config.Config) {
	h.t.Helper()
	h.broker, h.log, h.opened = mqtttest.New(), new(mqtttest.Log), 0
	deps := Deps{
		Schemes: schemes.List(), State: h.state, Getenv: noEnv, dial: h.broker.Dial, Log: h.log.Logger(slog.LevelInfo), NoFile: true, Inspect: engine.Inspect,
		Open: func(o engine.Options) (tuning.Classifier, error) {
			h.opened++
			return engine.Open(o, all.List())
		},
		Teach:  func(o engine.Options) (classroom.Looker, error) { return engine.Open(o, all.List()) },
		Reload: h.hangups, Load: func() (config.Config, error) { return <-h.next, nil },
	}
	ready := whenReady(h.t, &deps)
	d, err := New(c, deps)
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	ready()
	_, after, _ := strings.Cut(h.log.String(), "http server started\" address=")
	h.address, _, _ = strings.Cut(after, "\n")
	h.stop = func() {
		h.t.Helper()
		stop()
		if err := <-ended; err != nil {
			h.t.Error(err)
		}
		h.broker.Close()
	}
}

// do asks the page for something that wants the token.
func (h *house) do(method, path, body string) (code int, answer string) {
	h.t.Helper()
	r, err := http.NewRequest(method, "http://"+h.address+"/page/"+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+houseToken)
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer a.Body.Close()
	data, err := io.ReadAll(a.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return a.StatusCode, string(data)
}

func (h *house) done(method, path, body string) {
	h.t.Helper()
	if code, answer := h.do(method, path, body); code != 200 {
		h.t.Fatalf("%s %s: %d %s", method, path, code, answer)
	}
}

// until waits for what the camera's state says.
func (h *house) until(says string) {
	h.t.Helper()
	state := func() string { return h.broker.State().Retained["dynvit/box/camera/cam0/state"] }
	for begin := time.Now(); !strings.Contains(state(), says); time.Sleep(10 * time.Millisecond) {
		if time.Since(begin) > time.Minute {
			h.t.Fatalf("the state does not say %s: %s\n%s", says, state(), h.log)
		}
	}
}

// await waits until something holds.
func (h *house) await(holds func() bool, what string) {
	h.t.Helper()
	for begin := time.Now(); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Since(begin) > time.Minute {
			h.t.Fatalf("never: %s\n%s", what, h.log)
		}
	}
}

// captured keeps drawn pictures of two labels.
func (h *house) captured(labels ...string) {
	h.t.Helper()
	folder := capture.New(filepath.Join(h.state, "teach"), capture.MostBytes)
	for class, label := range labels {
		for i := range 4 {
			img := image.NewGray(image.Rect(0, 0, 64, 64))
			for at := range 64 * 64 {
				img.Pix[at] = color.Gray{uint8(at * (1 + 5*class) * (i + 3))}.Y
			}
			var b bytes.Buffer
			if err := jpeg.Encode(&b, img, nil); err != nil {
				h.t.Fatal(err)
			}
			if _, _, err := folder.Add("cam0", label, time.Unix(int64(i), 0), b.Bytes()); err != nil {
				h.t.Fatal(err)
			}
		}
	}
}

// learned waits for a lesson's head.
func (h *house) learned(model string) {
	h.t.Helper()
	for begin := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		var c classroom.Camera
		_, body := h.do("GET", "teach/cam0", "")
		if err := json.Unmarshal([]byte(body), &c); err != nil || c.Failed != "" || time.Since(begin) > 2*time.Minute {
			h.t.Fatalf("%v %s\n%s", err, body, h.log)
		}
		if c.Result != nil && c.Result.Model == model {
			return
		}
	}
}

// TestTaughtInForce: a head that is taught beside the running camera looks at it without a
// restart and without its backbone being opened anew, also after a restart, until that is
// undone or the configuration has another model look.
func TestTaughtInForce(t *testing.T) {
	h := newHouse(t)
	h.captured("open", "shut")
	h.start(h.config())
	h.until(`"model":"imagenette"`)
	h.done("POST", "teach/cam0/lesson", "")
	h.learned("cam0-1")
	if code, body := h.do("POST", "teach/cam0/model", `{"model":"cam0-1","instead_of":"deit"}`); code != 422 {
		t.Errorf("instead of another model: %d %s", code, body)
	}
	h.done("POST", "teach/cam0/model", `{"model":"cam0-1","instead_of":"imagenette"}`)
	h.until(`"model":"cam0-1"`)
	settings := func() string { return h.broker.State().Retained["dynvit/box/settings"] }
	h.await(func() bool { return strings.Contains(settings(), `"taught":"cam0-1"`) }, "settings that tell")
	if h.opened != 1 {
		t.Errorf("opened %d models", h.opened)
	}
	h.stop()

	h.start(h.config())
	h.until(`"model":"cam0-1"`)
	h.done("DELETE", "teach/cam0/model", "")
	h.until(`"model":"imagenette"`)
	h.done("POST", "teach/cam0/model", `{"model":"cam0-1","instead_of":"imagenette"}`)
	h.until(`"model":"cam0-1"`)
	other := filepath.Join(h.state, "taught", "other.safetensors")
	data, err := os.ReadFile(filepath.Join(h.state, "taught", "cam0-1.safetensors"))
	if err == nil {
		err = os.WriteFile(other, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	// The same configuration anew changes nothing; another model in it wins.
	h.next <- h.config(config.Setting{Key: "cameras.cam0.heartbeat", Value: "1s"})
	h.hangups <- syscall.SIGHUP
	h.await(func() bool { return strings.Contains(h.log.String(), "configuration reloaded") }, "reloaded")
	h.until(`"model":"cam0-1"`)
	h.next <- h.config(config.Setting{Key: "cameras.cam0.model", Value: "other"})
	h.hangups <- syscall.SIGHUP
	h.until(`"model":"other"`)
	h.await(func() bool { return !strings.Contains(settings(), "taught") }, "settings without it")
	h.await(func() bool {
		return strings.Contains(h.log.String(), `taught head not in force any more" camera=cam0 model=cam0-1 why="it was put`)
	}, "a line in the log")
	h.stop()
}

// TestTaughtGone: a head whose file is gone is no reason not to start.
func TestTaughtGone(t *testing.T) {
	h := newHouse(t)
	record := `{"schema":1,"cameras":{"cam0":{"in_force":{"model":"cam0-7","instead_of":"imagenette"}}}}`
	if err := os.WriteFile(filepath.Join(h.state, "taught.json"), []byte(record), 0o600); err != nil {
		t.Fatal(err)
	}
	h.start(h.config())
	h.until(`"model":"imagenette"`)
	if want := "model cam0-7"; !strings.Contains(h.log.String(), want) {
		t.Errorf("the log lacks %s\n%s", want, h.log)
	}
	h.stop()
}

// TestTaughtFleeting: what is in force on a camera of one run, which has its name by chance,
// is kept for no other.
func TestTaughtFleeting(t *testing.T) {
	for want, deps := range map[string]Deps{"/s/taught.json": {State: "/s"}, "": {State: "/s", Fleeting: true}} {
		if got := deps.record(); got != want {
			t.Errorf("%+v: %q, want %q", deps, got, want)
		}
	}
	if got := (&Deps{}).record(); got != "" {
		t.Errorf("without a state folder: %q", got)
	}
}

// TestTaughtStops: the daemon ends while a lesson is on, and in good time.
func TestTaughtStops(t *testing.T) {
	h := newHouse(t)
	var labels []string
	for i := range 10 {
		labels = append(labels, fmt.Sprint("label ", i))
	}
	h.captured(labels...)
	h.start(h.config())
	h.done("POST", "teach/cam0/lesson", "")
	h.until(`"model":"imagenette"`)
	h.stop()
	if !strings.Contains(h.log.String(), "lesson came to nothing") {
		t.Errorf("nothing of the lesson in the log\n%s", h.log)
	}
}
