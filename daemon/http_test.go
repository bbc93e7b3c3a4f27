package daemon

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	schemes "dynvit/camera/all"
	"dynvit/camera/cameratest"
	"dynvit/config"
	"dynvit/engine"
	"dynvit/messages"
	"dynvit/mqtt/mqtttest"
	"dynvit/tuning"
)

// served runs a daemon with a local server and returns its host:port and how to end it.
func served(t *testing.T, edit func(*config.HTTP)) (address string, stop func() error) {
	t.Helper()
	c := testConfig()
	c.HTTP.Listen = "127.0.0.1:0"
	edit(&c.HTTP)
	lines := new(mqtttest.Log)
	broker := mqtttest.New()
	t.Cleanup(broker.Close)
	deps := Deps{
		Schemes: schemes.List(), Version: "1.2.3",
		Open: func(engine.Options) (tuning.Classifier, error) { return &fake{}, nil },
		Log:  lines.Logger(slog.LevelInfo), Getenv: noEnv, dial: broker.Dial,
		openSource: sources{"test:": {newScripted(0, nil)}}.open,
	}
	ready := whenReady(t, &deps)
	d, err := New(c, deps)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	ready()
	_, after, found := strings.Cut(lines.String(), "address=")
	address, _, _ = strings.Cut(after, "\n")
	if !found {
		t.Fatalf("no address in the log\n%s", lines)
	}
	return address, func() error {
		cancel()
		return <-ended
	}
}

// ask gets a page by a connection of its own.
func ask(t *testing.T, url, token string) (code int, body string) {
	t.Helper()
	request, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(data)
}

// TestHTTPServer asks a running daemon over a real port.
func TestHTTPServer(t *testing.T) {
	address, stop := served(t, func(*config.HTTP) {})
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/": 200, "/page/style.css": 200, "/page/none": 404, "/debug/pprof/": 404} {
		code, body := ask(t, "http://"+address+path, "")
		if code != want {
			t.Errorf("%s: %d %s", path, code, body)
		}
		var h Health
		if want != 200 || !strings.HasSuffix(path, "z") {
			continue
		}
		if err := json.Unmarshal([]byte(body), &h); err != nil || !h.Alive || !h.Ready || h.Cameras["door"].Word != messages.CameraOffline {
			t.Errorf("%s: %v in %s", path, err, body)
		}
	}
	code, body := ask(t, "http://"+address+"/metrics", "")
	for _, line := range []string{
		`dynvit_build_info{goarch="` + runtime.GOARCH + `",goversion="` + runtime.Version() + `",version="1.2.3"} 1`,
		`dynvit_camera_status{camera="door",status="offline"} 1`, "dynvit_keep_ratio 0.7", "dynvit_budget_seconds 0.05",
		"dynvit_outbox_limit_bytes 1.6777216e+07",
	} {
		if code != 200 || !strings.Contains(body, "\n"+line+"\n") {
			t.Errorf("/metrics: %d, lacks %q\n%s", code, line, body)
		}
	}
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if _, err := http.Get("http://" + address + "/healthz"); err == nil {
		t.Error("the server still answers")
	}
}

// certified makes a certificate and its key.
func certified(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	pair := cameratest.Certificate(t, nil)
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	keyFile = filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600); err != nil {
		t.Fatal(err)
	}
	return cameratest.PEM(t, pair), keyFile
}

