package daemon

import (
	"errors"
	"fmt"
	"net"
	"net/http"

	"dynvit/messages"
)

// listenHTTP takes the port of the local server.
func listenHTTP(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("http.listen %s: %w", address, opless(err))
	}
	return l, nil
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
