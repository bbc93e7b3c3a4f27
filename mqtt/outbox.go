package mqtt

import (
	"math"
	"slices"
	"time"

	"dynvit/mqtt/spool"
)

// entry is a message in the outbox. Events and volatile messages come and go;
// a state's entry stays as long as its topic has a value.
type entry struct {
	topic  string
	qos    byte
	retain bool

	payload []byte // states: the newest value
	spare   []byte // states: the buffer that payload does not use
	flying  bool   // handed to the connection, which may still read the bytes
	dirty   bool   // states: payload has not been handed to the connection

	order uint64 // what is sent first: the lowest
	next  *entry // in its lane or in the free list

	seq          uint64    // events: counts up, and names the event on disk
	at           time.Time // events: when it was put
	older, newer *entry    // events: in the ledger
}

func (e *entry) size() int { return len(e.topic) + len(e.payload) }

// lane is a first-in, first-out list.
type lane struct{ head, tail *entry }

func (l *lane) push(e *entry) {
	e.next = nil
	if l.tail == nil {
		l.head, l.tail = e, e
		return
	}
	l.tail.next = e
	l.tail = e
}

func (l *lane) pushFront(e *entry) {
	e.next = l.head
	l.head = e
	if l.tail == nil {
		l.tail = e
	}
}

func (l *lane) pop() *entry {
	e := l.head
	l.head = e.next
	if l.head == nil {
		l.tail = nil
	}
	e.next = nil
	return e
}

// order is that of the head, or the highest possible in an empty lane.
func (l *lane) order() uint64 {
	if l.head == nil {
		return math.MaxUint64
	}
	return l.head.order
}

// queue is a lane of messages that may be dropped to make room, and its load.
type queue struct {
	lane
	load load
}

func (q *queue) push(e *entry) {
	q.lane.push(e)
	q.load.add(1, e.size())
}

func (q *queue) pushFront(e *entry) {
	q.lane.pushFront(e)
	q.load.add(1, e.size())
}

func (q *queue) pop() *entry {
	e := q.lane.pop()
	q.load.add(-1, -e.size())
	return e
}

// load is what messages cost: their number, and the bytes of their topics and
// payloads.
type load struct{ messages, bytes int }

func (l *load) add(messages, bytes int) {
	l.messages += messages
	l.bytes += bytes
}

const (
	maxFree        = 64      // entries kept for reuse
	maxFreePayload = 1 << 16 // bytes; larger buffers go back to the collector
)

// outbox holds what waits to be published and what the broker has not yet
// acknowledged, within bounds on both count and bytes. Its border is put
// (from the publisher), next, ack and lost (from the sender): a message leaves
// it by ack or by being dropped, and every drop is counted. It is not safe for
// concurrent use.
type outbox struct {
	limit load
	ttl   time.Duration // of events; 0: for ever
	held  load          // everything: waiting, in flight, and the states

	states  map[string]*entry // by topic
	ordered []*entry          // the states in the order they were first put

	changed  lane  // states to publish
	events   queue // that wait
	volatile queue
	ledger   ledger // of all events, those in flight too
	loading  bool   // events are not given out yet: older ones are being read from the disk
	withheld bool   // events are not given out any more

	puts    uint64 // gives entries their order
	free    *entry
	freeLen int
	dropped Dropped
}

func newOutbox(messages, bytes int) *outbox {
	return &outbox{limit: load{messages, bytes}, states: make(map[string]*entry), ledger: ledger{next: 1, handed: 1}}
}

