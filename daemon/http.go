package daemon

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"

	"dynvit/httpserver"
	"dynvit/messages"
	"dynvit/metrics"
)

// listenHTTP takes the port of the local server.
func listenHTTP(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("http.listen %s: %w", address, opless(err))
	}
	return l, nil
}

// localServer is what the local server shows: without its token, where it has one, only
// what a probe needs.
func (d *Daemon) localServer(health func() Health, counted metrics.Source) httpserver.Options {
	c := d.config.HTTP
	o := httpserver.Options{
		Names: c.Names(), Token: d.token, Log: d.log, Open: probes(health, silent),
		Pages: routes(health, metrics.Page(d.deps.Version, counted, d.log), c.Pprof),
	}
	if c.CertFile != "" {
		o.Certificate = c.TLS().Pair
	}
	return o
}

// routes are all pages of the local server.
func routes(health func() Health, counted http.Handler, profiles bool) *http.ServeMux {
	mux := probes(health, speaking)
	mux.Handle("GET /metrics", counted)
	if profiles {
		// But for cmdline: sources on the command line may carry passwords.
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	}
	return mux
}

// probes are the pages of the condition, shown in one of two ways.
func probes(health func() Health, show func(http.ResponseWriter, Health, int)) *http.ServeMux {
	mux := http.NewServeMux()
	for path, ok := range map[string]func(Health) bool{
		"GET /healthz": func(h Health) bool { return h.Alive },
		"GET /readyz":  func(h Health) bool { return h.Alive && h.Ready },
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			h, code := health(), http.StatusOK
			if !ok(h) {
				code = http.StatusServiceUnavailable
			}
			w.Header().Set("Cache-Control", "no-store")
			show(w, h, code)
		})
	}
	return mux
}

// silent answers by the status alone.
func silent(w http.ResponseWriter, _ Health, code int) { w.WriteHeader(code) }

// speaking shows the whole condition.
func speaking(w http.ResponseWriter, h Health, code int) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	w.Write(append(messages.Encode(h), '\n')) // a reader that went away is no concern of ours
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
