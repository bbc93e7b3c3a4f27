package daemon

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"dynvit/config"
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
	wanted, err := d.deps.Load()
	if err != nil {
		return err
	}
	r := renewal{before: d.config}
	r.now, r.changes = d.config.Reload(&wanted)
	if r.password, err = check(&r.now, &d.deps); err == nil {
		r.asked, err = s.model.ask(&r.now)
	}
	if err == nil {
		err = r.checkConnection(s, d.password)
	}
	if err != nil {
		return wanted.Place(err)
	}
	for _, w := range wanted.Warnings() {
		s.log.Warn(w)
	}
	if err := d.renew(ctx, s, &r); err != nil {
		return err
	}
	tellReload(log, &r.changes)
	return nil
}

// renewal is another configuration on its way into force.
type renewal struct {
	before, now config.Config
	changes     config.Changes
	password    string
	asked       asked
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
	d.config = r.now
	if err := s.renewFeeds(ctx, r); err != nil {
		return err
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

func (d *Daemon) setLevel(r *renewal) {
	var level slog.Level
	if d.deps.Level != nil && level.UnmarshalText([]byte(r.now.Log.Level)) == nil { // checked
		d.deps.Level.Set(level)
	}
}

// renewFeeds has the inference go by the new configuration from the next frame on.
func (s *service) renewFeeds(ctx context.Context, r *renewal) error {
	return s.inference.orders.do(ctx, "reload", func() error {
		var stay feeds
		for _, f := range s.cameras.roster.all() {
			c, wanted := r.now.Cameras[f.name]
			if !wanted {
				f.leave()
				continue
			}
			stay = append(stay, f)
			if r.changed(f.name) {
				f.adopt(c, r.asked.wanted[f.name])
			}
		}
		s.cameras.roster.set(stay)
		if err := s.tuner.renew(r); err != nil {
			s.log.Warn("the budget stays", "why", err)
		}
		return nil
	})
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
			s.cameras.begin(s.cameras.add(name, c, r.asked.wanted[name]))
			continue
		}
		reader := s.cameras.readers[name]
		if c.Enabled != was.Enabled {
			reader.enabled.set(c.Enabled, byConfiguration)
		}
		if c.Source != was.Source || cameraOptions(s.model, &c) != cameraOptions(s.model, &was) {
			reader.enabled.renew()
		}
	}
}

// renew takes up budget and keep ratio where they have changed; what commands have
// set of them stays else. The inference does it.
func (t *tuner) renew(r *renewal) error {
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
		t.fix(r.asked.plan, r.asked.ratio)
	}
	return nil
}

// follow lets the budget decide again where the configuration says so now, which
// may take a calibration.
func (s *service) follow(ctx context.Context, r *renewal) {
	now, before := r.now.Latency, r.before.Latency
	anew := now.Keep.String() != before.Keep.String() || now.Percentile != before.Percentile && s.tuner.shown().auto
	if !now.Keep.IsAuto() || !anew {
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
