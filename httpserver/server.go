// Package httpserver serves small pages from memory to whoever is beside the box:
// with narrow limits, a bounded number of connections, and to those alone who ask
// by a name of the server's.
package httpserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Server answers until it is closed.
type Server struct {
	http *http.Server
	addr string
	done chan struct{} // closed when serve has returned
}

// Options say what is served, and to whom.
type Options struct {
	Names []string       // by which the server is asked, beside addresses and localhost
	Pages http.Handler   // small, and from memory, so that the server's limits can be narrow
	Token string         // who does not send it sees Open alone; "": all see Pages
	Open  *http.ServeMux // nil: nothing
	Log   *slog.Logger

	// Certificate is asked for each connection, so that one can be renewed without a
	// restart; nil: plain HTTP.
	Certificate func() (tls.Certificate, error)
}

func (o *Options) handler() http.Handler {
	pages := o.Pages
	if o.Token != "" {
		pages = forToken(o.Token, o.Pages, o.Open)
	}
	return forHosts(o.Names, pages)
}

func (o *Options) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	pair, err := o.Certificate()
	if err != nil {
		o.Log.Warn("no certificate for the http server", "err", err)
	}
	return &pair, err
}

// Serve starts a server that owns l.
func Serve(l net.Listener, o Options) *Server {
	s := &Server{
		http: &http.Server{
			Handler:           o.handler(),
			ReadHeaderTimeout: 5 * time.Second,
			ReadTimeout:       5 * time.Second,
			WriteTimeout:      10 * time.Second,
			IdleTimeout:       time.Minute,
			MaxHeaderBytes:    16 << 10,
			ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
		},
		addr: l.Addr().String(),
		done: make(chan struct{}),
	}
	l = &bounded{Listener: l}
	if o.Certificate != nil {
		l = tls.NewListener(l, &tls.Config{NextProtos: []string{"http/1.1"}, GetCertificate: o.certificate})
	}
	go s.serve(l, o.Log)
	return s
}

func (s *Server) serve(l net.Listener, log *slog.Logger) {
	defer close(s.done)
	if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		log.Error("http server ended", "err", err)
	}
}

// Addr is host:port where it listens.
func (s *Server) Addr() string { return s.addr }

// Close ends the server; answers on their way have until ctx ends. Who is slower, or asks
// nothing, as a browser that connects ahead, is cut off, which is no failure of the server's.
func (s *Server) Close(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil && err == ctx.Err() {
		err = s.http.Close()
	}
	<-s.done
	if err != nil {
		return fmt.Errorf("http server: %w", err)
	}
	return nil
}
