package httpserver

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"
)

// TestHosts: a page from elsewhere, whose name leads to this server, learns
// nothing; whoever asks by an address, localhost or a configured name does.
func TestHosts(t *testing.T) {
	pages := forHosts([]string{"edge.lan", "porch-box", "Status.Example"}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "page") }))
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

// TestConnectionsAreBounded: whoever holds connections open, asking or silent,
// does not keep a probe from its answer, and holds no more than so many.
func TestConnectionsAreBounded(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := Serve(l, nil, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "page") }), slog.New(slog.DiscardHandler))
	defer s.Close(t.Context())
	var held []net.Conn
	defer func() {
		for _, c := range held {
			c.Close()
		}
	}()
	for i := range 3 * mostConnections {
		c, err := net.Dial("tcp", s.Addr())
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
		r, err := client.Get("http://" + s.Addr())
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
