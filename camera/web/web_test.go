package web_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dynvit/camera"
	"dynvit/camera/cameratest"
	"dynvit/camera/web"
)

// open opens a source that the test closes.
func open(t testing.TB, uri string, o camera.Options) camera.Source {
	t.Helper()
	return cameratest.Open(t, web.Scheme(), uri, o)
}

// serve runs a server for the test; hold, which handlers may wait on, ends with
// it.
func serve(t *testing.T, handler func(w http.ResponseWriter, r *http.Request, hold <-chan struct{})) *httptest.Server {
	t.Helper()
	done := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler(w, r, done) }))
	t.Cleanup(func() {
		close(done)
		server.CloseClientConnections()
		server.Close()
	})
	return server
}

// stream sends pictures as parts, then holds the line.
func stream(pictures ...[]byte) func(http.ResponseWriter, *http.Request, <-chan struct{}) {
	return func(w http.ResponseWriter, r *http.Request, hold <-chan struct{}) {
		w.Header().Set("Content-Type", "multipart/x-mixed-replace; boundary=b")
		for _, p := range pictures {
			fmt.Fprintf(w, "--b\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n", len(p), p)
		}
		w.(http.Flusher).Flush()
		select {
		case <-hold:
		case <-r.Context().Done():
		}
	}
}

func picture(data []byte) func(http.ResponseWriter, *http.Request, <-chan struct{}) {
	return func(w http.ResponseWriter, _ *http.Request, _ <-chan struct{}) {
		w.Header().Set("Content-Type", "image/jpeg")
		w.Write(data)
	}
}

func TestHTTPStreamConforms(t *testing.T) {
	p := cameratest.Still(t, 9)
	server := serve(t, stream(p, p, p, p))
	cameratest.Conform(t, func(t *testing.T) camera.Source { return open(t, server.URL+"/video", camera.Options{}) })
}

func TestHTTPPictureConforms(t *testing.T) {
	server := serve(t, picture(cameratest.Still(t, 9)))
	cameratest.Conform(t, func(t *testing.T) camera.Source { return open(t, server.URL+"#fps=200", camera.Options{}) })
}

func TestHTTPStream(t *testing.T) {
	a, b := cameratest.Still(t, 10), cameratest.Still(t, 200)
	server := serve(t, stream(a, b))
	s := open(t, server.URL, camera.Options{})
	var f camera.Frame
	for i, want := range [][]byte{a, b} {
		if err := s.Next(t.Context(), &f); err != nil {
			t.Fatal(err)
		}
		if f.Format != camera.JPEG || !bytes.Equal(f.Data, want) || f.Seq != uint64(i+1) {
			t.Errorf("frame %d: %v of %d bytes, number %d", i, f.Format, len(f.Data), f.Seq)
		}
	}
}

