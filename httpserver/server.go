// Package httpserver serves small pages from memory to whoever is beside the box:
// with narrow limits, a bounded number of connections, and to those alone who ask
// by a name of the server's.
package httpserver

import (
	"context"
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

// Serve starts a server that owns l and is asked by these names, beside addresses
// and localhost. Its answers are small and from memory, so its limits can be
// narrow.
func Serve(l net.Listener, names []string, pages http.Handler, log *slog.Logger) *Server {
	s := &Server{
		http: &http.Server{
			Handler:           forHosts(names, pages),
			ReadHeaderTimeout: 5 * time.Second,
			ReadTimeout:       5 * time.Second,
			WriteTimeout:      10 * time.Second,
			IdleTimeout:       time.Minute,
			MaxHeaderBytes:    16 << 10,
			ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		},
		addr: l.Addr().String(),
		done: make(chan struct{}),
	}
	go s.serve(l, log)
	return s
}

func (s *Server) serve(l net.Listener, log *slog.Logger) {
	defer close(s.done)
	if err := s.http.Serve(&bounded{Listener: l}); !errors.Is(err, http.ErrServerClosed) {
		log.Error("http server ended", "err", err)
	}
}

// Addr is host:port where it listens.
func (s *Server) Addr() string { return s.addr }

// Close ends the server; answers on their way have until ctx ends.
func (s *Server) Close(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("http server: %w", err), s.http.Close())
	}
	<-s.done
	return err
}
