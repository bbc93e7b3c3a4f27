package daemon

import (
	"context"
	"errors"
	"net"

	"dynvit/presence"
)

// errStuck says that the inference did not come back from a frame; it still uses
// the model.
var errStuck = errors.New("inference is stuck")

// Run starts everything, works until ctx ends or all sources have ended
// (Deps.NoFile), and stops everything: within a second and the frame in hand,
// which is still published. That ctx ended is no error, whenever it does. Run is
// called once.
func (d *Daemon) Run(ctx context.Context) error {
	defer d.endListeners()
	from, err := d.startUp(ctx)
	if err != nil {
		return d.config.Place(err)
	}
	if from == nil {
		d.log.Info("told to stop while starting")
		return nil
	}
	err = d.runModel(ctx, from)
	if errors.Is(err, errStuck) {
		return err
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = nil
	}
	return errors.Join(d.config.Place(err), from.model.Close())
}

// beginning is a model that has shown that it works, and how it will be run.
type beginning struct {
	model   *model
	tuner   *tuner
	measure bool // there is no calibration to follow yet
}

// startUp makes the model ready; nil where ctx ended meanwhile. Loading and the
// first inference take long on a slow board and cannot be cut short, so they are
// left behind then: a program that is told to stop ends at once.
func (d *Daemon) startUp(ctx context.Context) (*beginning, error) {
	type outcome struct {
		from *beginning
		err  error
	}
	started := make(chan outcome, 1)
	go func() {
		from, err := d.loadAndWarm(ctx)
		started <- outcome{from, err}
	}()
	select {
	case o := <-started:
		if ctx.Err() != nil && errors.Is(o.err, ctx.Err()) {
			return nil, nil
		}
		return o.from, o.err
	case <-ctx.Done():
		go func() {
			if o := <-started; o.from != nil {
				o.from.model.Close() // nobody waits to hear how
			}
		}()
		return nil, nil
	}
}

// loadAndWarm opens the model that an earlier calibration chose, finds sources
// that are plainly wrong, and looks at a drawn frame.
func (d *Daemon) loadAndWarm(ctx context.Context) (*beginning, error) {
	m, err := openModel(&d.config, &d.deps)
	if err != nil {
		return nil, err
	}
	from := new(beginning)
	from.model, from.tuner, from.measure = d.recall(m)
	if err = d.checkSources(from.model); err == nil {
		err = from.model.warm(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, from.model.Close())
	}
	return from, nil
}

func (d *Daemon) endListeners() {
	for _, l := range d.deps.Listeners {
		l.end()
	}
}

func (d *Daemon) runModel(ctx context.Context, from *beginning) error {
	// The port comes before the broker: a daemon started twice must not speak up
	// in the first one's topics before it fails.
	port, err := d.listen()
	if err != nil {
		return err
	}
	in := newInbox(d.topics, d.discovery(), presence.New(d.topics.Status, d.log))
	c, err := d.connect(in, birth(d.topics, d.info(from.model.info), d.firstSettings(from.tuner)))
	if err != nil {
		if port != nil {
			port.Close() // nothing was served
		}
		return err
	}
	s := d.build(from.model, from.tuner, c, in)
	d.deps.started(s)
	return s.run(ctx, port, from.measure)
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
		if !spec.Fixed() {
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
