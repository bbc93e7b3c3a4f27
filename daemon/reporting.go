package daemon

import (
	"context"
	"log/slog"
	"time"

	"dynvit/systemd"
)

const (
	statusEvery = time.Second
	statsEvery  = 30 * time.Second
)

// reporting tells the service manager how the daemon is, and the broker its
// stats.
type reporting struct {
	notify     *systemd.Notifier
	condition  *condition
	statistics *statistics
	out        *announcer
	log        *slog.Logger
}

// run reports until ctx ends.
func (r *reporting) run(ctx context.Context) {
	tick := time.NewTicker(statusEvery)
	defer tick.Stop()
	stats := time.NewTicker(statsEvery)
	defer stats.Stop()
	shown := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			shown = r.tell(shown)
		case <-stats.C:
			r.stats()
		}
	}
}

// stats ends a period of stats; periods are counted from the last.
func (r *reporting) stats() { r.out.stats(r.statistics.take()) }

// tell notifies systemd of the status line where it differs from what is shown.
func (r *reporting) tell(shown string) string {
	line := r.condition.line()
	if line != shown {
		r.told(r.notify.Status(line))
	}
	return line
}

// told logs a notification that did not reach the service manager.
func (r *reporting) told(err error) {
	if err != nil {
		r.log.Warn("service manager not told", "err", err)
	}
}