// TestHTTPToken: without the token a probe is answered by its status alone, and
// nothing else is; with TLS and profiles all is there for who has it.
func TestHTTPToken(t *testing.T) {
	const token = "correct-horse-battery"
	dir := t.TempDir()
	file := filepath.Join(dir, "token")
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	certFile, keyFile := certified(t)
	address, stop := served(t, func(h *config.HTTP) {
		h.TokenFile, h.CertFile, h.KeyFile, h.Pprof = file, certFile, keyFile, true
	})
	defer stop()
	for _, c := range []struct {
		path, token string
		code        int
		says        string // "" for nothing
	}{
		{"/healthz", "", 200, ""}, {"/readyz", "", 200, ""}, {"/healthz", "wrong", 200, ""},
		{"/healthz", token, 200, `"cameras"`}, {"/readyz", token, 200, `"cameras"`},
		{"/metrics", "", 401, "http.token_file"}, {"/metrics", token[1:], 401, "http.token_file"}, {"/metrics", token, 200, "dynvit_build_info"},
		{"/debug/pprof/", "", 401, "http.token_file"}, {"/debug/pprof/heap?debug=1", token, 200, "heap profile"},
		{"/debug/pprof/profile?seconds=1", token, 200, "\x1f\x8b"}, {"/debug/pprof/cmdline", token, 404, "Unknown profile"},
		{"/nothing", "", 401, "http.token_file"}, {"/nothing", token, 404, "not found"},
	} {
		if code, body := ask(t, "https://"+address+c.path, c.token); code != c.code || !strings.Contains(body, c.says) || c.says == "" && body != "" {
			t.Errorf("%s with %q: %d %.200q", c.path, c.token, code, body)
		}
	}
	if code, _ := ask(t, "http://"+address+"/healthz", token); code != 400 {
		t.Errorf("without TLS: %d", code)
	}
}

// TestLivePage: while nobody watches the frames of a running daemon no picture is copied,
// and the model gives none; who watches sees every camera, a still one too; what is
// changed holds, whatever MQTT may; and an open stream keeps no daemon from ending.
func TestLivePage(t *testing.T) {
	const token = "correct-horse-battery"
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	c := testConfig()
	c.HTTP.Listen, c.HTTP.TokenFile, c.MQTT.Commands = "127.0.0.1:0", file, false
	broker, lines := mqtttest.New(), new(mqtttest.Log)
	defer broker.Close()
	deps := Deps{
		Schemes: schemes.List(), Log: lines.Logger(slog.LevelInfo), Getenv: noEnv, dial: broker.Dial,
		Open:       func(engine.Options) (tuning.Classifier, error) { return &fake{}, nil },
		openSource: sources{"test:": {newScripted(20*time.Millisecond, nil, shots(1, 100_000)...)}}.open,
	}
	ready := whenReady(t, &deps)
	d, err := New(c, deps)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	s := ready()
	for d.roster.all()[0].counts.looked.Load() < 20 {
		time.Sleep(time.Millisecond)
	}
	if n := s.live.Pictures(); n != 0 {
		t.Errorf("%d pictures were copied that nobody looks at", n)
	}
	_, after, _ := strings.Cut(lines.String(), "address=")
	address, _, _ := strings.Cut(after, "\n")
	code, body := ask(t, "http://"+address+"/page/camera/door/picture", "")
	if code != 200 || !strings.HasPrefix(body, "\xff\xd8") || s.live.Pictures() == 0 {
		t.Errorf("picture: %d, %d bytes, %d copied", code, len(body), s.live.Pictures())
	}
	if code, body := ask(t, "http://"+address+"/metrics", ""); code != 401 {
		t.Errorf("/metrics without the token: %d %.50s", code, body)
	}

	request, _ := http.NewRequest("GET", "http://"+address+"/page/events", nil)
	stream, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	heard := bufio.NewScanner(stream.Body)
	await := func(event, part string) {
		t.Helper()
		for heard.Scan() {
			if heard.Text() == "event: "+event && heard.Scan() && strings.Contains(heard.Text(), part) {
				return
			}
		}
		t.Fatalf("the stream ended before %s with %s: %v", event, part, heard.Err())
	}
	await("settings", `"keep":0.7`)
	await("frame", `"label":"dog"`)
	for _, c := range []struct {
		name, value, token string
		code               int
	}{
		{"keep", "0.4", "", 401}, {"keep", "0.4", token, 200}, {"budget", "0", token, 422}, {"budget", "80ms", token, 200},
		{"camera/door/enabled", "false", token, 200}, {"camera/none/enabled", "false", token, 422}, {"reboot", "1", token, 404},
	} {
		r, _ := http.NewRequest("POST", "http://"+address+"/page/cmd/"+c.name, strings.NewReader(c.value))
		if c.token != "" {
			r.Header.Set("Authorization", "Bearer "+c.token)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != c.code {
			t.Errorf("%s %s: %d, want %d", c.name, c.value, answer.StatusCode, c.code)
		}
	}
	await("settings", `"keep":0.4,"budget_ms":80,"percentile":95,"cameras":{"door":{"enabled":false}}`)
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run, with a stream open: %v", err)
	}
	for heard.Scan() { // to its end
	}
}

