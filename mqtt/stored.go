package mqtt

import (
	"time"

	"dynvit/mqtt/spool"
)

// durability is how far the disk has come with an outbox's events. The persister
// finds it out; the outbox keeps it beside the events that it is about.
type durability struct {
	loading bool      // events are not given out yet: older ones are being read
	loadBy  time.Time // no longer are they waited for
	written uint64    // events of lower numbers outlive the process
	synced  uint64    // events of lower numbers are on the disk for good
	fault   string    // why the disk does not work; "": it does
}

// tellPersister needs o.mu.
func (o *outbox) tellPersister() {
	if o.list.kept && o.list.pending() {
		signal(o.chore)
	}
}

// restore puts events that were on disk before all others, of which none was
// handed to the disk yet; next is the first sequence number for those. Where
// they exceed the bounds the oldest are dropped and counted. It reports whether
// some of them may not be on the disk for good.
func (o *outbox) restore(old []spool.Message, next uint64) (unsynced bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	drop := len(old) - o.fitting(old)
	o.list.renumber(next)
	for _, m := range old[:drop] {
		o.dropped.Overflow++
		o.list.forget(m.Seq)
	}
	for i := len(old) - 1; i >= drop; i-- {
		m := &old[i]
		e := &entry{topic: m.Topic, payload: m.Payload, qos: 1, seq: m.Seq, at: m.At}
		o.held.add(1, e.size())
		o.list.addOldest(e)
		o.events.pushFront(e)
	}
	o.disk.loading, o.disk.written, o.disk.synced = false, next, o.list.first()
	signal(o.news)
	return o.disk.synced < next
}

// fitting is how many of the newest of old the outbox has room for.
func (o *outbox) fitting(old []spool.Message) (n int) {
	room := o.limit
	room.add(-o.held.messages, -o.held.bytes)
	for n < len(old) && room.messages > 0 {
		m := &old[len(old)-1-n]
		size := len(m.Topic) + len(m.Payload)
		if size > room.bytes {
			break
		}
		room.add(-1, -size)
		n++
	}
	return n
}

// oldest is the number of the oldest event, or of the next one.
func (o *outbox) oldest() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.list.first()
}

// unstored reports whether there is something that the disk does not know.
func (o *outbox) unstored() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.list.pending()
}

// handed is what a batch for the disk holds: the events of the numbers from,
// inclusive, to to, and what it says to be done.
type handed struct {
	from, to uint64
	done     []spool.Span
}

// handOver adds to log's batch what the disk does not know, the oldest first,
// until it has enough bytes.
func (o *outbox) handOver(log *spool.Log, enough int) handed {
	o.mu.Lock()
	defer o.mu.Unlock()
	h := handed{from: o.list.handed}
	h.done = o.list.handOver(log, enough)
	h.to = o.list.handed
	return h
}

// wrote notes that a batch is in the file system's hands.
func (o *outbox) wrote(h handed) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.disk.written = h.to
}

// takeBack undoes the handing over of a batch.
func (o *outbox) takeBack(h handed) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.retake(h.from, h.done)
}

// takeBackUnsynced undoes the handing over of all that is not on the disk for
// good: the events, and done. gone says that nothing is.
func (o *outbox) takeBackUnsynced(done []spool.Span, gone bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if gone {
		o.disk.synced = 0
	}
	o.retake(o.disk.synced, done)
}

// retake needs o.mu.
func (o *outbox) retake(from uint64, done []spool.Span) {
	o.disk.written = min(o.disk.written, from)
	o.list.takeBack(from, done)
}

// isSynced reports whether the event of a number is, or was, on the disk for good.
func (o *outbox) isSynced(seq uint64) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return seq < o.disk.synced
}

// unsettled reports whether there are events that were written and not synced.
func (o *outbox) unsettled() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	e := o.list.from(o.disk.synced)
	return e != nil && e.seq < o.list.handed
}

// settled notes that all events that were handed over are on the disk or gone.
func (o *outbox) settled() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.disk.synced = o.list.handed
}

// diskFails notes why, and waits no longer for older events.
func (o *outbox) diskFails(why string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.disk.fault, o.disk.loading = why, false
	signal(o.news)
}

// diskWorks notes that it does again.
func (o *outbox) diskWorks() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.disk.fault = ""
}

// left counts the events, those that do not outlive the process, and those that
// are not on the disk for good.
func (o *outbox) left() (events, unwritten, unsynced int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.list.load.messages, o.list.since(o.disk.written), o.list.since(o.disk.synced)
}