// put copies m into the outbox. It fails with ErrOffline for a volatile
// message while not online and with ErrFull or ErrTooLarge where making room
// does not help; each failure is counted.
func (o *outbox) put(m Message, online bool) error {
	o.expire(time.Now())
	size := len(m.Topic) + len(m.Payload)
	if size > o.limit.bytes || o.ledger.kept && !m.Retain && m.QoS > 0 && size > spool.MaxMessage {
		o.dropped.Refused++
		return ErrTooLarge
	}
	switch {
	case m.Retain:
		return o.putState(m)
	case m.QoS == 0 && !online:
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
	if e.dirty {
		return
	}
	e.dirty = true
	if !e.flying { // else ack queues it: one value of a topic in flight at a time
		o.number(e)
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
		o.ledger.add(e)
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
}

// restore puts events that were on disk before all others, of which none was
// handed to the disk yet; next is the first sequence number for those. Where
// they exceed the bounds the oldest are dropped and counted.
func (o *outbox) restore(old []spool.Message, next uint64) {
	room, fit := o.limit, len(old)
	room.add(-o.held.messages, -o.held.bytes)
	for fit > 0 && room.messages > 0 && len(old[fit-1].Topic)+len(old[fit-1].Payload) <= room.bytes {
		fit--
		room.add(-1, -len(old[fit].Topic)-len(old[fit].Payload))
	}
	o.ledger.renumber(next)
	for _, m := range old[:fit] {
		o.dropped.Overflow++
		o.ledger.forget(m.Seq)
	}
	for _, m := range slices.Backward(old[fit:]) {
		e := &entry{topic: m.Topic, payload: m.Payload, qos: 1, seq: m.Seq, at: m.At}
		o.held.add(1, e.size())
		o.ledger.addOldest(e)
		o.events.pushFront(e)
	}
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

// next takes the message to send now, nil when there is none. The Message's
// bytes do not change until ack or lost gets the entry back.
func (o *outbox) next() (*entry, Message) {
	e := o.first()
	if e == nil {
		return nil, Message{}
	}
	e.flying, e.dirty = true, false
	return e, Message{Topic: e.topic, Payload: e.payload, QoS: e.qos, Retain: e.retain}
}

func (o *outbox) first() *entry {
	state, event, volatile := o.changed.order(), o.events.order(), o.volatile.order()
	if o.withheld || o.loading {
		event = math.MaxUint64
	}
	switch {
	case volatile < min(state, event):
		return o.volatile.pop()
	case event < state:
		return o.events.pop()
	case o.changed.head != nil:
		return o.changed.pop()
	}
	return nil
}

// ack ends e's stay: the broker has it.
func (o *outbox) ack(e *entry) {
	e.flying = false
	switch {
	case !e.retain:
		o.release(e)
	case e.dirty:
		o.number(e)
		o.changed.push(e)
	case len(e.payload) == 0:
		o.forget(e)
	}
}

// lost takes back what was in flight, in the order it was sent, when the
// connection is gone. Events wait again before all others; volatile messages,
// those still waiting too, are dropped. States are left to renew.
func (o *outbox) lost(flight []*entry) {
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

// renew marks every state as unpublished, before all events and in the order
// they were first put: a connection begins with them.
func (o *outbox) renew() {
	o.changed = lane{}
	for _, e := range o.ordered {
		e.dirty, e.order = true, 0
		o.changed.push(e)
	}
}

// discard drops what waits, uncounted, and returns how many events that were.
// Events that the disk keeps stay for the next start. States keep their values.
func (o *outbox) discard() int {
	events := 0
	o.withheld = true
	for !o.ledger.kept && o.events.head != nil {
		events++
		o.release(o.events.pop())
	}
	for o.volatile.head != nil {
		o.release(o.volatile.pop())
	}
	for o.changed.head != nil {
		o.changed.pop().dirty = false
	}
	return events
}

// waiting counts what next has to give.
func (o *outbox) waiting() int {
	n := o.volatile.load.messages
	if !o.withheld {
		n += o.events.load.messages
	}
	for e := o.changed.head; e != nil; e = e.next {
		n++
	}
	return n
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
		o.ledger.remove(e)
	}
	if o.freeLen == maxFree || cap(e.payload) > maxFreePayload {
		return
	}
	*e = entry{payload: e.payload[:0], next: o.free}
	o.free = e
	o.freeLen++
}
