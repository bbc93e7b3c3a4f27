package daemon

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"dynvit/camera"
	"dynvit/config"
	"dynvit/enabled"
	"dynvit/lineup"
)

// afterRemoval is how long Home Assistant has to forget entities before the topics
// that they read are emptied, at which it would log a line each.
const afterRemoval = 2 * time.Second

// reload reads the configuration anew and takes up what has changed. Where
// anything is wrong with it all stays as it was.
func (d *Daemon) reload(ctx context.Context, s *service) {
	if d.deps.Load == nil {
		s.log.Warn("SIGHUP ignored: there is no configuration file to read anew")
		return
	}
	s.reporting.told(s.reporting.notify.Reloading())
	s.reloads++
	log := s.log.With("reload", s.reloads) // lines that are equal would be folded
	err := d.readAnew(ctx, s, log)
	switch {
	case err == nil:
		s.condition.reload.Store(nil)
	case !errors.Is(err, errStopping):
		why := err.Error()
		s.condition.reload.Store(&why)
		log.Error("configuration not reloaded, all stays as it was", "err", err)
	}
	s.reporting.told(s.reporting.notify.Ready(s.condition.line()))
}

func (d *Daemon) readAnew(ctx context.Context, s *service, log *slog.Logger) error {
	asked, err := d.deps.Load()
	if err != nil {
		return err
	}
	changes, err := d.adopt(ctx, s, asked)
	if err != nil {
		return err
	}
	for _, w := range asked.Warnings() {
		s.log.Warn(w)
	}
	tellReload(log, changes)
	return nil
}

// adopt puts a configuration in force, with the heads that the page has put in place of
// its models.
func (d *Daemon) adopt(ctx context.Context, s *service, asked config.Config) (*config.Changes, error) {
	wanted, settle := d.taught.Apply(asked, d.opens)
	r := renewal{before: d.config}
	r.now, r.changes = d.config.Reload(&wanted)
	open := s.models.Load()
	var err error
	if r.password, err = check(&r.now, &d.deps); err == nil {
		r.lineup, err = open.Renew(&r.now, d.source())
	}
	if err != nil {
		return nil, wanted.Place(err)
	}
	if err = d.prepare(ctx, s, &r, open); err != nil {
		r.lineup.CloseBut(open) // nothing was run on it
		return nil, wanted.Place(err)
	}
	if err := d.renew(ctx, s, &r); err != nil {
		return nil, err
	}
	d.configured.Store(&asked)
	if settle() {
		s.reporting.out.changed()
	}
	return &r.changes, nil
}

// renewing waits for the configuration to be taken up anew, with other heads in force.
type renewing struct{ done chan error } // holds one

// renewTaught has the goroutine of Run take up the configuration anew, and waits for it.
func (s *service) renewTaught(ctx context.Context) error {
	r := renewing{make(chan error, 1)}
	select {
	case s.renewals <- r:
		return <-r.done
	case <-s.inference.orders.ended:
		return errStopping
	case <-ctx.Done():
		return errStopping
	}
}

// prepare finds what else is wrong with a configuration whose models are open, and has
// those that were not before show that they work.
func (d *Daemon) prepare(ctx context.Context, s *service, r *renewal, open *lineup.Lineup) (err error) {
	if r.asked, err = r.lineup.Ask(&r.now); err != nil {
		return err
	}
	if err = r.checkConnection(s, d.password); err != nil {
		return err
	}
	for _, p := range r.lineup.Passes {
		if !slices.Contains(open.Passes, p) && d.deps.State != "" && r.now.Latency.Keep.IsAuto() {
			d.takeUp(p, s.calibration.tables, r.now.Latency.Budget/time.Duration(share(r.asked, p))) // else it is measured
		}
	}
	return r.lineup.Warm(ctx, r.asked, open)
}

// renewal is another configuration on its way into force.
type renewal struct {
	before, now config.Config
	changes     config.Changes
	lineup      *lineup.Lineup
	lacking     []*lineup.Pass // of it, that are not calibrated
	password    string
	asked, was  lineup.Asked
}

// checkConnection finds what a client or the embedded broker would not take up;
// password is the one in force.
func (r *renewal) checkConnection(s *service, password string) error {
	if s.connection.embedded != nil && r.password != password {
		return config.Invalid("mqtt.password_file", "another password at the embedded broker needs a restart")
	}
	if err := s.connection.by(&r.now.MQTT, r.password, s.inbox).Check(); err != nil {
		return config.Invalid("mqtt.broker", "%w", err)
	}
	return nil
}

// renew puts a renewal, in which nothing is wrong, in force.
func (d *Daemon) renew(ctx context.Context, s *service, r *renewal) error {
	r.was = s.asked
	d.config, s.asked = r.now, r.asked
	before := s.models.Load()
	s.models.Store(r.lineup)
	if err := s.renewFeeds(ctx, r); err != nil {
		return err
	}
	s.closeUnused(before)
	if !slices.Equal(before.Models, r.lineup.Models) {
		s.inference.changed()
		s.log.Info("models changed", "models", r.lineup.Names(), "reload", s.reloads)
	}
	d.setLevel(r)
	s.renewReaders(r)
	s.follow(ctx, r)
	s.commands.allowed.Store(r.now.MQTT.Commands)
	s.inbox.listen(d.discovery())
	d.password = r.password
	s.connection.change(&r.now.MQTT, r.password, s.inbox)
	s.stand()
	s.reporting.out.changed()
	return nil
}

