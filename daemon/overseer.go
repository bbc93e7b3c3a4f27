package daemon

import (
	"context"
	"time"

	"dynvit/mqtt"
)

const (
	statusEvery = time.Second
	statsEvery  = 30 * time.Second
)

// oversee tells systemd about changes of the daemon's condition and publishes
// stats, until ctx ends.
func (d *Daemon) oversee(ctx context.Context) {
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
			shown = d.tell(shown)
		case <-stats.C:
			d.publishStats()
		}
	}
}

// publishStats ends a period of stats; periods are counted from the last.
func (d *Daemon) publishStats() {
	d.statsMu.Lock()
	defer d.statsMu.Unlock()
	now := time.Now()
	period := now.Sub(d.lastStats)
	d.lastStats = now
	d.publish(mqtt.Message{Topic: d.topics.stats, Payload: encode(d.stats(period))})
}

// tell notifies systemd of the status line where it differs from what is shown.
func (d *Daemon) tell(shown string) string {
	line := d.statusLine()
	if line != shown {
		d.notified(d.deps.Notify.Status(line))
	}
	return line
}

// notified logs a notification that did not reach the service manager.
func (d *Daemon) notified(err error) {
	if err != nil {
		d.log.Warn("service manager not told", "err", err)
	}
}

func (d *Daemon) statusLine() string {
	h := d.condition()
	return h.line(d.config.CameraNames())
}

// publish hands a message that is not on the frame path to the outbox.
func (d *Daemon) publish(m mqtt.Message) {
	if err := d.client.Publish(m); err != nil {
		d.log.Debug("not published", "topic", m.Topic, "err", err)
	}
}
