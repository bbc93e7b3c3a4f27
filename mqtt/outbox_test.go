package mqtt

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func state(topic, payload string) Message {
	return Message{Topic: topic, Payload: []byte(payload), QoS: 1, Retain: true}
}

func event(payload string) Message {
	return Message{Topic: "event", Payload: []byte(payload), QoS: 1}
}

func volatile(payload string) Message {
	return Message{Topic: "frame", Payload: []byte(payload)}
}

// onlineOutbox has a connection and no disk.
func onlineOutbox(messages, bytes int) *outbox {
	o := newOutbox(messages, bytes, 0, false)
	o.connected()
	return o
}

func mustPut(t *testing.T, o *outbox, list ...Message) {
	t.Helper()
	for _, m := range list {
		if err := o.put(m); err != nil {
			t.Fatalf("put %s: %v", m.Payload, err)
		}
	}
}

// takeAll empties the lanes.
func takeAll(o *outbox) (flight []*entry, payloads []string) {
	for {
		e, m := o.next()
		if e == nil {
			return flight, payloads
		}
		flight = append(flight, e)
		payloads = append(payloads, string(m.Payload))
	}
}

func wantPayloads(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// checkLoads recounts what the outbox says it holds.
func checkLoads(t *testing.T, o *outbox, flight []*entry) {
	t.Helper()
	var held load
	for _, e := range o.states {
		held.add(1, e.size())
	}
	for _, e := range flight {
		if !e.retain {
			held.add(1, e.size())
		}
	}
	for _, q := range []*queue{&o.events, &o.volatile} {
		var own load
		for e := q.head; e != nil; e = e.next {
			own.add(1, e.size())
		}
		if own != q.load {
			t.Errorf("queue says %+v, holds %+v", q.load, own)
		}
		held.add(own.messages, own.bytes)
	}
	if held != o.held {
		t.Errorf("outbox says %+v, holds %+v", o.held, held)
	}
}

func TestOutboxOrderAndCoalescing(t *testing.T) {
	o := onlineOutbox(100, 1000)
	mustPut(t, o, event("e1"), state("a", "a1"), event("e2"), volatile("v1"), state("a", "a2"), state("b", "b1"), event("e3"))
	flight, got := takeAll(o)
	wantPayloads(t, got, "e1", "a2", "e2", "v1", "b1", "e3")
	checkLoads(t, o, flight)
	for _, e := range flight {
		o.ack(e)
	}
	checkLoads(t, o, nil)
	if o.held.messages != 2 || o.waiting() != 0 {
		t.Errorf("after all acknowledgements: held %+v, %d waiting; want the two states alone", o.held, o.waiting())
	}
}

func TestOutboxStateInFlight(t *testing.T) {
	o := onlineOutbox(100, 1000)
	mustPut(t, o, state("a", "first"))
	e, sent := o.next()
	mustPut(t, o, state("a", "2nd"), state("a", "third"), state("a", "4"))
	if string(sent.Payload) != "first" {
		t.Errorf("bytes in flight became %q", sent.Payload)
	}
	if next, _ := o.next(); next != nil {
		t.Error("a second value of the topic was given out while the first was in flight")
	}
	o.ack(e)
	flight, got := takeAll(o)
	wantPayloads(t, got, "4")
	o.ack(flight[0])
	checkLoads(t, o, nil)
}

func TestOutboxLost(t *testing.T) {
	o := onlineOutbox(100, 1000)
	mustPut(t, o, state("a", "a1"), event("e1"), event("e2"), volatile("v1"), event("e3"))
	flight, _ := takeAll(o)
	mustPut(t, o, event("e4"), volatile("v2"), state("b", "b1"), state("a", "a2"))
	o.ack(flight[0]) // a1
	o.ack(flight[1]) // e1
	o.lost(flight[2:])
	if o.dropped.Offline != 2 {
		t.Errorf("%d QoS 0 messages counted as dropped, want 2", o.dropped.Offline)
	}
	mustPut(t, o, event("e5"))
	o.connected()
	checkLoads(t, o, nil)
	_, got := takeAll(o)
	wantPayloads(t, got, "a2", "b1", "e2", "e3", "e4", "e5")
}

func TestOutboxForgetsClearedState(t *testing.T) {
	o := onlineOutbox(100, 1000)
	mustPut(t, o, state("a", "a1"), state("b", "b1"))
	flight, _ := takeAll(o)
	o.ack(flight[0])
	o.ack(flight[1])
	mustPut(t, o, state("a", ""))
	flight, got := takeAll(o)
	wantPayloads(t, got, "")
	o.lost(flight) // the clearing was not acknowledged: it must be repeated
	o.connected()
	flight, got = takeAll(o)
	wantPayloads(t, got, "", "b1")
	o.ack(flight[0])
	checkLoads(t, o, nil)
	o.connected()
	_, got = takeAll(o)
	wantPayloads(t, got, "b1")
}

func TestOutboxBounds(t *testing.T) {
	o := onlineOutbox(4, 1000)
	mustPut(t, o, state("a", "a1"), event("e1"), volatile("v1"), event("e2"))
	mustPut(t, o, event("e3")) // v1 goes before any event
	mustPut(t, o, event("e4")) // then the oldest event
	if o.dropped.Overflow != 2 {
		t.Errorf("%d dropped, want 2", o.dropped.Overflow)
	}
	if err := o.put(volatile("v2")); !errors.Is(err, ErrFull) {
		t.Errorf("a volatile message against events: %v, want ErrFull", err)
	}
	mustPut(t, o, state("b", "b1")) // e2 makes room
	checkLoads(t, o, nil)
	flight, got := takeAll(o)
	wantPayloads(t, got, "a1", "e3", "e4", "b1")

	// What is in flight cannot make room.
	if err := o.put(event("e5")); !errors.Is(err, ErrFull) {
		t.Errorf("with everything in flight: %v, want ErrFull", err)
	}
	mustPut(t, o, state("a", "a2")) // no growth
	checkLoads(t, o, flight)
	if o.dropped.Refused != 2 {
		t.Errorf("%d refused, want 2", o.dropped.Refused)
	}
}

func TestOutboxBytes(t *testing.T) {
	o := onlineOutbox(1000, 100)
	mustPut(t, o, state("a", "0123456789"))
	for i := range 20 {
		mustPut(t, o, event(fmt.Sprint("0123456789", i)))
		if o.held.bytes > 100 {
			t.Fatalf("%d bytes held, limit 100", o.held.bytes)
		}
	}
	if o.dropped.Overflow == 0 {
		t.Error("nothing was dropped")
	}
	before := o.held
	if err := o.put(event(strings.Repeat("x", 92))); !errors.Is(err, ErrFull) {
		t.Errorf("an event that fits only without the state: %v, want ErrFull", err)
	}
	if err := o.put(event(strings.Repeat("x", 96))); !errors.Is(err, ErrTooLarge) {
		t.Errorf("an event larger than the outbox: %v, want ErrTooLarge", err)
	}
	if o.held != before {
		t.Errorf("refused events changed what is held from %+v to %+v", before, o.held)
	}
	mustPut(t, o, state("a", strings.Repeat("x", 90))) // evicts
	if o.held.bytes > 100 || o.events.head != nil {
		t.Errorf("held %+v after a state took all the room", o.held)
	}
	checkLoads(t, o, nil)
}

func TestOutboxDiscard(t *testing.T) {
	o := onlineOutbox(100, 1000)
	mustPut(t, o, event("e1"), volatile("v1"), state("a", "a1"), event("e2"))
	if n := o.discard(); n != 2 {
		t.Errorf("%d events given up, want 2", n)
	}
	if n := o.waiting(); n != 0 {
		t.Errorf("%d still wait", n)
	}
	checkLoads(t, o, nil)
	mustPut(t, o, state("a", "a2"))
	_, got := takeAll(o)
	wantPayloads(t, got, "a2")
}

// FuzzOutbox drives an outbox through any sequence of operations and recounts
// after each; every event must come out once, in order, or be counted.
func FuzzOutbox(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 0, 1, 2, 6, 3})
	f.Add([]byte("0101013133134445666"))
	f.Fuzz(func(t *testing.T, ops []byte) {
		o := onlineOutbox(8, 120)
		var flight []*entry
		puts, acked := 0, 0
		last := -1
		for i, op := range ops {
			switch op % 7 {
			case 0:
				if o.put(event(fmt.Sprint(puts))) == nil {
					puts++
				}
			case 1:
				o.put(state(fmt.Sprint("s", op%5), fmt.Sprint(i)))
			case 2:
				o.online = op%2 == 0
				o.put(volatile(fmt.Sprint(i)))
			case 3:
				if e, _ := o.next(); e != nil {
					flight = append(flight, e)
				}
			case 4:
				if len(flight) == 0 {
					break
				}
				if e := flight[0]; e.topic == "event" {
					var n int
					fmt.Sscan(string(e.payload), &n)
					if n <= last {
						t.Fatalf("event %d after %d", n, last)
					}
					last = n
					acked++
				}
				o.ack(flight[0])
				flight = flight[1:]
			case 5:
				o.lost(flight)
				flight = nil
				o.connected()
			case 6:
				o.put(state(fmt.Sprint("s", op%5), ""))
			}
			checkLoads(t, o, flight)
			if o.held.messages > 8 || o.held.bytes > 120 {
				t.Fatalf("held %+v beyond the limits", o.held)
			}
		}
		if acked > puts {
			t.Fatalf("%d events came out of %d", acked, puts)
		}
	})
}

func TestOutboxReusesMemory(t *testing.T) {
	o := onlineOutbox(100, 10000)
	s, e := state("a", strings.Repeat("s", 300)), event(strings.Repeat("e", 300))
	var flight []*entry
	cycle := func() {
		mustPut(t, o, s, e, s)
		flight = flight[:0]
		for {
			x, _ := o.next()
			if x == nil {
				break
			}
			flight = append(flight, x)
			o.put(s)
		}
		for _, x := range flight {
			o.ack(x)
		}
	}
	cycle()
	if n := testing.AllocsPerRun(100, cycle); n > 0 {
		t.Errorf("%v allocations a cycle of three puts and two sends, want none", n)
	}
}
