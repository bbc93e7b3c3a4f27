package daemon

import (
	"context"
	"strings"
	"time"

	"dynvit/mqtt"
)

const (
	// inboxSize is how many messages may wait for the one before them; a command
	// waits for a frame, a calibration takes seconds.
	inboxSize = 32
	// afterBirth is how long Home Assistant takes to subscribe after it says that
	// it is online; what was published before is lost (interface, stats).
	afterBirth = 2 * time.Second
)

// inbox is what other programs say to the daemon over MQTT.
type inbox struct {
	commands string // what command topics begin with
	birth    string // topic of Home Assistant's status, "" where it is of no interest
	waiting  chan mqtt.Message
}

func (d *Daemon) newInbox() *inbox {
	b := &inbox{commands: d.topics.root + "/cmd/", waiting: make(chan mqtt.Message, inboxSize)}
	if d.config.HomeAssistant.Enabled {
		b.birth = d.config.HomeAssistant.DiscoveryPrefix + "/status"
	}
	return b
}

// filters are the topics to subscribe to: commands, but not their results.
func (b *inbox) filters() []string {
	list := []string{b.commands + "+", b.commands + "camera/+/enabled"}
	if b.birth != "" {
		list = append(list, b.birth)
	}
	return list
}

// put is called by the connection's reader, which must not wait: what finds no
// room is dropped.
func (b *inbox) put(m mqtt.Message) {
	select {
	case b.waiting <- m:
	default:
	}
}

// receive carries out what comes in, one after another, until ctx ends.
func (d *Daemon) receive(ctx context.Context) {
	soon := time.NewTimer(0)
	<-soon.C
	defer soon.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-soon.C:
			d.publishStats()
		case m := <-d.inbox.waiting:
			if m.Topic == d.inbox.birth {
				if string(m.Payload) == "online" && !m.Retain {
					soon.Reset(afterBirth)
				}
				continue
			}
			d.obey(ctx, strings.TrimPrefix(m.Topic, d.inbox.commands), m.Payload, m.Retain)
		}
	}
}
