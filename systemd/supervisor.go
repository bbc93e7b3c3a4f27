package systemd

import (
	"context"
	"log/slog"
	"time"
)

// unwatched is how often loops are looked at where no watchdog asks for it:
// a stuck one is still worth a log line.
const unwatched = 10 * time.Second

// Supervisor feeds the watchdog while every loop is alive.
type Supervisor struct {
	Notifier *Notifier
	Health   *Health
	Log      *slog.Logger // nil: no log

	stuck  bool // the last look found a stuck loop
	failed bool // the last feeding failed
}

// Run looks at the loops now and then twice in each watchdog interval, until
// ctx ends. While a loop is stuck it does not feed the watchdog: the manager
// kills the daemon when the interval is over, unless the loop moves again. It
// logs once when it stops feeding and once when it goes on.
func (s *Supervisor) Run(ctx context.Context) {
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	period := s.Notifier.WatchdogInterval() / 2
	if period == 0 {
		period = unwatched
	}
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		s.look()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (s *Supervisor) look() {
	worst, stuck := s.Health.Stuck(time.Now())
	switch {
	case stuck && !s.stuck:
		s.Log.Error("loop is stuck, the watchdog is no longer fed",
			"loop", worst.Name, "doing", worst.What, "for", worst.For.Round(time.Millisecond))
	case !stuck && s.stuck:
		s.Log.Warn("no loop is stuck any more, the watchdog is fed again")
	}
	s.stuck = stuck
	if !stuck {
		s.feed()
	}
}

func (s *Supervisor) feed() {
	if s.Notifier.WatchdogInterval() == 0 {
		return
	}
	err := s.Notifier.Watchdog()
	if err != nil && !s.failed {
		s.Log.Error("cannot feed the watchdog", "err", err)
	}
	s.failed = err != nil
}
