package main

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"dynvit/backends/all"
	"dynvit/daemon"
	"dynvit/engine"
	"dynvit/systemd"
)

// drawnSource is what `run` looks at where nothing else is named.
const drawnSource = "test:"

// settingFlags are run's flags that each set one key of the configuration.
var settingFlags = []struct{ flag, key, help string }{
	{"node", "node", "name of this box in topics (default: the host name)"},
	{"model", "model", "model: a name in the store or a path to .safetensors (default: the embedded one)"},
	{"predictors", "predictors", "file with trained predictors to add to the model"},
	{"scorer", "scorer", "what makes a patch worth keeping: auto, predictor, attention, cls-attention"},
	{"backend", "backend", "backend: auto or a name that `dynvitd devices` lists"},
	{"precision", "precision", "precision: auto, f32, bf16, f16, int8"},
	{"threads", "threads", "threads, decoding included (default: all usable cores)"},
	{"keep", "latency.keep", "auto, share of patches kept a stage, or counts such as 127,95,63; 1 = dense"},
	{"budget", "latency.budget", "time for a whole frame, such as 50ms"},
	{"percentile", "latency.percentile", "share of frames, in percent, that hold the budget"},
	{"broker", "mqtt.broker", "mqtt://host, mqtts://host or embedded (default without --config: embedded)"},
	{"http", "http.listen", "host:port of /healthz and /readyz"},
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
func (f *runFlags) load(flags *pflag.FlagSet) (daemon.Config, error) {
	host, err := os.Hostname()
	if err != nil {
		return daemon.Config{}, fmt.Errorf("host name: %w", err)
	}
	o := daemon.LoadOptions{File: f.file, Environ: os.Environ(), Sources: f.sources, Host: host, Settings: f.settings(flags)}
	c, err := daemon.Load(o)
	if err != nil || f.file != "" || len(c.Cameras) > 0 {
		return c, err
	}
	o.Sources = []string{drawnSource}
	return daemon.Load(o)
}

// settings are the keys that flags set.
func (f *runFlags) settings(flags *pflag.FlagSet) []daemon.Setting {
	var list []daemon.Setting
	if f.v {
		list = append(list, daemon.Setting{Key: "log.level", Value: "debug", Flag: "-v"})
	}
	for _, s := range settingFlags {
		if given := flags.Lookup(s.flag); given.Changed {
			list = append(list, daemon.Setting{Key: s.key, Value: given.Value.String(), Flag: "--" + s.flag})
		}
	}
	return list
}

func (f *runFlags) run(c *cobra.Command) error {
	config, err := f.load(c.Flags())
	if err != nil {
		return err
	}
	log, err := daemon.NewLogger(os.Stderr, config.Log, daemon.UnderJournal(os.Stderr, os.Getenv))
	if err != nil {
		return config.Place(err)
	}
	notify, err := systemd.New(os.Getenv)
	if err != nil {
		return err
	}
	defer notify.Close()
	return f.serve(c.Context(), config, log, notify)
}

func (f *runFlags) serve(ctx context.Context, config daemon.Config, log *slog.Logger, notify *systemd.Notifier) error {
	out := &results{out: bufio.NewWriter(os.Stdout), json: f.json}
	signal.Ignore(syscall.SIGPIPE) // else a stdout or stderr that went away would end the daemon
	deps := daemon.Deps{
		Open: func(o engine.Options) (daemon.Classifier, error) {
			e, err := engine.Open(o, all.List())
			if err != nil {
				return nil, err // not e: a nil *Engine is not a nil Classifier
			}
			return e, nil
		},
		Store: modelStore(), State: stateDir(), Version: version, Log: log, Notify: notify, NoFile: f.file == "",
	}
	if f.file == "" || f.json {
		deps.Show = out.show
	}
	d, err := daemon.New(config, deps)
	if err != nil {
		return err
	}
	out.info = d.Info
	start := time.Now()
	if err := d.Run(ctx); err != nil {
		return err
	}
	if deps.Show != nil && !f.json {
		frames, dropped := d.Totals()
		fmt.Printf("%d frames, %d dropped, in %.1f s\n", frames, dropped, time.Since(start).Seconds())
	}
	return nil
}

// results prints what the cameras show. A stdout that went away ends nothing:
// the broker has the results.
type results struct {
	out     *bufio.Writer
	info    func() engine.Info // of the model in use; not of those that a calibration opens
	encoder *daemon.Encoder    // nil until the first frame
	json    bool
}

// show is called for each frame.
func (p *results) show(r *daemon.Report, changed bool) {
	switch {
	case p.json:
		if p.encoder == nil {
			p.encoder = daemon.NewEncoder(p.info(), "")
		}
		p.out.Write(p.encoder.Report(r, time.Now()))
		p.out.WriteByte('\n')
	case changed:
		p.line(r)
	}
	p.out.Flush()
}

// line names a class only where it was recognised.
func (p *results) line(r *daemon.Report) {
	fmt.Fprintf(p.out, "%s  %s  ", r.Captured.Format("15:04:05.0"), r.Camera)
	if r.Label == "" {
		fmt.Fprintf(p.out, "%-18s", "(nothing recognised)")
	} else {
		fmt.Fprintf(p.out, "%-18s %5.1f %%", r.Label, 100*r.Score)
	}
	fmt.Fprintf(p.out, "  %.1f ms, tokens %v\n", milliseconds(r.Frame), r.Tokens)
}
