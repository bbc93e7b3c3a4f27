package mqtt

import (
	"math"
	"slices"
	"sync"
	"time"

	"dynvit/mqtt/spool"
)

const (
	maxFree        = 64      // entries kept for reuse
	maxFreePayload = 1 << 16 // bytes; larger buffers go back to the collector
)

// outbox holds what waits to be published and what the broker has not yet
// acknowledged, within bounds on both count and bytes. Publishers call put; the
// client's goroutine connected, next, ack and lost; the persister what stands in
// stored.go. A message leaves it by ack or by being dropped, and every drop is
// counted. It is safe for concurrent use.
type outbox struct {
	news  chan struct{} // holds one: there may be something to send
	chore chan struct{} // holds one: there may be something to store

	mu    sync.Mutex
	limit load
	ttl   time.Duration // of events; 0: for ever
	held  load          // everything: waiting, in flight, and the states

	states  map[string]*entry // by topic
	ordered []*entry          // the states in the order they were first put

	changed  lane      // states to publish
	bulk     lane      // states to publish when nothing else waits: those of QoS 0, pictures
	events   queue     // that wait
	volatile queue     // that wait
	list     eventlist // of all events, those in flight too
	disk     durability

	refused map[string]*refusedTopic // at which the broker closes the connection

	online    bool // a connection is open
	closed    bool // put takes nothing any more
	withheld  bool // events are not given out any more
	inFlight  int  // given out by next and not yet back
	published uint64
	dropped   Dropped

	puts    uint64 // gives entries their order
	free    *entry
	freeLen int
}

// newOutbox returns an outbox that takes so much; kept says that a persister
// puts its events on disk.
func newOutbox(messages, bytes int, ttl time.Duration, kept bool) *outbox {
	o := &outbox{
		news: make(chan struct{}, 1), chore: make(chan struct{}, 1),
		limit: load{messages, bytes}, ttl: ttl,
		states: make(map[string]*entry), refused: make(map[string]*refusedTopic),
		list: eventlist{next: 1, handed: 1, kept: kept},
	}
	o.disk = durability{loading: kept, loadBy: time.Now().Add(loadPatience), synced: 1}
	return o
}

// signal puts a value into a channel that holds one, unless one is pending, which
// will find what is new.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// put copies m into the outbox. It fails with ErrClosed, with ErrOffline for a
// volatile message while no connection is open, and with ErrFull or ErrTooLarge
// where making room does not help; the last three are counted.
func (o *outbox) put(m Message) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return ErrClosed
	}
	return o.take(m)
}

// take needs o.mu, as all that follows the public ones.
func (o *outbox) take(m Message) error {
	o.expire(time.Now())
	if err := o.insert(m); err != nil {
		return err
	}
	signal(o.news)
	o.tellPersister()
	return nil
}

func (o *outbox) insert(m Message) error {
	size := len(m.Topic) + len(m.Payload)
	if size > o.limit.bytes || o.list.kept && !m.Retain && m.QoS > 0 && size > spool.MaxMessage {
		o.dropped.Refused++
		return ErrTooLarge
	}
	switch {
	case m.Retain:
		return o.putState(m)
	case m.QoS == 0 && !o.online:
		o.dropped.Offline++
		return ErrOffline
	case m.QoS == 0:
		return o.add(&o.volatile, m, &o.volatile)
	}
	return o.add(&o.events, m, &o.volatile, &o.events)
}

func (o *outbox) putState(m Message) error {
	e, known := o.states[m.Topic]
	more := load{1, len(m.Topic) + len(m.Payload)}
	if known {
		more = load{0, len(m.Payload) - len(e.payload)}
	}
	if !o.makeRoom(more, &o.volatile, &o.events) {
		o.dropped.Refused++
		return ErrFull
	}
	if !known {
		e = &entry{topic: m.Topic, retain: true}
		o.states[m.Topic] = e
		o.ordered = append(o.ordered, e)
	}
	o.held.add(more.messages, more.bytes)
	e.qos = m.QoS
	o.setState(e, m.Payload)
	return nil
}

