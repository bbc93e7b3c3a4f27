package daemon

import (
	"context"
	"strings"
	"sync/atomic"
	"time"

	"dynvit/messages"
	"dynvit/mqtt"
	"dynvit/presence"
)

const (
	// inboxSize is how many messages may wait for the one before them; a command
	// waits for a frame, a calibration takes seconds.
	inboxSize = 32
	// afterBirth is how long Home Assistant takes to subscribe after it says that
	// it is online; what was published before is lost (docs/interface.md, stats).
	afterBirth = 2 * time.Second
)

// inbox is what other programs say to the daemon over MQTT.
type inbox struct {
	commands string                 // what command topics begin with
	birth    atomic.Pointer[string] // topic of Home Assistant's status, "" where it is of no interest
	presence *presence.Presence
	waiting  chan mqtt.Message
}

// newInbox takes commands below a node's topics, what others make of its status
// and, where discovery names its prefix, Home Assistant's birth.
func newInbox(t messages.Topics, discovery string, p *presence.Presence) *inbox {
	b := &inbox{commands: t.Commands, presence: p, waiting: make(chan mqtt.Message, inboxSize)}
	b.listen(discovery)
	return b
}

// listen takes the birth of a Home Assistant of that prefix, "": of none.
func (b *inbox) listen(discovery string) {
	birth := ""
	if discovery != "" {
		birth = discovery + "/status"
	}
	b.birth.Store(&birth)
}

// filters are the topics to subscribe to: commands, but not their results. Where
// neither commands nor Home Assistant's birth are wanted there is none, since some
// brokers allow none.
func (b *inbox) filters(commands bool) []string {
	birth := *b.birth.Load()
	if !commands && birth == "" {
		return nil
	}
	list := []string{b.commands + "+", b.commands + "camera/+/enabled", b.commands + "camera/+/capture", b.presence.Topic()}
	if birth != "" {
		list = append(list, birth)
	}
	return list
}

// put is called by the connection's reader, which must not wait: what finds no
// room is dropped.
func (b *inbox) put(m mqtt.Message) {
	if m.Topic == b.presence.Topic() {
		b.presence.Hear(m)
		return
	}
	select {
	case b.waiting <- m:
	default:
	}
}

// run hands over what comes in, one after another, until ctx ends.
func (b *inbox) run(ctx context.Context, c *commands, born func()) {
	soon := time.NewTimer(0)
	<-soon.C
	defer soon.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-soon.C:
			born()
		case m := <-b.waiting:
			switch {
			case m.Topic != *b.birth.Load():
				c.obey(ctx, strings.TrimPrefix(m.Topic, b.commands), m.Payload, m.Retain)
			case string(m.Payload) == "online" && !m.Retain:
				soon.Reset(afterBirth)
			}
		}
	}
}
