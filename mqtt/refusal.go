package mqtt

import "time"

const (
	refusalFirst = time.Minute // what a broker refuses is not tried for so long,
	refusalMax   = time.Hour   // then for twice as long, up to this

	// sizeUnlikely is a payload in bytes that no broker's limit is below: it
	// refuses the topic.
	sizeUnlikely = 4 << 10
)

// refusal is what a broker does not take, and when to try it again.
type refusal struct {
	until time.Time
	pause time.Duration
}

func (r *refusal) again(now time.Time) {
	r.pause = min(max(2*r.pause, refusalFirst), refusalMax)
	r.until = now.Add(r.pause)
}

// refusedTopic is a topic of which a message was set aside. An event may have been
// an odd one; after the second in a row, or a state, the topic is the reason, or
// the size.
type refusedTopic struct {
	refusal
	strikes int
	bytes   int // larger payloads are not taken either; 0: none is
}

func (r *refusedTopic) blocks(bytes int, now time.Time) bool {
	return r != nil && bytes >= r.bytes && now.Before(r.until)
}

// setAside gives up a message that is not in flight any more, at which the broker
// closed the connection. It reports whether it is the first on its topic.
func (o *outbox) setAside(m suspect) (first bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	least := m.bytes / 2
	if m.bytes <= sizeUnlikely {
		least = 0
	}
	first = o.strike(m, least)
	if e := o.events.head; e != nil && m.seq > 0 && e.seq == m.seq {
		o.release(o.events.pop())
		o.tellPersister()
	}
	return first
}

// reject gives up e, which next gave out and the broker does not take.
func (o *outbox) reject(e *entry, m suspect, least int) (first bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	first = o.strike(m, least)
	if o.land(e) {
		e.withheld = true // a newer value is next's to look at
	}
	return first
}

// strike counts a message that the broker does not take; least is the size of the
// smallest payload that it would not take either. It needs o.mu.
func (o *outbox) strike(m suspect, least int) (first bool) {
	r := o.refused[m.topic]
	if first = r == nil; first {
		r = &refusedTopic{}
		o.refused[m.topic] = r
	}
	r.bytes = least
	if r.strikes++; r.strikes > 1 || m.seq == 0 {
		r.again(time.Now())
		time.AfterFunc(r.pause, func() { signal(o.news) })
	}
	o.dropped.Rejected++
	return first
}

// retry queues the states that were withheld and whose time has come. It needs
// o.mu.
func (o *outbox) retry(now time.Time) {
	for topic, r := range o.refused {
		if e := o.states[topic]; e != nil && e.withheld && !r.blocks(len(e.payload), now) {
			e.withheld = false
			o.setDirty(e)
		}
	}
}

// retryAll has all that was refused tried again.
func (o *outbox) retryAll() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range o.refused {
		r.until = time.Time{}
	}
}

// wasRefused reports whether a message of a topic was set aside, and none taken
// since.
func (o *outbox) wasRefused(topic string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.refused[topic] != nil
}

// takes notes that the broker took e. It needs o.mu.
func (o *outbox) takes(e *entry) {
	if r := o.refused[e.topic]; r != nil && len(e.payload) >= r.bytes {
		delete(o.refused, e.topic)
	}
}

// withhold keeps a message that the broker would close at from being sent: a
// state waits for retry, others are dropped. It needs o.mu.
func (o *outbox) withhold(e *entry) {
	if e.retain {
		e.dirty, e.withheld = false, true
		return
	}
	o.dropped.Rejected++
	o.release(e)
	o.tellPersister()
}
