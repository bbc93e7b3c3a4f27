package mqtttest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"syscall"
)

// Message is a publication as it arrived.
type Message struct {
	Client  string // client id
	Conn    int    // number of the connection, from 1
	Topic   string
	Payload string
	QoS     byte
	Retain  bool
	Dup     bool
	Will    bool // published by the broker because the connection broke
}

// Fault is how the broker misbehaves. The zero Fault is a good broker.
type Fault struct {
	Refuse  byte // CONNACK return code; 0 accepts
	Mute    bool // never answer CONNECT
	NoAck   bool // never acknowledge a PUBLISH
	Suback  byte // SUBACK return code; 0 accepts
	NoPing  bool // never answer a PINGREQ
	Stall   bool // read nothing after CONNECT
	CutFrom int  // from this message of a connection on, cut it instead of acknowledging; 0 never
	Taken   bool // with CutFrom: the message counts nevertheless

	// At these it closes the connection, as MQTT 3.1.1 has it; in MQTT 5 after a
	// DISCONNECT that says why.
	Forbid       string // a PUBLISH to a topic that contains it
	ForbidFilter string // a SUBSCRIBE to a filter that contains it
	MaxPayload   int    // a PUBLISH of more bytes; 0: any

	// Limits that are told in CONNACK by MQTT 5, and kept by closing at what is
	// beyond; 0: none.
	NoRetain, NoQoS1 bool
	MaxPacket        uint32
	ReceiveMaximum   uint16 // told alone
	ServerKeepAlive  uint16 // seconds, told alone

	// Of MQTT 5 alone.
	Deny     string // a PUBLISH at QoS 1 to a topic that contains it is acknowledged with DenyCode
	DenyCode byte
	Only3    bool // it speaks MQTT 3.1.1 alone
}

// State is what a broker has seen so far.
type State struct {
	Connects   int // CONNECT packets, refused ones too
	Open       int // connections
	Messages   []Message
	Retained   map[string]string // by topic
	Subscribed []string          // filters, of all connections
	Acks       int               // PUBACK packets, for what Send sent
	Pings      int               // PINGREQ packets
	Version    byte              // of the last CONNECT: 4 is MQTT 3.1.1
	Username   string
	Password   string
}

// Topic lists the payloads that arrived on topic, wills included.
func (s State) Topic(topic string) []string {
	var list []string
	for _, m := range s.Messages {
		if m.Topic == topic {
			list = append(list, m.Payload)
		}
	}
	return list
}

// Broker is the test broker. Its methods may be called from any goroutine.
type Broker struct {
	mu       sync.Mutex
	changed  chan struct{} // closed and replaced when state changes
	fault    Fault
	state    State
	conns    map[net.Conn]struct{}
	clients  []*client // whose CONNECT was accepted
	readers  []*client // that have subscribed
	accepted int
	down     bool
	addr     string       // "": reached by Dial alone
	release  func()       // gives the port back
	listener net.Listener // nil while down

	wg sync.WaitGroup
}

// New returns a broker that is reached by Dial alone.
func New() *Broker {
	return &Broker{
		changed: make(chan struct{}),
		conns:   make(map[net.Conn]struct{}),
		state:   State{Retained: make(map[string]string)},
	}
}

// Listen returns a broker on a loopback port of its own, which stays its own
// while it is down.
func Listen() (*Broker, error) {
	b := New()
	var err error
	if b.addr, b.release, err = reserve(); err != nil {
		return nil, fmt.Errorf("mqtttest: %w", err)
	}
	if err := b.Up(); err != nil {
		b.release()
		return nil, err
	}
	return b, nil
}

// URL is where a broker made by Listen is, up or down.
func (b *Broker) URL() string { return "mqtt://" + b.addr }

// Dial connects in memory, or is refused while the broker is down.
func (b *Broker) Dial(context.Context) (net.Conn, error) {
	client, server := net.Pipe()
	if !b.Serve(server) {
		client.Close()
		return nil, &net.OpError{Op: "dial", Net: "pipe", Err: syscall.ECONNREFUSED}
	}
	return client, nil
}

