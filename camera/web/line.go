package web

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"time"

	"dynvit/camera/internal/address"
	"dynvit/camera/trust"
)

// maxHead bounds an answer's status and header, in bytes.
const maxHead = 256 << 10

// line is a connection to a camera, which carries one request after another. It is
// ours rather than net/http's, which believes the header in what a body is: here
// all that comes can be read.
type line struct {
	net.Conn
	to   string // origin of its address
	in   io.LimitedReader
	r    *bufio.Reader
	used bool // for a request before
}

// origin is what two addresses have in common that one line serves.
func origin(u *url.URL) string { return u.Scheme + "://" + hostPort(u) }

func hostPort(u *url.URL) string { return net.JoinHostPort(u.Hostname(), address.Port(u)) }

// dial goes straight to the camera: the proxy of the environment is for the world
// outside.
func dial(ctx context.Context, u *url.URL, limit time.Duration, t trust.Trust) (*line, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", hostPort(u))
	if err != nil {
		return nil, err
	}
	if u.Scheme == "https" {
		secure, err := t.Config(u.Hostname())
		if err != nil {
			conn.Close()
			return nil, err
		}
		client := tls.Client(conn, secure)
		if err := client.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, trust.Explain(err)
		}
		conn = client
	}
	l := &line{Conn: conn, to: origin(u)}
	l.in.R = conn
	l.r = bufio.NewReaderSize(&l.in, 32<<10)
	return l, nil
}

// ask sends a request and reads the head of the answer; what follows is in l.r, as
// the camera sent it.
func (l *line) ask(req *http.Request) (*http.Response, error) {
	if err := req.Write(l); err != nil {
		return nil, err
	}
	for {
		l.in.N = maxHead
		answer, err := http.ReadResponse(l.r, req)
		l.in.N = math.MaxInt64
		if err != nil || answer.StatusCode >= 200 {
			return answer, err
		}
	}
}
