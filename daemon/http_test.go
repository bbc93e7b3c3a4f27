package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	schemes "dynvit/camera/all"
	"dynvit/config"
	"dynvit/engine"
	"dynvit/messages"
	"dynvit/mqtt/mqtttest"
	"dynvit/tuning"
)

// TestHTTPServer asks a running daemon over a real port.
func TestHTTPServer(t *testing.T) {
	c := testConfig()
	c.HTTP.Listen = "127.0.0.1:0"
	lines := new(syncBuffer)
	broker := mqtttest.New()
	defer broker.Close()
	deps := Deps{
		Schemes: schemes.List(),
		Open:    func(engine.Options) (tuning.Classifier, error) { return &fake{}, nil },
		Log:     slog.New(slog.NewTextHandler(lines, nil)), Getenv: noEnv, dial: broker.Dial,
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

// TestHTTPHosts: a page from elsewhere, whose name leads to this server, learns
// nothing; whoever asks by an address, localhost or a configured name does.
func TestHTTPHosts(t *testing.T) {
	names := config.HTTP{Listen: "edge.lan:8484", Hosts: []string{"porch-box", "Status.Example"}}.Names()
	pages := forHosts(names, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "page") }))
	for host, want := range map[string]int{
		"127.0.0.1:8484": 200, "127.0.0.1": 200, "[::1]:8484": 200, "[::1]": 200, "10.1.2.3:80": 200, "[fe80::1%25eth0]:80": 200, "": 200,
		"localhost": 200, "LOCALHOST:8484": 200, "localhost.": 200, "edge.lan:8484": 200, "porch-box": 200, "status.example.:1": 200,
		"evil.example": 403, "evil.example:8484": 403, "127.0.0.1.evil.example": 403, "localhost.evil.example:8484": 403,
		"sub.porch-box": 403, "evil.localhost": 403, "1": 403, "0x7f000001": 403, "a:b:c": 403,
	} {
		r := httptest.NewRequest("GET", "/healthz", nil)
		r.Host = host
		w := httptest.NewRecorder()
		if pages.ServeHTTP(w, r); w.Code != want || (want == 200) != (w.Body.String() == "page") {
			t.Errorf("Host %q: %d %s", host, w.Code, w.Body)
		}
	}
}

// TestHTTPConnectionsAreBounded: whoever holds connections open, asking or silent,
// does not keep a probe from its answer, and holds no more than so many.
func TestHTTPConnectionsAreBounded(t *testing.T) {
	l, err := listenHTTP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := serveHTTP(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "page") }), slog.New(slog.DiscardHandler))
	defer s.close(t.Context())
	var held []net.Conn
	defer func() {
		for _, c := range held {
			c.Close()
		}
	}()
	for i := range 3 * mostConnections {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
		if i%2 == 0 {
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\n") // and no end
		}
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for range 3 {
		r, err := client.Get("http://" + s.addr)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
	}
	open := 0
	for _, c := range held {
		c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if _, err := c.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
			open++
		}
	}
	if open >= mostConnections {
		t.Errorf("%d of the held connections are open", open)
	}
}
