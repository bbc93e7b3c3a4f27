package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"path/filepath"

	"dynvit/capture"
	"dynvit/classroom"
	"dynvit/httpserver"
	"dynvit/lineup"
	"dynvit/messages"
	"dynvit/metrics"
	"dynvit/page"
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
// what a probe needs, and the live page, which knows itself what that may show.
func (d *Daemon) localServer(health func() Health, counted metrics.Source, live *page.Page) httpserver.Options {
	c := d.config.HTTP
	open, pages := probes(health, silent), routes(health, metrics.Page(d.deps.Version, counted, d.log), c.Pprof)
	if live != nil {
		live.Register(open)
		live.Register(pages)
	}
	o := httpserver.Options{Names: c.Names(), Token: d.token, Log: d.log, Open: open, Pages: pages}
	if c.CertFile != "" {
		o.Certificate = c.TLS().Pair
	}
	return o
}

// heardByPage are results that may wait for the live page, with their pictures while
// somebody watches: 2 MB of the default model's.
const heardByPage = 16

// live is what the live page shows and changes. It implements page.Source.
type live struct {
	*Listener
	commands *commands
	health   func() Health
	info     func() messages.Info
	settings func() messages.Settings
	counted  *statistics // with periods of its own
}

func (l *live) Info() messages.Info         { return l.info() }
func (l *live) Settings() messages.Settings { return l.settings() }
func (l *live) Stats() messages.Stats       { return l.counted.take() }
func (l *live) Health() any                 { return l.health() }

// Command implements page.Source.
func (l *live) Command(ctx context.Context, name string, payload []byte) (messages.Outcome, bool) {
	do := l.commands.named(name)
	if do == nil {
		return messages.Outcome{}, false
	}
	return l.commands.carryOut(ctx, name, payload, do), true
}

// show hands the page what it hears, until nothing more comes.
func (l *live) show(p *page.Page) {
	for r, ok := l.Next(); ok; r, ok = l.Next() {
		p.Hear(&page.Frame{Report: r.Report, Engine: r.Engine, Further: !r.First, Picture: r.Picture, Kept: r.Kept, Groups: r.Groups, Patches: r.Patches})
	}
}

// newRoom is what teaches beside the cameras; nil where nothing opens models for it.
func (d *Daemon) newRoom(s *service, folder *capture.Folder) *classroom.Room {
	if d.deps.Teach == nil || d.deps.Inspect == nil {
		return nil
	}
	return classroom.New(classroom.Options{
		Record: d.taught, Pictures: folder, Folder: filepath.Join(d.deps.State, TaughtFolder), Store: d.deps.Store,
		Program: d.deps.Version, Log: d.log, Open: d.deps.Teach, Inspect: d.deps.Inspect, Configured: d.configured.Load, Engine: lineup.Options,
		InTurn: func(ctx context.Context, do func() error) error {
			return s.inference.orders.doInTurn(ctx, "lesson", do)
		},
		Renew: s.renewTaught,
	})
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
