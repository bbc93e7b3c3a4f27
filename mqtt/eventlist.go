package mqtt

import "dynvit/mqtt/spool"

// eventlist lists all events of an outbox, waiting or in flight, by their sequence
// numbers, and knows which of them were handed to the disk. Its outbox's mutex
// guards it.
type eventlist struct {
	oldest, newest *entry
	load           load
	next           uint64 // of the next event

	kept     bool         // events are handed to a disk
	handed   uint64       // events from this number on were not handed over
	unstored *entry       // the oldest of those; nil: none
	done     []spool.Span // were handed over and are gone since
}

// add numbers an event and lists it as the newest.
func (l *eventlist) add(e *entry) {
	e.seq = l.next
	l.next++
	l.link(l.newest, e, nil)
	if l.unstored == nil {
		l.unstored = e
	}
}

// addOldest lists an event that is on disk already, with the number it has there.
func (l *eventlist) addOldest(e *entry) { l.link(nil, e, l.oldest) }

// link lists an event between its neighbours, nil at an end of the list.
func (l *eventlist) link(older, e, newer *entry) {
	e.older, e.newer = older, newer
	if older == nil {
		l.oldest = e
	} else {
		older.newer = e
	}
	if newer == nil {
		l.newest = e
	} else {
		newer.older = e
	}
	l.load.add(1, e.size())
}

// remove takes an event off the list: it was acknowledged or dropped.
func (l *eventlist) remove(e *entry) {
	if l.unstored == e {
		l.unstored = e.newer
	}
	if e.older == nil {
		l.oldest = e.newer
	} else {
		e.older.newer = e.newer
	}
	if e.newer == nil {
		l.newest = e.older
	} else {
		e.newer.older = e.older
	}
	e.older, e.newer = nil, nil
	l.load.add(-1, -e.size())
	if e.seq < l.handed {
		l.forget(e.seq)
	}
}

// forget notes that the disk need not keep an event.
func (l *eventlist) forget(seq uint64) {
	if l.kept {
		l.done = spool.AppendSpan(l.done, spool.Span{First: seq, Last: seq})
	}
}

// renumber gives the events numbers from next on. None of them was handed over.
func (l *eventlist) renumber(next uint64) {
	l.handed, l.unstored, l.done = next, l.oldest, nil
	for e := l.oldest; e != nil; e = e.newer {
		e.seq = next
		next++
	}
	l.next = next
}

// handOver adds to a batch what the disk does not know, the oldest first, until
// the batch has enough bytes. It returns what it said to be done.
func (l *eventlist) handOver(log *spool.Log, enough int) (done []spool.Span) {
	done, l.done = l.done, nil
	for _, s := range done {
		log.Done(s)
	}
	for l.unstored != nil && log.Buffered() < enough {
		e := l.unstored
		log.Message(e.seq, e.at, e.topic, e.payload)
		l.handed, l.unstored = e.seq+1, e.newer
	}
	return done
}

// takeBack undoes handing over: the events from seq on, and done.
func (l *eventlist) takeBack(seq uint64, done []spool.Span) {
	if seq < l.handed {
		l.handed, l.unstored = seq, l.from(seq)
	}
	l.done = append(done, l.done...)
}

// from is the oldest event from a number on; nil: none.
func (l *eventlist) from(seq uint64) *entry {
	var first *entry
	for e := l.newest; e != nil && e.seq >= seq; e = e.older {
		first = e
	}
	return first
}

// since counts the events from a number on.
func (l *eventlist) since(seq uint64) (n int) {
	for e := l.newest; e != nil && e.seq >= seq; e = e.older {
		n++
	}
	return n
}

// pending reports whether there is something to hand over.
func (l *eventlist) pending() bool { return l.unstored != nil || len(l.done) > 0 }

// first is the number of the oldest event, or of the next one.
func (l *eventlist) first() uint64 {
	if l.oldest == nil {
		return l.next
	}
	return l.oldest.seq
}
