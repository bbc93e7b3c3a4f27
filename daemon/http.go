package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"dynvit/messages"
)

// server answers /healthz and /readyz. Metrics and the live page will be routes
// of its mux.
type server struct {
	http *http.Server
	addr string
	done chan struct{} // closed when serve has returned
}

// listenHTTP takes the port of the local server.
func listenHTTP(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("http.listen %s: %w", address, opless(err))
	}
	return l, nil
}

// serveHTTP starts a server that owns l. Its answers are small and from memory,
// so its limits can be narrow.
func serveHTTP(l net.Listener, routes http.Handler, log *slog.Logger) *server {
	s := &server{
		http: &http.Server{
			Handler:           routes,
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

func (s *server) serve(l net.Listener, log *slog.Logger) {
	defer close(s.done)
	if err := s.http.Serve(&bounded{Listener: l, most: mostConnections}); !errors.Is(err, http.ErrServerClosed) {
		log.Error("http server ended", "err", err)
	}
}

// close ends the server; answers on their way have until ctx ends.
func (s *server) close(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("http server: %w", err), s.http.Close())
	}
	<-s.done
	return err
}

// routes are the pages of the local server.
func routes(health func() Health) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /healthz", healthPage(health, func(h Health) bool { return h.Alive }))
	mux.Handle("GET /readyz", healthPage(health, func(h Health) bool { return h.Alive && h.Ready }))
	return mux
}

// healthPage shows the condition, with status 503 where ok does not hold.
func healthPage(health func() Health, ok func(Health) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h := health()
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		if !ok(h) {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		w.Write(append(messages.Encode(h), '\n')) // a reader that went away is no concern of ours
	})
}

// opless takes "listen tcp address" off an error of package net, which repeats
// what the caller says.
func opless(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}