// setState gives e a new value without touching bytes that are in flight.
func (o *outbox) setState(e *entry, payload []byte) {
	if e.flying && !e.dirty {
		e.payload, e.spare = e.spare, e.payload
	}
	e.payload = append(e.payload[:0], payload...)
	o.setDirty(e)
}

// setDirty has e's value sent.
func (o *outbox) setDirty(e *entry) {
	if e.dirty {
		return
	}
	e.dirty = true
	if !e.flying { // else ack queues it: one value of a topic in flight at a time
		o.number(e)
		o.queueState(e)
	}
}

func (o *outbox) queueState(e *entry) {
	if e.qos == 0 {
		o.bulk.push(e)
	} else {
		o.changed.push(e)
	}
}

// add puts a message that is not a state at the end of q.
func (o *outbox) add(q *queue, m Message, victims ...*queue) error {
	more := load{1, len(m.Topic) + len(m.Payload)}
	if !o.makeRoom(more, victims...) {
		o.dropped.Refused++
		return ErrFull
	}
	e := o.newEntry()
	e.topic, e.qos = m.Topic, m.QoS
	e.payload = append(e.payload[:0], m.Payload...)
	o.held.add(more.messages, more.bytes)
	o.number(e)
	q.push(e)
	if e.qos > 0 {
		e.at = time.Now()
		o.list.add(e)
	}
	return nil
}

// expire drops the events that waited for longer than their time to live.
func (o *outbox) expire(now time.Time) {
	if o.ttl == 0 {
		return
	}
	for o.events.head != nil && now.Sub(o.events.head.at) > o.ttl {
		o.dropped.Expired++
		o.release(o.events.pop())
	}
	o.tellPersister()
}

func (o *outbox) number(e *entry) {
	o.puts++
	e.order = o.puts
}

// makeRoom drops the oldest messages of the victims, in the order given, until
// more fits. It drops nothing where that would not be enough.
func (o *outbox) makeRoom(more load, victims ...*queue) bool {
	rest := o.held
	for _, q := range victims {
		rest.add(-q.load.messages, -q.load.bytes)
	}
	if !o.fits(rest, more) {
		return false
	}
	for _, q := range victims {
		for q.head != nil && !o.fits(o.held, more) {
			o.dropped.Overflow++
			o.release(q.pop())
		}
	}
	return true
}

// fits reports whether held may grow by more. What does not grow always fits.
func (o *outbox) fits(held, more load) bool {
	return (more.messages <= 0 || held.messages+more.messages <= o.limit.messages) &&
		(more.bytes <= 0 || held.bytes+more.bytes <= o.limit.bytes)
}

// connected begins a connection: every state counts as unpublished, before all
// events and in the order they were first put; pictures come after the events.
func (o *outbox) connected() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.online = true
	o.changed, o.bulk = lane{}, lane{}
	for _, e := range o.ordered {
		e.dirty, e.order = true, 0
		o.queueState(e)
	}
}

// next takes the message to send now, nil when there is none. The Message's
// bytes do not change until ack or lost gets the entry back.
func (o *outbox) next() (*entry, Message) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	if o.disk.loading && now.After(o.disk.loadBy) {
		o.disk.loading = false // the disk hangs
	}
	o.expire(now)
	o.retry(now)
	e := o.first()
	for e != nil && o.refused[e.topic].blocks(len(e.payload), now) {
		o.withhold(e)
		e = o.first()
	}
	if e == nil {
		return nil, Message{}
	}
	o.inFlight++
	e.flying, e.dirty = true, false
	return e, Message{Topic: e.topic, Payload: e.payload, QoS: e.qos, Retain: e.retain}
}

func (o *outbox) first() *entry {
	state, event, volatile := o.changed.order(), o.events.order(), o.volatile.order()
	if o.withheld || o.disk.loading {
		event = math.MaxUint64
	}
	switch {
	case volatile < min(state, event):
		return o.volatile.pop()
	case event < state:
		return o.events.pop()
	case o.changed.head != nil:
		return o.changed.pop()
	case o.bulk.head != nil && !o.disk.loading:
		return o.bulk.pop()
	}
	return nil
}