// A stream faster than asked for is thinned out, and the numbers show it.
func TestHTTPStreamIsThinned(t *testing.T) {
	p := cameratest.Still(t, 9)
	server := serve(t, stream(p, p, p, p, p))
	s := open(t, server.URL+"#fps=0.001", camera.Options{})
	var f camera.Frame
	if err := s.Next(t.Context(), &f); err != nil || f.Seq != 1 {
		t.Fatalf("frame %d, %v", f.Seq, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Next(ctx, &f); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("frame %d came early, %v", f.Seq, err)
	}
}

func TestHTTPPollsAtItsRate(t *testing.T) {
	var asked atomic.Int64
	p := cameratest.Still(t, 9)
	server := serve(t, func(w http.ResponseWriter, r *http.Request, hold <-chan struct{}) {
		asked.Add(1)
		picture(p)(w, r, hold)
	})
	s := open(t, server.URL+"#fps=100", camera.Options{})
	var f camera.Frame
	start := time.Now()
	for range 6 {
		if err := s.Next(t.Context(), &f); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(start); took < 50*time.Millisecond || asked.Load() != 6 || f.Seq != 6 {
		t.Errorf("6 pictures at 100 a second took %v and %d requests, number %d", took, asked.Load(), f.Seq)
	}
}

// A camera is believed that it is where the URI says, not that it is elsewhere too:
// another host or port gets neither user and password nor a request.
func TestHTTPRedirectKeepsSecrets(t *testing.T) {
	var asked atomic.Int64
	p := cameratest.Still(t, 9)
	other := serve(t, func(w http.ResponseWriter, r *http.Request, hold <-chan struct{}) {
		asked.Add(1)
		picture(p)(w, r, hold)
	})
	for name, elsewhere := range map[string]string{
		"another port":        other.URL,
		"another host":        strings.Replace(other.URL, "127.0.0.1", "localhost", 1),
		"with user, password": strings.Replace(other.URL, "://", "://other:w0rd@", 1),
		"another scheme":      "ftp://127.0.0.1/x",
		"no address":          "http://[::1",
	} {
		server := serve(t, func(w http.ResponseWriter, _ *http.Request, _ <-chan struct{}) {
			w.Header().Set("Location", elsewhere+"/?pwd=s3cret")
			w.WriteHeader(http.StatusFound)
		})
		uri := strings.Replace(server.URL, "://", "://me:s3cret@", 1) + "/?pwd=s3cret"
		err := open(t, uri, camera.Options{}).Next(t.Context(), new(camera.Frame))
		if err == nil || !strings.Contains(err.Error(), "redirected to") || strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "w0rd") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("another host got %d requests", n)
	}
}

// Another path of the same host and port is followed, and shown who we are.
func TestHTTPRedirectToAPath(t *testing.T) {
	p := cameratest.Still(t, 9)
	server := serve(t, func(w http.ResponseWriter, r *http.Request, hold <-chan struct{}) {
		switch _, password, _ := r.BasicAuth(); {
		case r.URL.Path == "/":
			http.Redirect(w, r, "/video?a=b", http.StatusFound)
		case password != "s3cret":
			w.Header().Set("WWW-Authenticate", "Basic")
			w.WriteHeader(http.StatusUnauthorized)
		default:
			picture(p)(w, r, hold)
		}
	})
	uri := strings.Replace(server.URL, "://", "://me:s3cret@", 1)
	if err := open(t, uri, camera.Options{}).Next(t.Context(), new(camera.Frame)); err != nil {
		t.Error(err)
	}
}

func TestHTTPRefuses(t *testing.T) {
	for _, c := range []struct {
		name    string
		handler func(w http.ResponseWriter, r *http.Request, hold <-chan struct{})
		want    string
	}{
		{"not found", func(w http.ResponseWriter, _ *http.Request, _ <-chan struct{}) { w.WriteHeader(404) }, ": 404 Not Found"},
		{"login page", func(w http.ResponseWriter, _ *http.Request, _ <-chan struct{}) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
		}, `content type is "text/html; charset=utf-8": want multipart/x-mixed-replace`},
		{"circle", func(w http.ResponseWriter, r *http.Request, _ <-chan struct{}) {
			http.Redirect(w, r, "/x?pwd=s3cret", http.StatusFound)
		}, "more than 4 redirects"},
		{"ended stream", func(w http.ResponseWriter, _ *http.Request, _ <-chan struct{}) {
			w.Header().Set("Content-Type", "multipart/x-mixed-replace; boundary=b")
			w.(http.Flusher).Flush()
		}, "the server ended the stream"},
		{"silence before the header", func(_ http.ResponseWriter, r *http.Request, hold <-chan struct{}) {
			select {
			case <-hold:
			case <-r.Context().Done():
			}
		}, ""},
		{"silence in the stream", stream(), "no frame in 2s"},
		{"silence in a picture", func(w http.ResponseWriter, r *http.Request, hold <-chan struct{}) {
			w.Header().Set("Content-Type", "image/jpeg")
			w.Write([]byte{0xff, 0xd8})
			w.(http.Flusher).Flush()
			select {
			case <-hold:
			case <-r.Context().Done():
			}
		}, "no frame in 2s"},
		{"too large", func(w http.ResponseWriter, _ *http.Request, _ <-chan struct{}) {
			w.Header().Set("Content-Type", "image/jpeg")
			block := make([]byte, 1<<20)
			for range 17 {
				w.Write(block)
			}
		}, "picture of more than 16 MiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // some wait for the stall
			server := serve(t, c.handler)
			uri := strings.Replace(server.URL, "://", "://me:s3cret@", 1) + "/cam?pwd=s3cret"
			o := camera.Options{}
			if strings.HasPrefix(c.name, "silence") {
				o.Stall = 2 * time.Second
			}
			err := open(t, uri, o).Next(t.Context(), new(camera.Frame))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v, want %q", err, c.want)
			}
			if !strings.Contains(err.Error(), "/cam?pwd=***: ") || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%v: want the camera's name, and no secrets", err)
			}
		})
	}
}

func TestHTTPNobodyThere(t *testing.T) {
	err := open(t, "http://"+cameratest.HoldPort(t).Address+"/x?pwd=s3cret", camera.Options{}).Next(t.Context(), new(camera.Frame))
	if err == nil || !strings.Contains(err.Error(), "connection refused") || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("%v", err)
	}
}

// A camera that restarts is asked again by the next Next.
func TestHTTPAsksAgain(t *testing.T) {
	p := cameratest.Still(t, 9)
	var asked atomic.Int64
	server := serve(t, func(w http.ResponseWriter, r *http.Request, hold <-chan struct{}) {
		if asked.Add(1) == 1 {
			hold = closed()
		}
		stream(p)(w, r, hold)
	})
	s := open(t, server.URL, camera.Options{})
	var f camera.Frame
	for i, ok := range []bool{true, false, true} {
		if err := s.Next(t.Context(), &f); (err == nil) != ok {
			t.Fatalf("frame %d: %v", i, err)
		}
	}
	if f.Seq != 2 {
		t.Errorf("number %d, want 2", f.Seq)
	}
}

func closed() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}