// closeUnused closes the passes that no model needs any more, at the next reload where a
// calibration may still use them.
func (s *service) closeUnused(before *lineup.Lineup) {
	now := s.models.Load()
	for _, p := range before.Passes {
		if !slices.Contains(now.Passes, p) {
			s.unused = append(s.unused, p)
		}
	}
	if !s.calibration.tryBegin() {
		return
	}
	defer s.calibration.end()
	for _, p := range s.unused {
		if err := p.Close(); err != nil {
			s.log.Warn("model not closed", "model", p.Opened.Model, "err", err)
		}
	}
	s.unused = nil
}

func (d *Daemon) setLevel(r *renewal) {
	var level slog.Level
	if d.deps.Level != nil && level.UnmarshalText([]byte(r.now.Log.Level)) == nil { // checked
		d.deps.Level.Set(level)
	}
}

// renewFeeds has the inference go by the new configuration from the next frame on.
func (s *service) renewFeeds(ctx context.Context, r *renewal) error {
	return s.inference.orders.do(ctx, "reload", func() error {
		s.tuners.take(r.asked)
		var stay feeds
		for _, f := range s.cameras.roster.all() {
			c, wanted := r.now.Cameras[f.name]
			if !wanted {
				f.leave()
				continue
			}
			stay = append(stay, f)
			if r.changed(f.name) || !sameModels(r.was.Cameras[f.name], r.asked.Cameras[f.name]) {
				views := r.asked.Cameras[f.name]
				f.adopt(c, views, s.tuners.of(lineup.Passes(views), s.tuners.shown()), s.inference.out.topics)
			}
		}
		s.cameras.roster.set(stay)
		r.lacking = s.calibration.lacking(r.lineup.Passes)
		if err := s.tuners.renew(r); err != nil {
			s.log.Warn("the budget stays", "why", err)
		}
		return nil
	})
}

// sameModels reports whether a camera's are, and none was taught again.
func sameModels(was, now []lineup.View) bool {
	return slices.EqualFunc(was, now, func(a, b lineup.View) bool { return a.Model == b.Model })
}

// changed reports whether a key of a camera has changed.
func (r *renewal) changed(camera string) bool {
	for _, key := range r.changes.Taken {
		if strings.HasPrefix(key, "cameras."+camera+".") {
			return true
		}
	}
	return false
}

// renewReaders ends, begins and opens anew what reads the cameras.
func (s *service) renewReaders(r *renewal) {
	var gone []<-chan struct{}
	for name := range r.before.Cameras {
		if _, stays := r.now.Cameras[name]; !stays {
			gone = append(gone, s.cameras.stop(name))
		}
	}
	for _, done := range gone {
		within(closeLimit, done) // what is added may want the same device
	}
	for _, name := range r.now.CameraNames() {
		c := r.now.Cameras[name]
		was, had := r.before.Cameras[name]
		if !had {
			s.cameras.begin(s.cameras.add(name, c, r.asked.Cameras[name]))
			continue
		}
		reader := s.cameras.readers[name]
		if c.Enabled != was.Enabled {
			reader.enabled.Set(c.Enabled, enabled.ByConfiguration)
		}
		if c.Source != was.Source || r.options(r.asked, &c, name) != r.options(r.was, &was, name) {
			reader.enabled.Renew()
		}
	}
}

// options are how a camera is opened by what is asked of its models.
func (r *renewal) options(a lineup.Asked, c *config.Camera, name string) camera.Options {
	return cameraOptions(lineup.ShortSide(lineup.Passes(a.Cameras[name])), c)
}

// renew takes up budget and keep ratio where they have changed; what commands have
// set of them stays else. The inference does it.
func (t *tuners) renew(r *renewal) error {
	now, before := r.now.Latency, r.before.Latency
	if now.Percentile != before.Percentile {
		t.show(func(f *inForce) { f.percentile = now.Percentile })
	}
	if now.Budget != before.Budget {
		if err := t.setBudget(now.Budget); err != nil {
			return err
		}
	}
	if !now.Keep.IsAuto() && now.Keep.String() != before.Keep.String() {
		t.fixAsked()
	}
	return nil
}

// follow lets the budget decide again where the configuration says so now, which
// may take a calibration.
func (s *service) follow(ctx context.Context, r *renewal) {
	now, before := r.now.Latency, r.before.Latency
	anew := now.Keep.String() != before.Keep.String() || now.Percentile != before.Percentile && s.tuners.shown().auto
	switch {
	case now.Keep.IsAuto() && anew:
	case s.tuners.shown().auto && len(r.lacking) > 0 && !s.calibration.tables.off():
		s.calibrating.Go(func() { s.calibration.measure(ctx, r.lacking) }) // logged
		return
	default:
		return
	}
	s.calibrating.Go(func() {
		if err := s.calibration.follow(ctx); err != nil && !errors.Is(err, errStopping) {
			s.log.Warn("keep does not follow the budget", "why", err)
		}
	})
}

// tellReload logs what has changed.
func tellReload(log *slog.Logger, c *config.Changes) {
	if c.None() {
		log.Info("configuration read anew: nothing has changed")
		return
	}
	if len(c.Taken) > 0 {
		log.Info("configuration reloaded", "changed", strings.Join(c.Taken, " "))
	}
	if len(c.Restart) > 0 {
		log.Warn("changed in the configuration, and held from the next start on", "keys", strings.Join(c.Restart, " "))
	}
}