// ack ends e's stay: the broker has it.
func (o *outbox) ack(e *entry) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.published++
	o.takes(e)
	if o.land(e) && len(e.payload) == 0 {
		o.forget(e)
	}
}

// land ends the flight of e, whose fate the broker told: an event or volatile
// message leaves, a state goes on with a newer value. It reports whether e is a
// state that has none.
func (o *outbox) land(e *entry) (latest bool) {
	o.inFlight--
	e.flying = false
	switch {
	case !e.retain:
		o.release(e)
		o.tellPersister()
	case e.dirty:
		o.number(e)
		o.queueState(e)
	default:
		return true
	}
	return false
}

// lost takes back what was in flight, in the order it was sent, when the
// connection is gone. Events wait again before all others; volatile messages,
// those still waiting too, are dropped. States are left to connected.
func (o *outbox) lost(flight []*entry) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.online, o.inFlight = false, 0
	for _, e := range slices.Backward(flight) {
		e.flying = false
		switch {
		case e.retain:
		case e.qos > 0:
			o.events.pushFront(e)
		default:
			o.dropped.Offline++
			o.release(e)
		}
	}
	for o.volatile.head != nil {
		o.dropped.Offline++
		o.release(o.volatile.pop())
	}
}

// close makes put take nothing any more.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
}

// replace puts the last messages in place of what waits, and returns how many
// events that gave up.
func (o *outbox) replace(last []Message) (given int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	given = o.discard()
	for _, m := range last {
		if err := o.take(m); err != nil {
			return given, err
		}
	}
	return given, nil
}

// discard drops what waits, uncounted, and returns how many events that were.
// Events that the disk keeps stay for the next start. States keep their values.
func (o *outbox) discard() int {
	events := 0
	o.withheld = true
	for !o.list.kept && o.events.head != nil {
		events++
		o.release(o.events.pop())
	}
	for o.volatile.head != nil {
		o.release(o.volatile.pop())
	}
	for _, states := range []*lane{&o.changed, &o.bulk} {
		for states.head != nil {
			states.pop().dirty = false
		}
	}
	return events
}

// waiting counts what next has to give.
func (o *outbox) waiting() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := o.volatile.load.messages
	if !o.withheld {
		n += o.events.load.messages
	}
	return n + o.changed.len() + o.bulk.len()
}

// drops is what was dropped so far.
func (o *outbox) drops() Dropped {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.dropped
}

// report fills in what s says of the outbox.
func (o *outbox) report(s *Status) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.expire(time.Now())
	s.Held, s.HeldBytes = o.held.messages, o.held.bytes
	s.Waiting = o.events.load.messages + o.volatile.load.messages
	s.Events, s.EventBytes = o.list.load.messages, o.list.load.bytes
	s.InFlight, s.Published, s.Dropped = o.inFlight, o.published, o.dropped
	s.OnDisk, s.DiskError = o.list.kept && o.disk.fault == "", o.disk.fault
	if o.list.kept {
		s.Unsynced = o.list.since(o.disk.synced)
	}
}

func (o *outbox) forget(e *entry) {
	delete(o.states, e.topic)
	o.ordered = slices.DeleteFunc(o.ordered, func(x *entry) bool { return x == e })
	o.held.add(-1, -e.size())
}

func (o *outbox) newEntry() *entry {
	e := o.free
	if e == nil {
		return &entry{}
	}
	o.free = e.next
	o.freeLen--
	e.next = nil
	return e
}

// release frees an event or volatile message.
func (o *outbox) release(e *entry) {
	o.held.add(-1, -e.size())
	if e.seq > 0 {
		o.list.remove(e)
	}
	if o.freeLen == maxFree || cap(e.payload) > maxFreePayload {
		return
	}
	*e = entry{payload: e.payload[:0], next: o.free}
	o.free = e
	o.freeLen++
}
