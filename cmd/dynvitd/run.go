package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"dynvit/backends"
	"dynvit/backends/all"
	schemes "dynvit/camera/all"
	"dynvit/classroom"
	"dynvit/config"
	"dynvit/daemon"
	"dynvit/engine"
	"dynvit/failover"
	"dynvit/logging"
	"dynvit/messages"
	"dynvit/systemd"
	"dynvit/timing"
	"dynvit/tuning"
)

// drawnSource is what `run` looks at where nothing else is named.
const drawnSource = "test:"

// settingFlags are run's flags that each set one key of the configuration.
var settingFlags = []struct{ flag, key, help string }{
	{"node", "node", "name of this box in topics (default: the host name)"},
	{"model", "model", "model: a name in the store or a path to .safetensors (default: the embedded one)"},
	{"predictors", "predictors", "file with trained predictors to add to the model"},
	{"scorer", "scorer", "what makes a patch worth keeping: " + scorerNames},
	{"backend", "backend", "backend: auto or a name that `dynvitd devices` lists"},
	{"precision", "precision", "precision: " + precisionNames},
	{"threads", "threads", "threads, decoding included (default: all usable cores)"},
	{"keep", "latency.keep", "auto, share of patches kept a stage, or counts such as 127,95,63; 1 = dense"},
	{"budget", "latency.budget", "time for a whole frame, such as 50ms"},
	{"percentile", "latency.percentile", "share of frames, in percent, that hold the budget"},
	{"broker", "mqtt.broker", "mqtt://host, mqtts://host or embedded (default without --config: embedded)"},
	{"http", "http.listen", "host:port of the live page, /healthz, /readyz and /metrics"},
	{"log-level", "log.level", "debug, info, warn, error"},
	{"log-format", "log.format", "text, json"},
}

// runFlags are the flags of run and of config print.
type runFlags struct {
	file    string
	sources []string
	json, v bool
}

func (f *runFlags) register(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.file, "config", "", "configuration file")
	flags.StringArrayVar(&f.sources, "source", nil, "camera, film, folder or picture to look at, may be repeated (default without --config: drawn scenes)")
	for _, s := range settingFlags {
		flags.String(s.flag, "", s.help)
	}
	flags.BoolVarP(&f.v, "verbose", "v", false, "log more; the same as --log-level debug")
}

func newRun() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run",
		Short: "Look at cameras and publish what they show over MQTT",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	f.register(c)
	c.Flags().BoolVar(&f.json, "json", false, "one JSON object a frame on stdout, as the topic frame has it")
	return c
}

// load merges file, environment and flags.
func (f *runFlags) load(flags *pflag.FlagSet) (config.Config, error) {
	host, _ := os.Hostname() // where there is none, node must be given
	o := config.LoadOptions{Schemes: schemes.List(), File: f.file, Environ: os.Environ(), Sources: f.sources, Host: host, Settings: f.settings(flags)}
	c, err := config.Load(o)
	if err != nil || f.file != "" || len(c.Cameras) > 0 {
		return c, err
	}
	f.sources = []string{drawnSource}
	o.Sources = f.sources
	return config.Load(o)
}

// settings are the keys that flags set, of which a command may have some alone.
func (f *runFlags) settings(flags *pflag.FlagSet) []config.Setting {
	var list []config.Setting
	if f.v {
		list = append(list, config.Setting{Key: "log.level", Value: "debug", Flag: "-v"})
	}
	for _, s := range settingFlags {
		if given := flags.Lookup(s.flag); given != nil && given.Changed {
			list = append(list, config.Setting{Key: s.key, Value: given.Value.String(), Flag: "--" + s.flag})
		}
	}
	return list
}

func (f *runFlags) run(c *cobra.Command) error {
	anew := hangups()
	conf, err := f.load(c.Flags())
	if err != nil {
		return err
	}
	level := new(slog.LevelVar)
	log, err := logging.New(os.Stderr, logging.Options{
		Level: conf.Log.Level, Var: level, JSON: conf.Log.Format == "json", Journal: logging.UnderJournal(os.Stderr, os.Getenv),
	})
	if err != nil {
		return conf.Place(config.Invalid("log.level", "%w", err))
	}
	for _, w := range conf.Warnings() {
		log.Warn(w)
	}
	settle(c.Context(), log)
	notify := serviceManager(log)
	defer notify.Close()
	deps := f.deps(log, notify)
	deps.Level, deps.Configuration = level, f.named(c.Flags())
	if deps.Reload = anew; f.file != "" {
		deps.Load = func() (config.Config, error) { return f.load(c.Flags()) }
	}
	return f.serve(c.Context(), conf, deps)
}

