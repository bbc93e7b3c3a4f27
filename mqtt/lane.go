package mqtt

import (
	"math"
	"time"
)

// entry is a message in the outbox. Events and volatile messages come and go;
// a state's entry stays as long as its topic has a value.
type entry struct {
	topic  string
	qos    byte
	retain bool

	payload  []byte // states: the newest value
	spare    []byte // states: the buffer that payload does not use
	flying   bool   // handed to the connection, which may still read the bytes
	dirty    bool   // states: payload has not been handed to the connection
	withheld bool   // states: the broker would close at payload

	order uint64 // what is sent first: the lowest
	next  *entry // in its lane or in the free list

	seq          uint64    // events: counts up, and names the event on disk
	at           time.Time // events: when it was put
	older, newer *entry    // events: in the eventlist
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

func (l *lane) len() (n int) {
	for e := l.head; e != nil; e = e.next {
		n++
	}
	return n
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
