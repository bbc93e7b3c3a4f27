package daemon

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"dynvit/messages"
	"dynvit/mqtt"
	"dynvit/systemd"
)

// Health is the daemon's condition, as /healthz and /readyz show it.
type Health struct {
	Alive   bool                    `json:"alive"` // no loop is stuck in its own work
	Ready   bool                    `json:"ready"` // started, and not stopping
	Reasons []string                `json:"reasons,omitempty"`
	Broker  BrokerHealth            `json:"broker"`
	Outbox  OutboxHealth            `json:"outbox"`
	Cameras map[string]CameraStatus `json:"cameras"`
}

// BrokerHealth is the condition of the connection to the broker. A broker that
// is away does not make the daemon unhealthy.
type BrokerHealth struct {
	URL       string    `json:"url"`
	Connected bool      `json:"connected"`
	Since     time.Time `json:"since"`
	Error     string    `json:"error,omitempty"` // why it is not connected
}

// OutboxHealth is the condition of what waits for the broker. A disk that fails
// does not make the daemon unhealthy either.
type OutboxHealth struct {
	Events   int    `json:"events"`
	Unsynced int    `json:"unsynced"` // of them, not on the disk for good
	OnDisk   bool   `json:"on_disk"`
	Error    string `json:"error,omitempty"` // why they are not kept on disk
}

// condition knows all that the health is made of.
type condition struct {
	loops  *systemd.Health
	outbox func() mqtt.Status
	roster *roster
	ready  atomic.Bool            // started, and not stopping
	reload atomic.Pointer[string] // why the last reload changed nothing; nil: it did, or there was none
}

// health gathers what holds now.
func (c *condition) health() Health {
	h := Health{Alive: true, Ready: c.ready.Load(), Cameras: map[string]CameraStatus{}}
	if !h.Ready {
		h.Reasons = append(h.Reasons, "starting or stopping")
	}
	if worst, stuck := c.loops.Stuck(time.Now()); stuck {
		h.Alive = false
		h.Reasons = append(h.Reasons, fmt.Sprintf("%s is stuck: %s", worst.Name, worst.What))
	}
	s := c.outbox()
	h.Broker = BrokerHealth{URL: s.Broker, Connected: s.Connected, Since: s.Since}
	if !s.Connected {
		h.Broker.Error = s.LastError
	}
	h.Outbox = OutboxHealth{Events: s.Events, Unsynced: s.Unsynced, OnDisk: s.OnDisk, Error: s.DiskError}
	for _, f := range c.roster.all() {
		h.Cameras[f.name] = f.status.get()
	}
	return h
}

// line is the health in words, for systemctl status.
func (c *condition) line() string {
	h := c.health()
	online := 0
	var parts []string
	all := c.roster.all()
	for _, f := range all {
		s := h.Cameras[f.name]
		if s.Word == messages.CameraOnline {
			online++
			continue
		}
		parts = append(parts, join(f.name+" "+s.Word, s.Reason))
	}
	broker := "broker connected"
	if !h.Broker.Connected {
		broker = join("broker away", h.Broker.Error)
	}
	if why := c.reload.Load(); why != nil {
		parts = append(parts, join("configuration not reloaded", *why))
	}
	parts = append([]string{fmt.Sprintf("%d of %d cameras online", online, len(all)), broker}, parts...)
	return strings.Join(append(h.Reasons, parts...), "; ")
}

func join(what, why string) string {
	if why == "" {
		return what
	}
	return what + " (" + why + ")"
}
