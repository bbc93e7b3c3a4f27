// Package daemon is dynvitd as a library: from a configuration and an opener of
// classifiers to a running daemon that reads cameras, classifies their frames
// and publishes what it sees.
//
// # Frames
//
// Each camera is a feed. A goroutine a feed (reader) opens its source, reads, and
// opens it again when it breaks; its status is what the camera's topic says. It
// leaves frames in the queue: one waiting frame a camera, the newest wins, the
// loser is counted. One goroutine (inference) takes them round robin over the
// feeds, passes over those that hardly differ (motion), has the camera's models
// look at them (package lineup) by the plans that their tuner holds, lets each
// verdict's debounce decide what the sequence of classes means, and publishes. Three frames circulate a feed; nothing on this
// path allocates after the first frames, a picture decoder apart.
//
// # Orders
//
// Whoever needs the model or the plan (commands, calibration) has the inference
// do it between two frames, by an order, and waits. Calibration runs in a
// goroutine of its own and orders one frame at a time, each camera's turn between.
//
// # Reload
//
// On SIGHUP the goroutine of Run reads the configuration anew and takes up what has
// changed (reload.go): what the frames pass between two of them, by an order; then
// readers, connection and announcements. What has not changed is not touched.
//
// # What is told to whom
//
// The announcer publishes all that is not of a frame: birth, settings, stats, a
// camera's status, answers. Counters only grow; each of their readers keeps its
// own period. Any number of [Listener]s hear of every frame without the inference
// waiting for them.
//
// # Life
//
// [Daemon.Run] builds from below (models, tuners, connection, feeds, inference,
// what reports on them), infers one drawn frame, says READY, and ends when its
// context ends, or when all sources given on the command line have ended. A
// camera or broker that is away is reported and waited for, never a failed start.
// Everything that Run starts it also waits for.
package daemon

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"dynvit/camera"
	"dynvit/classroom"
	"dynvit/config"
	"dynvit/engine"
	"dynvit/lineup"
	"dynvit/machine"
	"dynvit/messages"
	"dynvit/systemd"
	"dynvit/timing"
	"dynvit/tuning"
)

const (
	// inferenceLimit is how long one frame may take before the inference counts
	// as stuck: DeiT-B on the slowest backend takes half of it.
	inferenceLimit = time.Minute
	mqttLimit      = 30 * time.Second // several times its longest write
	readerLimit    = time.Minute      // a reader waits for its source, it does no work of its own

	// closeLimit is how long sources may take to close. A driver that hangs must
	// not keep the daemon from taking leave of the broker.
	closeLimit = 500 * time.Millisecond
)

// TaughtFolder of the state folder has the heads that the page has taught, as the last one
// that models are looked for in: others may be read-only, or root's.
const TaughtFolder = "taught"

// Deps are what the daemon needs from outside.
type Deps struct {
	Open    lineup.Opener
	Inspect lineup.Inspector    // nil: no two models share a pass
	Teach   Teacher             // nil: nothing is taught on the page
	Schemes camera.Schemes      // what sources there are
	Store   []string            // folders of named models
	State   string              // folder for what outlives a restart (outbox, calibration); "": nothing is kept, and nothing calibrated
	Version string              // as info shows it
	Log     *slog.Logger        // nil: none
	Notify  *systemd.Notifier   // nil: none
	Getenv  func(string) string // for systemd's credentials; nil: os.Getenv

	// NoFile says that no configuration file was given: the daemon ends when
	// all its sources have ended, a missing file is an error at once, and the
	// embedded broker may take another port when 1883 is in use.
	NoFile bool

	// Fleeting says that the cameras' names are of this run alone, so that no taught head
	// stays in force for the next.
	Fleeting bool

	// Configuration is the file's path where it names the node: what earlier names
	// left at the broker is taken back. "": there is none.
	Configuration string

	// Reload gives a value when Load is to read the configuration anew, after which
	// what has changed is taken up. Level is the log's, to be changed then.
	Reload <-chan os.Signal              // nil: never
	Load   func() (config.Config, error) // nil: there is nothing to read
	Level  *slog.LevelVar                // nil: stays

	Listeners []*Listener // of the results

	// Set by tests.
	openSource   func(uri string, o camera.Options) (camera.Source, error)
	dial         func(context.Context) (net.Conn, error)
	brokerListen string
	bootID       string
	synced       func() bool
	now          func() time.Time
	root         fs.FS
	drawn        func(ctx context.Context, n int, enough func() bool) ([]camera.Frame, error)
	started      func(*service) // told when all parts are there
}

// Teacher opens a model that lessons look at pictures with.
type Teacher func(engine.Options) (classroom.Looker, error)

// Daemon reads cameras, classifies their frames and publishes what it sees.
type Daemon struct {
	config     config.Config                 // in force; once all runs, of the goroutine of Run alone, which reloads it
	configured atomic.Pointer[config.Config] // as it was written, without heads that the page has put in force
	taught     *classroom.Record
	deps       Deps
	log        *slog.Logger
	password   string // the broker's
	token      string // the local server's, "" for none
	bootID     string
	started    time.Time
	machine    machine.Machine
	node       string // which a reload does not change
	topics     messages.Topics
	roster     roster
	loops      *systemd.Health
}

