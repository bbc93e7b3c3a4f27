package daemon

import (
	"context"
	"errors"
	"net"
	"sync/atomic"

	"dynvit/lineup"
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
	return errors.Join(d.config.Place(err), from.models.Load().Close())
}

// beginning is models that have shown that they work, and how they will be run.
type beginning struct {
	models  *atomic.Pointer[lineup.Lineup] // a reload changes it
	asked   lineup.Asked
	tuners  *tuners
	measure bool // there are calibrations to be made yet
}

// startUp makes the models ready; nil where ctx ended meanwhile. Loading and the
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
				o.from.models.Load().Close() // nobody waits to hear how
			}
		}()
		return nil, nil
	}
}

// loadAndWarm opens the models as earlier calibrations chose, finds sources that are
// plainly wrong, and looks at a drawn frame.
func (d *Daemon) loadAndWarm(ctx context.Context) (*beginning, error) {
	l, err := lineup.Open(&d.config, d.source())
	if err != nil {
		return nil, err
	}
	from := &beginning{models: new(atomic.Pointer[lineup.Lineup])}
	from.models.Store(l)
	if from.asked, err = l.Ask(&d.config); err == nil {
		d.recall(from)
		err = d.checkSources(from.asked)
	}
	if err == nil {
		err = l.Warm(ctx, from.asked, new(lineup.Lineup))
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return from, nil
}

// source is where models come from.
func (d *Daemon) source() lineup.Source {
	return lineup.Source{Open: d.deps.Open, Inspect: d.deps.Inspect, Store: d.deps.Store}
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
	c, err := d.connect(in, birth(d.topics, d.info(from.models.Load()), d.firstSettings(from.tuners, from.asked)))
	if err != nil {
		if port != nil {
			port.Close() // nothing was served
		}
		return err
	}
	s := d.build(from, c, in)
	d.deps.started(s)
	return s.run(ctx, port, from.measure)
}

// checkSources finds what is plainly missing where the sources were typed by
// somebody who waits for an answer. A camera may be plugged in later.
func (d *Daemon) checkSources(a lineup.Asked) error {
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
		source, err := d.openCamera(lineup.ShortSide(lineup.Passes(a.Cameras[name])), c, nil)
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
