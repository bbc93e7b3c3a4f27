package httpserver

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"dynvit/camera/cameratest"
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

// TestToken: who does not send the token sees what is open alone, in whatever form it
// is wrong.
func TestToken(t *testing.T) {
	say := func(what string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, what) }
	}
	open, pages := http.NewServeMux(), http.NewServeMux()
	open.HandleFunc("GET /healthz", say("open"))
	pages.HandleFunc("GET /healthz", say("page"))
	pages.HandleFunc("GET /metrics", say("page"))
	o := Options{Token: "0123456789abcdef", Pages: pages, Open: open}
	for _, c := range []struct{ method, path, authorization, want string }{
		{"GET", "/metrics", "Bearer 0123456789abcdef", "page"}, {"GET", "/metrics", "bearer  0123456789abcdef ", "page"},
		{"GET", "/healthz", "Bearer 0123456789abcdef", "page"}, {"GET", "/healthz", "", "open"}, {"GET", "/healthz", "Bearer x", "open"},
		{"GET", "/metrics", "", "401"}, {"GET", "/metrics", "Bearer", "401"}, {"GET", "/metrics", "Bearer ", "401"},
		{"GET", "/metrics", "0123456789abcdef", "401"}, {"GET", "/metrics", "Basic 0123456789abcdef", "401"},
		{"GET", "/metrics", "Bearer 0123456789abcde", "401"}, {"GET", "/metrics", "Bearer 0123456789abcdef0", "401"},
		{"GET", "/metrics", "Bearer 0123456789ABCDEF", "401"}, {"POST", "/healthz", "", "401"}, {"GET", "/healthz/../metrics", "", "401"},
	} {
		r := httptest.NewRequest(c.method, c.path, nil)
		r.Host = "127.0.0.1"
		if c.authorization != "" {
			r.Header.Set("Authorization", c.authorization)
		}
		w := httptest.NewRecorder()
		o.handler().ServeHTTP(w, r)
		got := w.Body.String()
		if w.Code == 401 && w.Header().Get("WWW-Authenticate") == "Bearer" {
			got = "401"
		}
		if got != c.want {
			t.Errorf("%s %s with %q: %d %q, want %s", c.method, c.path, c.authorization, w.Code, got, c.want)
		}
	}
}

// TestCertificateIsRenewed: each connection has the certificate of its time, and one
// that cannot be had ends that connection alone.
func TestCertificateIsRenewed(t *testing.T) {
	var now atomic.Pointer[tls.Certificate]
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := Serve(l, Options{
		Pages: http.NewServeMux(), Log: slog.New(slog.DiscardHandler),
		Certificate: func() (tls.Certificate, error) {
			if c := now.Load(); c != nil {
				return *c, nil
			}
			return tls.Certificate{}, os.ErrNotExist
		},
	})
	defer s.Close(t.Context())
	for range 2 {
		if _, err := tls.Dial("tcp", s.Addr(), &tls.Config{InsecureSkipVerify: true}); err == nil {
			t.Fatal("connected without a certificate")
		}
		want := cameratest.Certificate(t, nil)
		now.Store(&want)
		conn, err := tls.Dial("tcp", s.Addr(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		state := conn.ConnectionState()
		conn.Close()
		if !bytes.Equal(state.PeerCertificates[0].Raw, want.Certificate[0]) || state.Version < tls.VersionTLS12 {
			t.Errorf("another certificate than the newest, version %x", state.Version)
		}
		now.Store(nil)
	}
}

// TestCloseCutsOff: whoever asks nothing, or does not come to an end of it, as a browser that
// connects ahead, keeps the server from closing no longer than the caller says, and that is no error.
func TestCloseCutsOff(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := Serve(l, Options{Log: slog.New(slog.DiscardHandler), Pages: http.NotFoundHandler()})
	var held []net.Conn
	for _, asks := range []string{"", "GET / HTTP/1.1\r\nHost: localhost\r\n"} {
		c, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.WriteString(c, asks)
		held = append(held, c)
	}
	// Those that were taken before this answer are known to the server.
	if r, err := http.Get("http://" + s.Addr()); err != nil {
		t.Fatal(err)
	} else {
		r.Body.Close()
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Close(ended); err != nil {
		t.Errorf("Close: %v", err)
	}
	for i, c := range held {
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Errorf("connection %d goes on", i)
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
	s := Serve(l, Options{Log: slog.New(slog.DiscardHandler), Pages: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "page") })})
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
