package daemon

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"dynvit/camera"
	"dynvit/engine"
	"dynvit/mqtt"
	"dynvit/systemd"
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

// Deps are what the daemon needs from outside.
type Deps struct {
	Open    func(engine.Options) (Classifier, error)
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

	// Show is called for every classified frame, changed when another label
	// holds from it on; nil: nobody watches. It must return soon: inference
	// waits for it. The report is valid until it returns.
	Show func(r *Report, changed bool)

	// Set by tests.
	openSource   func(uri string, o camera.Options) (camera.Source, error)
	dial         func(context.Context) (net.Conn, error)
	brokerListen string
	bootID       string
	synced       func() bool
	now          func() time.Time
	root         fs.FS
}

// Daemon reads cameras, classifies their frames and publishes what it sees.
type Daemon struct {
	config   Config
	deps     Deps
	log      *slog.Logger
	password string
	toggles  map[string]*toggle // by camera
	bootID   string
	started  time.Time
	machine  machine
	topics   topics
	loops    *systemd.Health

	// Set by Run, in this order.
	model        *model
	tuner        *tuner
	calibrator   *calibrator  // nil: calibration is off
	uncalibrated bool         // no calibration was found
	broker       *mqtt.Broker // nil where it is not embedded
	client       *mqtt.Client
	inbox        *inbox
	units        []*unit // by name
	queue        *queue
	inference    *inference
	tally        *tally

	statsMu   sync.Mutex // guards lastStats, and the periods of units and tally
	lastStats time.Time

	ready    chan struct{} // closed when ready
	stopping atomic.Bool
}

// New checks the configuration and reads the broker's password. A wrong
// configuration is a *ConfigError.
func New(c Config, deps Deps) (*Daemon, error) {
	if err := c.Validate(); err != nil {
		return nil, c.Place(err)
	}
	if len(c.Cameras) == 0 {
		return nil, c.Place(invalid("cameras", "no camera named: want one under cameras, or --source"))
	}
	deps = deps.withDefaults()
	password, err := c.Password(deps.Getenv)
	if err != nil {
		return nil, c.Place(err)
	}
	if err := c.readTLS(); err != nil {
		return nil, c.Place(err)
	}
	return &Daemon{
		config: c, deps: deps, log: deps.Log, password: password, toggles: newToggles(&c),
		bootID: deps.bootID, started: time.Now(), machine: machine{deps.root},
		topics: newTopics(c.MQTT.TopicPrefix, c.Node),
		loops:  new(systemd.Health), tally: new(tally),
		ready: make(chan struct{}),
	}, nil
}

func newToggles(c *Config) map[string]*toggle {
	all := make(map[string]*toggle)
	for name, cam := range c.Cameras {
		all[name] = newToggle(cam.Enabled, "by configuration")
	}
	return all
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
	if d.openSource == nil {
		d.openSource = openSource
	}
	if d.bootID == "" {
		d.bootID = newBootID()
	}
	if d.synced == nil {
		d.synced = clockSynced
	}
	if d.now == nil {
		d.now = time.Now
	}
	if d.root == nil {
		d.root = os.DirFS("/")
	}
	return d
}

func newBootID() string {
	var b [4]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// Info describes the model in use. It may be called once Ready is closed, and by
// Deps.Show.
func (d *Daemon) Info() engine.Info { return d.model.info }

// Ready is closed once the daemon is ready: the model is loaded and has looked
// at a drawn frame, sources and broker are started.
func (d *Daemon) Ready() <-chan struct{} { return d.ready }