func (f *runFlags) deps(log *slog.Logger, notify *systemd.Notifier) daemon.Deps {
	return daemon.Deps{
		Open: func(o engine.Options) (tuning.Classifier, error) {
			c, err := failover.New(openEngine, o, all.List(), log)
			if err != nil {
				return nil, err // not c: a nil *Classifier is not a nil tuning.Classifier
			}
			return c, nil
		},
		Inspect: engine.Inspect, Teach: openLooker, Fleeting: len(f.sources) > 0, Schemes: schemes.List(), Store: modelStore(), State: stateDir(), Version: version, Log: log, Notify: notify, NoFile: f.file == "",
	}
}

func (f *runFlags) serve(ctx context.Context, conf config.Config, deps daemon.Deps) error {
	if deps.State == "" {
		deps.Log.Warn("nothing outlives a restart, and nothing is calibrated: there is no folder to keep it in; set STATE_DIRECTORY or HOME")
	}
	if f.file != "" && !f.json {
		d, err := daemon.New(conf, deps)
		if err != nil {
			return err
		}
		return d.Run(ctx)
	}
	return f.show(ctx, conf, deps)
}

func openEngine(o engine.Options, list []backends.Candidate) (tuning.Classifier, error) {
	e, err := engine.Open(o, list)
	if err != nil {
		return nil, err // likewise
	}
	return e, nil
}

func openLooker(o engine.Options) (classroom.Looker, error) {
	e, err := engine.Open(o, all.List())
	if err != nil {
		return nil, err // likewise
	}
	return e, nil
}

// show runs the daemon and prints what it sees.
func (f *runFlags) show(ctx context.Context, conf config.Config, deps daemon.Deps) error {
	listener := daemon.NewListener(unprinted)
	deps.Listeners = []*daemon.Listener{listener}
	d, err := daemon.New(conf, deps)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	out := &results{out: bufio.NewWriter(os.Stdout), encoders: map[messages.Engine]*messages.Encoder{}, json: f.json, gone: func() {
		deps.Log.Info("stdout was closed, which ends run")
		stop()
	}}
	printed := make(chan struct{})
	go func() {
		defer close(printed)
		out.print(listener)
	}()
	start := time.Now()
	if err := d.Run(ctx); err != nil {
		return err
	}
	took := time.Since(start)
	select {
	case <-printed:
	case <-time.After(printLimit):
		deps.Log.Warn("stdout takes nothing, results left unprinted")
		return nil
	}
	if n := listener.Lost(); n > 0 {
		deps.Log.Warn("stdout was too slow for all results", "lost", n)
	}
	if !f.json && out.gone != nil {
		frames, dropped := d.Totals()
		printLine(os.Stdout, "%d frames, %d dropped, in %.1f s", frames, dropped, took.Seconds())
	}
	return nil
}

const (
	// unprinted results may wait for stdout: a minute of one camera at 15 frames a
	// second. Older ones are left out.
	unprinted = 1024
	// printLimit is how long stdout may take for them at the end.
	printLimit = time.Second
)

// results prints what the cameras show.
type results struct {
	out      *bufio.Writer
	encoders map[messages.Engine]*messages.Encoder // of what has looked at frames
	json     bool
	gone     func() // told once that nobody reads what is printed; nil: told
}

// print shows what a listener hears, until it ends.
func (p *results) print(l *daemon.Listener) {
	for {
		r, ok := l.Next()
		if !ok {
			return
		}
		p.show(&r)
	}
}

func (p *results) show(r *daemon.Result) {
	switch {
	case p.json:
		e := p.encoders[r.Engine]
		if e == nil {
			e = messages.NewEncoder(r.Engine, "")
			p.encoders[r.Engine] = e
		}
		printLine(p.out, "%s", e.Report(r.Report, time.Now()))
	case r.Changed:
		p.line(r.Report)
	}
	// A full disk at the other end is none of ours: the broker has the results.
	if err := p.out.Flush(); errors.Is(err, syscall.EPIPE) && p.gone != nil {
		p.gone()
		p.gone = nil
	}
}

// line names a class only where it was recognised.
func (p *results) line(r *messages.Report) {
	class := fmt.Sprintf("%-18s", "(nothing recognised)")
	if r.Label != "" {
		class = fmt.Sprintf("%-18s %5.1f %%", r.Label, 100*r.Score)
	}
	from := r.Camera
	if r.Model != "" {
		from += "  " + r.Model
	}
	printLine(p.out, "%s  %s  %s  %.1f ms, tokens %v", r.Captured.Format("15:04:05.0"), from, class, timing.Rounded(r.Frame), r.Tokens)
}
