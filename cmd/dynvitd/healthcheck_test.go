package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// TestHealthcheck: the command answers as /healthz does, at the address that flag,
// variable or file name.
func TestHealthcheck(t *testing.T) {
	var status atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			http.NotFound(w, r)
			return
		}
		w.WriteHeader(int(status.Load()))
	}))
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	file := write(t, t.TempDir(), "dynvit.yaml", "mqtt: {broker: embedded}\ncameras: {door: {source: \"test:\"}}\nhttp: {listen: \"0.0.0.0:"+port+"\", token_file: /nowhere}\n")
	for _, c := range []struct {
		environ string
		args    []string
		status  int32
		code    int
		says    string
	}{
		{"", []string{"--http", address}, 200, exitOK, ""},
		{"DYNVIT_HTTP_LISTEN=" + port, nil, 200, exitOK, ""},
		{"", []string{"--config", file}, 200, exitOK, ""},
		{"HTTP_PROXY=http://127.0.0.1:1", []string{"--http", address}, 200, exitOK, ""},
		{"", []string{"--http", address}, 503, exitFailed, "503 Service Unavailable"},
		{"", nil, 200, exitFailed, "http.listen is not set"},
		{"", []string{"--http", "nowhere"}, 200, exitUsage, "want host:port or a port"},
	} {
		status.Store(c.status)
		p := dynvitd(t, append([]string{"healthcheck"}, c.args...)...)
		p.Env = append(p.Env, c.environ)
		if stdout, stderr, code := outcome(t, p); code != c.code || stdout != "" || !strings.Contains(stderr, c.says) || (stderr == "") != (c.says == "") {
			t.Errorf("%s healthcheck %q: exit %d, %q, %q", c.environ, c.args, code, stdout, stderr)
		}
	}
	secure := httptest.NewTLSServer(server.Config.Handler)
	defer secure.Close()
	status.Store(200)
	p := dynvitd(t, "healthcheck", "--http", strings.TrimPrefix(secure.URL, "https://"))
	p.Env = append(p.Env, "DYNVIT_HTTP_CERT_FILE=/nowhere", "DYNVIT_HTTP_KEY_FILE=/nowhere")
	if stdout, stderr, code := outcome(t, p); code != exitOK || stdout+stderr != "" {
		t.Errorf("over TLS: exit %d, %q, %q", code, stdout, stderr)
	}
	server.Close()
	if _, stderr, code := outcome(t, dynvitd(t, "healthcheck", "--http", address)); code != exitFailed || !strings.Contains(stderr, "refused") {
		t.Errorf("nobody listens: exit %d, %q", code, stderr)
	}
}
