package daemon

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net"
	"time"

	"dynvit/camera"
	"dynvit/config"
	"dynvit/preprocess"
)

// errStuck says that the inference did not come back from a frame; it still uses
// the model.
var errStuck = errors.New("inference is stuck")

// Run starts everything, works until ctx ends or all sources have ended
// (Deps.NoFile), and stops everything: within a second and the frame in hand,
// which is still published. That ctx ended is no error. Run is called once.
func (d *Daemon) Run(ctx context.Context) error {
	defer d.endListeners()
	m, err := openModel(&d.config, &d.deps)
	if err != nil {
		return d.config.Place(err)
	}
	m, tuner, measure := d.recall(m)
	err = d.runModel(ctx, m, tuner, measure)
	if errors.Is(err, errStuck) {
		return err
	}
	if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
		err = nil
	}
	return errors.Join(d.config.Place(err), m.Close())
}

func (d *Daemon) endListeners() {
	for _, l := range d.deps.Listeners {
		l.end()
	}
}

func (d *Daemon) runModel(ctx context.Context, m *model, t *tuner, measure bool) error {
	if err := d.checkSources(m); err != nil {
		return err
	}
	if err := m.warm(ctx); err != nil {
		return err
	}
	// The port comes before the broker: a daemon started twice must not speak up
	// in the first one's topics before it fails.
	port, err := d.listen()
	if err != nil {
		return err
	}
	in := newInbox(d.topics, d.discovery())
	c, err := d.connect(in, birth(d.topics, d.info(m.info), d.settings(t)))
	if err != nil {
		if port != nil {
			port.Close() // nothing was served
		}
		return err
	}
	s := d.build(m, t, c, in)
	d.deps.started(s)
	err = s.serve(ctx, port, measure)
	return errors.Join(err, d.disconnect(c))
}

// discovery is Home Assistant's prefix, "" where it is of no interest.
func (d *Daemon) discovery() string {
	if !d.config.HomeAssistant.Enabled {
		return ""
	}
	return d.config.HomeAssistant.DiscoveryPrefix
}

// checkSources finds what is plainly missing where the sources were typed by
// somebody who waits for an answer. A camera may be plugged in later.
func (d *Daemon) checkSources(m *model) error {
	if !d.deps.NoFile {
		return nil
	}
	for _, name := range d.config.CameraNames() {
		c := d.config.Cameras[name]
		spec, err := d.deps.Schemes.Parse(c.Source)
		if err != nil {
			return err
		}
		if s := spec.Scheme(); s != "file" && s != "exec" {
			continue
		}
		source, err := d.openCamera(m, c, nil)
		if err != nil {
			return err
		}
		source.Close() // nothing was read
	}
	return nil
}

func (d *Daemon) openCamera(m *model, c config.Camera, log *slog.Logger) (camera.Source, error) {
	return d.deps.openSource(c.Source, camera.Options{
		ShortSide: shortSide(m.info.ShortSide, c.Region),
		// The status says stalled before the source gives up.
		Stall: c.Timeout + time.Second,
		Log:   log,
	})
}

// shortSide is what a whole picture's short side must be for the region's to be
// at least side.
func shortSide(side int, r preprocess.Region) int {
	return int(math.Ceil(float64(side) / min(r.X1-r.X0, r.Y1-r.Y0)))
}

// listen takes the local server's port; nil where none is wanted.
func (d *Daemon) listen() (net.Listener, error) {
	if d.config.HTTP.Listen == "" {
		return nil, nil
	}
	address, err := d.config.HTTP.Address()
	if err != nil {
		return nil, err
	}
	return listenHTTP(address)
}