// New checks the configuration and reads the broker's password and the local server's token. A wrong
// configuration is a *config.Error.
func New(c config.Config, deps Deps) (*Daemon, error) {
	deps = deps.withDefaults()
	password, err := check(&c, &deps)
	if err != nil {
		return nil, c.Place(err)
	}
	token, err := c.HTTP.Token(deps.Getenv)
	if err != nil {
		return nil, c.Place(err)
	}
	d := &Daemon{
		deps: deps, log: deps.Log, password: password, token: token, taught: classroom.Open(deps.record(), deps.Log),
		bootID: deps.bootID, started: time.Now(), machine: machine.At(deps.root), node: c.Node,
		topics: messages.NewTopics(c.MQTT.TopicPrefix, c.Node), loops: new(systemd.Health),
	}
	var settle func() bool
	d.config, settle = d.taught.Apply(c, d.opens)
	d.configured.Store(&c)
	settle()
	return d, nil
}

// record is the file of what is in force in place of the configuration.
func (d *Deps) record() string {
	if d.State == "" || d.Fleeting {
		return ""
	}
	return filepath.Join(d.State, "taught.json")
}

// opens says why a model that is no one's yet would not open.
func (d *Daemon) opens(c *config.Config, model string) error {
	if d.deps.Inspect == nil {
		return nil
	}
	_, err := d.deps.Inspect(lineup.Options(c, model, d.deps.Store))
	return err
}

// check finds what is wrong with a configuration that needs no model to be found,
// and reads the broker's password.
func check(c *config.Config, deps *Deps) (password string, err error) {
	if err := c.Validate(deps.Schemes); err != nil {
		return "", err
	}
	if len(c.Cameras) == 0 {
		return "", config.Invalid("cameras", "no camera named: want one under cameras, or --source")
	}
	if password, err = c.Password(deps.Getenv); err != nil {
		return "", err
	}
	return password, c.ReadTLS()
}

// Totals are the frames classified and dropped since the start, of the cameras that
// are configured.
func (d *Daemon) Totals() (frames, dropped uint64) {
	for _, f := range d.roster.all() {
		frames += f.counts.looked.Load()
		dropped += f.counts.drops().Total()
	}
	return frames, dropped
}

// info is what runs here.
func (d *Daemon) info(l *lineup.Lineup) messages.Info {
	m := l.Passes[0].Info()
	return messages.Info{
		Schema: messages.Schema, Version: d.deps.Version, Node: d.node,
		Model: m.Model, SHA256: m.SHA256, Architecture: m.Architecture, Classes: m.Classes,
		Backend: m.Backend, Why: m.Why, Precision: m.Precision.String(), Threads: m.Threads, Scorer: m.Scorer,
		Machine: messages.Hardware(d.machine.Hardware()), BootID: d.bootID, Started: messages.Time(d.started),
		Models: modelsInfo(l),
	}
}

// modelsInfo is what of each model is told where there are several.
func modelsInfo(l *lineup.Lineup) (list []messages.ModelInfo) {
	if len(l.Models) == 1 {
		return nil
	}
	for _, m := range l.Models {
		now := m.Pass.Info()
		list = append(list, messages.ModelInfo{
			Model: m.Name, SHA256: m.SHA256(), Architecture: now.Architecture, Classes: m.Classes(),
			Backend: now.Backend, Precision: now.Precision.String(), Threads: now.Threads, Scorer: now.Scorer,
		})
	}
	return list
}

// settings are what commands, and the page, can change.
func (d *Daemon) settings(t *tuners, cameras map[string]messages.CameraSettings) messages.Settings {
	now := t.shown()
	for name, one := range cameras {
		if f := d.taught.Entry(name).InForce; f != nil {
			one.Taught = f.Model
			cameras[name] = one
		}
	}
	return messages.Settings{
		Schema: messages.Schema, Auto: now.auto, Keep: now.ratio,
		BudgetMS: timing.Rounded(now.budget), Percentile: now.percentile, Cameras: cameras,
	}
}

// firstSettings are those before there are feeds.
func (d *Daemon) firstSettings(t *tuners, a lineup.Asked) messages.Settings {
	cameras := map[string]messages.CameraSettings{}
	for name, c := range d.config.Cameras {
		cameras[name] = messages.CameraSettings{Enabled: c.Enabled, Models: severalNames(a.Cameras[name])}
		if all := t.all(); len(all) > 1 {
			one := cameras[name]
			one.Keep = t.of(lineup.Passes(a.Cameras[name]), t.shown()).shown().ratio
			cameras[name] = one
		}
	}
	return d.settings(t, cameras)
}

func (d Deps) withDefaults() Deps {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Notify == nil {
		d.Notify = new(systemd.Notifier)
	}
	if d.Getenv == nil {
		d.Getenv = os.Getenv
	}
	if folder := filepath.Join(d.State, TaughtFolder); d.State != "" && !slices.Contains(d.Store, folder) {
		d.Store = append(slices.Clip(d.Store), folder)
	}
	if d.openSource == nil {
		d.openSource = d.Schemes.Open
	}
	if d.bootID == "" {
		d.bootID = newBootID()
	}
	if d.synced == nil {
		d.synced = machine.ClockSynced
	}
	if d.now == nil {
		d.now = time.Now
	}
	if d.root == nil {
		d.root = os.DirFS("/")
	}
	if d.drawn == nil {
		d.drawn = tuning.DrawnFrames
	}
	if d.started == nil {
		d.started = func(*service) {}
	}
	return d
}

func newBootID() string {
	var b [4]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