// Set changes how the broker behaves, towards open connections too.
func (b *Broker) Set(f Fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fault = f
	b.notify()
}

// Cut breaks all connections: the broker publishes their wills.
func (b *Broker) Cut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for conn := range b.conns {
		conn.Close()
	}
}

// Down stops the broker: connections break and new ones are refused. It waits
// for the broker's goroutines. What was retained is forgotten, as by a broker
// without persistence.
func (b *Broker) Down() {
	b.mu.Lock()
	b.down = true
	if b.listener != nil {
		hangUp(b.listener)
		b.listener = nil
	}
	for conn := range b.conns {
		conn.Close()
	}
	b.notify()
	b.mu.Unlock()
	b.wg.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.state.Retained)
}

// Close is Down for good. It may be called again.
func (b *Broker) Close() {
	b.Down()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.release != nil {
		b.release()
		b.release = nil
	}
}

// Up starts the broker again, on the port that it had. One that is up goes on.
func (b *Broker) Up() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down = false
	if b.addr == "" || b.listener != nil {
		return nil
	}
	l, err := net.Listen("tcp", b.addr)
	if err != nil {
		return fmt.Errorf("mqtttest: %w", err)
	}
	b.listener = l
	b.wg.Add(1)
	go b.accept(l)
	return nil
}

func (b *Broker) accept(l net.Listener) {
	defer b.wg.Done()
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		b.Serve(conn)
	}
}

// Serve takes over conn, served by a goroutine of the broker's; while the
// broker is down it closes conn and returns false.
func (b *Broker) Serve(conn net.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		conn.Close()
		return false
	}
	b.conns[conn] = struct{}{}
	b.state.Open++
	b.accepted++
	c := &client{broker: b, conn: conn, number: b.accepted}
	b.wg.Add(1)
	go c.serve()
	return true
}

// Forget drops the messages seen so far, not what was retained.
func (b *Broker) Forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state.Messages = nil
}

// State returns a copy of what the broker has seen.
func (b *Broker) State() State {
	s, _ := b.look()
	return s
}

func (b *Broker) look() (State, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.state
	s.Messages = slices.Clone(s.Messages)
	s.Retained = maps.Clone(s.Retained)
	s.Subscribed = slices.Clone(s.Subscribed)
	return s, b.changed
}

// Await waits until ok holds of the broker's state and returns that state. The
// error says what the broker had seen when ctx ended.
func (b *Broker) Await(ctx context.Context, ok func(State) bool) (State, error) {
	for {
		s, changed := b.look()
		if ok(s) {
			return s, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return s, fmt.Errorf("mqtttest: %w; the broker saw %+v", context.Cause(ctx), s)
		}
	}
}

// notify needs b.mu.
func (b *Broker) notify() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// update changes the state.
func (b *Broker) update(change func(*State)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&b.state)
	b.notify()
}

func (b *Broker) record(m Message) {
	b.update(func(s *State) {
		s.Messages = append(s.Messages, m)
		switch {
		case m.Retain && m.Payload == "":
			delete(s.Retained, m.Topic)
		case m.Retain:
			s.Retained[m.Topic] = m.Payload
		}
	})
}

// behaviour is the present fault, and a channel that tells when it may have
// changed.
func (b *Broker) behaviour() (Fault, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.fault, b.changed
}

func (b *Broker) isDown() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.down
}

var errDown = errors.New("mqtttest: broker is down")

// Send delivers a message to every connection that has subscribed to anything, at
// QoS 1.
func (b *Broker) Send(topic, payload string, retain bool) error {
	b.mu.Lock()
	readers := slices.Clone(b.readers)
	b.mu.Unlock()
	for _, c := range readers {
		if err := c.write(delivery(c.version, topic, payload, retain)); err != nil {
			return err
		}
	}
	return nil
}

// Disconnect ends all connections with a reason, which MQTT 5 alone is told.
func (b *Broker) Disconnect(code byte) {
	b.mu.Lock()
	clients := slices.Clone(b.clients)
	b.mu.Unlock()
	for _, c := range clients {
		c.closeAt(code)
		c.conn.Close()
	}
}