// TestWatchLooksAtStill: a camera that shows nothing new is looked at once when somebody
// begins to watch.
func TestWatchLooksAtStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := withCamera(testConfig(), "door", func(c *config.Camera) { c.Motion, c.Stable, c.Heartbeat = 0.5, 1, time.Hour })
		l := NewListener(100)
		r := run(t, c, sources{"http://door/": {newScripted(time.Second, nil, shots(1, 1000)...)}}, func(_ *rig, d *Deps) { d.Listeners = []*Listener{l} })
		after(30 * time.Second)
		door := r.all()[0]
		before, still := door.counts.looked.Load(), door.counts.still.Load()
		l.Watch(true)
		after(30 * time.Second)
		if looked := door.counts.looked.Load(); before > 3 || still < 20 || looked != before+1 || l.Pictures() != 1 {
			t.Errorf("looked at %d, %d still, then %d; %d pictures", before, still, looked, l.Pictures())
		}
		l.Watch(false)
		after(30 * time.Second)
		if looked := door.counts.looked.Load(); looked != before+1 {
			t.Errorf("%d are looked at after nobody watches", looked)
		}
		r.halt()
	})
}

// TestListenerPictures: what a listener holds of a frame is its own, and nothing is when
// nobody watches.
func TestListenerPictures(t *testing.T) {
	l := NewListener(2)
	report, result := &messages.Report{Camera: "door"}, &engine.Result{Picture: []byte{1, 2, 3}, Kept: [][]int32{{0, 1}, {1}}, Groups: [][]int32{{0, 1}, {1, 1}}, WantPicture: true}
	l.put(report, false, result, looker{first: true})
	if r, _ := l.Next(); r.Picture != nil || r.Kept != nil || r.Groups != nil || l.Pictures() != 0 {
		t.Errorf("nobody watches: %v %v", r.Picture, r.Kept)
	}
	l.Watch(true)
	l.put(report, false, result, looker{first: true})
	result.Picture[0], result.Kept[0][0], result.Groups[1][0] = 9, 9, 9 // the next frame's
	r, _ := l.Next()
	if !slices.Equal(r.Picture, []byte{1, 2, 3}) || len(r.Kept) != 2 || !slices.Equal(r.Kept[0], []int32{0, 1}) || len(r.Groups) != 2 || !slices.Equal(r.Groups[1], []int32{1, 1}) || l.Pictures() != 1 {
		t.Errorf("%v %v", r.Picture, r.Kept)
	}
	l.put(report, false, result, looker{})
	if r, _ := l.Next(); r.Picture != nil || l.Pictures() != 1 {
		t.Errorf("a second copy, of a further model: %v", r.Picture)
	}
	result.WantPicture = false // begun to watch while the frame was looked at
	l.put(report, false, result, looker{first: true})
	if r, _ := l.Next(); r.Picture != nil {
		t.Errorf("a picture that the model was not asked for: %v", r.Picture)
	}
	result.WantPicture = true
	if n := testing.AllocsPerRun(100, func() { l.put(report, false, result, looker{first: true}); l.Next() }); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

// TestHTTPPortInUse: a daemon started twice fails and says nothing to the broker,
// where the first one's status would become "stopped".
func TestHTTPPortInUse(t *testing.T) {
	c := testConfig()
	port, err := listenHTTP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	c.HTTP.Listen = port.Addr().String()
	broker := mqtttest.New()
	defer broker.Close()
	model := &fake{}
	d, err := New(c, Deps{
		Schemes: schemes.List(),
		Open:    func(engine.Options) (tuning.Classifier, error) { return model, nil },
		Getenv:  noEnv, dial: broker.Dial, openSource: sources{}.open,
	})
	if err != nil {
		t.Fatal(err)
	}
	err = d.Run(context.Background())
	if err == nil || !strings.Contains(err.Error(), "http.listen "+c.HTTP.Listen+": ") || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v", err)
	}
	if !model.closed {
		t.Error("the classifier is still open")
	}
	if state := broker.State(); state.Connects != 0 {
		t.Errorf("connected to the broker: %+v", state)
	}
}
