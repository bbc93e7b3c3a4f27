package daemon

import (
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
	"strings"
	"testing"

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
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/": 404, "/debug/pprof/": 404} {
		code, body := ask(t, "http://"+address+path, "")
		if code != want {
			t.Errorf("%s: %d %s", path, code, body)
		}
		var h Health
		if want != 200 {
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
