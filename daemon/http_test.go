package daemon

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	schemes "dynvit/camera/all"
	"dynvit/engine"
	"dynvit/messages"
	"dynvit/mqtt/mqtttest"
	"dynvit/tuning"
)

// TestHTTPServer asks a running daemon over a real port.
func TestHTTPServer(t *testing.T) {
	c := testConfig()
	c.HTTP.Listen = "127.0.0.1:0"
	lines := new(mqtttest.Log)
	broker := mqtttest.New()
	defer broker.Close()
	deps := Deps{
		Schemes: schemes.List(),
		Open:    func(engine.Options) (tuning.Classifier, error) { return &fake{}, nil },
		Log:     lines.Logger(slog.LevelInfo), Getenv: noEnv, dial: broker.Dial,
		openSource: sources{"test:": {newScripted(0, nil)}}.open,
	}
	ready := whenReady(t, &deps)
	d, err := New(c, deps)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	ready()
	_, after, found := strings.Cut(lines.String(), "address=")
	address, _, _ := strings.Cut(after, "\n")
	if !found {
		t.Fatalf("no address in the log\n%s", lines)
	}
	askHealth(t, "http://"+address)
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	if _, err := http.Get("http://" + address + "/healthz"); err == nil {
		t.Error("the server still answers")
	}
}

func askHealth(t *testing.T, url string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/": 404, "/metrics": 404} {
		resp, err := client.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != want {
			t.Errorf("%s: %s, %v", path, resp.Status, err)
		}
		var h Health
		if want != 200 {
			continue
		}
		if err := json.Unmarshal(body, &h); err != nil || !h.Alive || !h.Ready || h.Cameras["door"].Word != messages.CameraOffline {
			t.Errorf("%s: %v in %s", path, err, body)
		}
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
