package mqtt

import "time"

// Status is a Client's present condition. It holds no secrets.
type Status struct {
	Broker     string    // URL
	Connected  bool      // a connection is open and was accepted
	Since      time.Time // of the present Connected
	LastError  string    // why the last connection or attempt ended; "" if none did
	Reconnects uint64    // connections after the first
	Held       int       // messages in the outbox, the states included
	HeldBytes  int       // their topics and payloads
	Events     int       // of Held, events (QoS 1, not retained), in flight or not
	EventBytes int       // their topics and payloads
	Unsynced   int       // of Events, not on the disk for good
	OnDisk     bool      // events are kept on disk
	DiskError  string    // why they are not, though they should
	Waiting    int       // of Held, events and QoS 0 messages not yet sent
	InFlight   int       // of Held, sent and not yet acknowledged
	Published  uint64    // messages that the broker acknowledged, or QoS 0 ones written
	Dropped    Dropped
}

// Dropped counts the messages that were never published, by reason.
type Dropped struct {
	Overflow uint64 // the oldest made room for a newer message
	Expired  uint64 // events older than their time to live
	Offline  uint64 // QoS 0, and no connection was open
	Refused  uint64 // Publish answered ErrFull or ErrTooLarge
	Rejected uint64 // the broker refuses it, in MQTT 3.1.1 by closing the connection
}

// Total is the sum over all reasons.
func (d Dropped) Total() uint64 { return d.Overflow + d.Expired + d.Offline + d.Refused + d.Rejected }

// Pulse is told what a Client's goroutine is about, so that a supervisor can
// tell a client that waits from one that hangs. Both methods must return at
// once; they are called from that goroutine alone, several times a message.
type Pulse interface {
	Busy(what string) // it does work that should end by itself soon
	Idle(why string)  // it waits for something outside: the broker, a message
}

// noPulse is the Pulse of a client that nobody watches.
type noPulse struct{}

func (noPulse) Busy(string) {}
func (noPulse) Idle(string) {}
