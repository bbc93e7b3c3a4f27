package web_test

import (
	"bufio"
	"bytes"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"dynvit/camera"
	"dynvit/camera/cameratest"
)

// rawServer answers each request with what answer writes, byte for byte, and hangs up
// after it or waits for another.
func rawServer(t *testing.T, answer func(conn net.Conn), held bool) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				r := bufio.NewReader(conn)
				for again := true; again; again = held {
					if _, err := http.ReadRequest(r); err != nil {
						return
					}
					answer(conn)
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

// What a body is, its bytes say, whatever its header does.
func TestHTTPBodiesByTheirBytes(t *testing.T) {
	a, b := cameratest.Noise(t, 40, 30, 1), cameratest.Noise(t, 16, 16, 2)
	part := func(p []byte) string {
		return fmt.Sprintf("--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n", len(p), p)
	}
	length := func(n int) string { return fmt.Sprintf("Content-Length: %d\r\n", n) }
	const stream, jpeg = "Content-Type: multipart/x-mixed-replace; boundary=frame\r\n", "Content-Type: image/jpeg\r\n"
	two, still := [][]byte{a, b}, [][]byte{a, a} // asked for again
	for _, c := range []struct {
		name, head, body string
		want             [][]byte
		held             bool // the connection stays open
	}{
		{"stream", stream, part(a) + part(b), two, true},
		{"stream without a type", "", part(a) + part(b), two, true},
		{"stream called text", "Content-Type: text/plain\r\n", "\r\n" + part(a) + part(b), two, true},
		{"stream called a picture", jpeg, part(a) + part(b), two, true},
		{"stream of length 0", stream + length(0), part(a) + part(b), two, true},
		{"stream of another length", stream + length(100), part(a) + part(b), two, true},
		{"stream of pictures alone", stream, string(a) + string(b), two, true},
		{"stream of pictures alone, of length 0", length(0), string(a) + string(b), two, true},
		{"picture", jpeg + length(len(a)), string(a), still, true},
		{"picture called a stream", stream + length(len(a)), string(a), still, true},
		{"picture called octets", "Content-Type: application/octet-stream\r\n" + length(len(a)), string(a), still, false},
		{"picture called text", "Content-Type: text/html\r\n" + length(len(a)), string(a), still, false},
		{"picture without a type", length(len(a)), string(a), still, false},
		{"picture without a length", jpeg, string(a), still, false},
		{"picture without a length, and no end of the body", jpeg, string(a), still, true},
		{"picture of length 0", jpeg + length(0), string(a), still, true},
		{"picture of a length too long", jpeg + length(len(a)+9), string(a), still, true},
		{"picture of a length too short", jpeg + length(len(a)-9), string(a), still, false},
		{"picture with padding", jpeg + length(len(a)+9), string(a) + "\x00\x00\x00\x00\xff\xff\xff\xff\xff", still, true},
		{"picture with padding, without a length", jpeg, string(a) + "\x00\x00\x00\x00\xff\xff\xff\xff\xff", still, false},
		{"picture without an end", jpeg + length(len(a)-2), string(a[:len(a)-2]), [][]byte{a[:len(a)-2], a[:len(a)-2]}, true},
		{"picture without an end or length", jpeg, string(a[:len(a)-2]), [][]byte{a[:len(a)-2], a[:len(a)-2]}, false},
		{"chunked picture", "Content-Type: x/y\r\nTransfer-Encoding: chunked\r\n", fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(a), a), still, true},
		{"chunked stream", stream + "Transfer-Encoding: chunked\r\n", fmt.Sprintf("%x\r\n%s\r\n%x\r\n%s\r\n", len(part(a)), part(a), len(part(b)), part(b)), two, true},
		{"login page called a picture", jpeg + length(6), "<html>", [][]byte{[]byte("<html>")}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			uri := rawServer(t, func(conn net.Conn) { fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\n%s\r\n%s", c.head, c.body) }, c.held)
			s := open(t, uri+"#fps=0", camera.Options{})
			var f camera.Frame
			for i, want := range c.want {
				if err := s.Next(t.Context(), &f); err != nil || !bytes.Equal(f.Data, want) || f.Seq != uint64(i+1) {
					t.Fatalf("picture %d: %v, %d bytes, number %d; want %d bytes", i, err, len(f.Data), f.Seq, len(want))
				}
			}
		})
	}
}

// Pictures of other kinds are told by their bytes, too, with a length, without one, and chunked.
func TestHTTPStillsOfEachKind(t *testing.T) {
	for name, want := range map[string]camera.Format{
		"lossy.webp": camera.WebP, "lossless.webp": camera.WebP, "rgb_raw.tif": camera.TIFF, "rgb16_mm.tif": camera.TIFF, "rgb.bmp": camera.BMP,
		"plain.gif": camera.GIF, "420.heic": camera.HEIC, "telephone.heic": camera.HEIC, "420.avif": camera.AVIF,
	} {
		data, err := os.ReadFile(filepath.Join("..", "..", "pictures", "testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		for kind, answer := range map[string]string{
			"length":  fmt.Sprintf("Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s", len(data), data),
			"none":    fmt.Sprintf("Content-Type: application/octet-stream\r\n\r\n%s", data),
			"chunked": fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(data), data),
		} {
			t.Run(name+" "+kind, func(t *testing.T) {
				t.Parallel()
				uri := rawServer(t, func(conn net.Conn) { fmt.Fprint(conn, "HTTP/1.1 200 OK\r\n"+answer) }, kind == "chunked")
				s := open(t, uri+"#fps=0", camera.Options{})
				var f camera.Frame
				for i := range 2 { // asked for again
					if err := s.Next(t.Context(), &f); err != nil || f.Format != want || !bytes.Equal(f.Data, data) {
						t.Fatalf("picture %d: %v, %v, %d bytes; want %v, %d bytes", i, err, f.Format, len(f.Data), want, len(data))
					}
				}
			})
		}
	}
}

// A line is used for one picture after another, and a new one taken where the camera
// has hung it up.
func TestHTTPKeepsItsLine(t *testing.T) {
	p := cameratest.Still(t, 9)
	var lines atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { picture(p)(w, r, nil) }))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			lines.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	s := open(t, server.URL+"#fps=0", camera.Options{})
	next := func() {
		t.Helper()
		if err := s.Next(t.Context(), new(camera.Frame)); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		next()
	}
	if n := lines.Load(); n != 1 {
		t.Errorf("5 pictures over %d lines", n)
	}
	server.CloseClientConnections()
	next()
	if n := lines.Load(); n != 2 {
		t.Errorf("%d lines after the camera hung one up", n)
	}
}

// What a camera sends that nobody asked for is in no log but ours.
func TestHTTPLogsNothingElsewhere(t *testing.T) {
	var said bytes.Buffer
	log.SetOutput(&said)
	defer log.SetOutput(log.Default().Writer())
	p := cameratest.Noise(t, 40, 30, 1)
	uri := rawServer(t, func(conn net.Conn) {
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%smore", len(p), p)
	}, false)
	s := open(t, uri+"#fps=0", camera.Options{})
	for range 3 {
		if err := s.Next(t.Context(), new(camera.Frame)); err != nil {
			t.Fatal(err)
		}
	}
	if said.Len() > 0 {
		t.Errorf("said %q", said.String())
	}
}
