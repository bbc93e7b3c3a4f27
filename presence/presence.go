// Package presence keeps the node's retained status true while the daemon runs: the
// will of an earlier connection that the broker gave up late, or a second program of
// the same node that ends, write offline or stopped over the daemon's online.
package presence

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"dynvit/backoff"
	"dynvit/messages"
	"dynvit/mqtt"
)

// quarrel is how long nobody else may write the node's status for it to count as
// the first time again.
const quarrel = time.Minute

// Presence hears who writes the node's status.
type Presence struct {
	topic   string
	foreign chan string // holds one: the word that somebody else wrote
	log     *slog.Logger
	pauses  backoff.Backoff
}

// New keeps the status on a topic.
func New(topic string, log *slog.Logger) *Presence {
	return &Presence{
		topic: topic, foreign: make(chan string, 1), log: log,
		// Two programs that each hold on to their own word must not fill the broker.
		pauses: backoff.Backoff{First: time.Second, Max: 10 * time.Second, Least: 0.5},
	}
}

// Topic is the status's.
func (p *Presence) Topic() string { return p.topic }

// Hear is called by the connection's reader, which must not wait. What was
// retained is from before the connection, whose birth is newer.
func (p *Presence) Hear(m mqtt.Message) {
	if m.Retain || string(m.Payload) == messages.NodeOnline {
		return
	}
	select {
	case p.foreign <- string(m.Payload):
	default: // one is enough
	}
}

// Run has online said again, soon but not often, until ctx ends.
func (p *Presence) Run(ctx context.Context, online func()) {
	times, last := 0, time.Time{}
	for {
		select {
		case <-ctx.Done():
			return
		case word := <-p.foreign:
			if time.Since(last) > quarrel {
				times = 0
				p.pauses.Reset()
			}
			times, last = times+1, time.Now()
			p.tell(word, times)
			if !p.pause(ctx) {
				return
			}
			online()
		}
	}
}

// pause waits, and forgets what came meanwhile: it is answered together. False:
// ctx has ended.
func (p *Presence) pause(ctx context.Context) bool {
	backoff.Wait(ctx, p.pauses.Next())
	select {
	case <-p.foreign:
	default:
	}
	return ctx.Err() == nil
}

// tell names the second one of a quarrel for what it is.
func (p *Presence) tell(word string, times int) {
	if times == 1 {
		p.log.Info("the node's status was written by another: online again", "topic", p.topic, "was", fmt.Sprintf("%.60q", word))
		return
	}
	p.log.Warn("the node's status is written by another again and again: does a second program run as this node?",
		"topic", p.topic, "was", fmt.Sprintf("%.60q", word))
}
