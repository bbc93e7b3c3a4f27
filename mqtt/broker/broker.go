package broker

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"

	mochi "github.com/mochi-mqtt/server/v2"
)

// Bounds of the embedded broker: it serves one box's dashboards and scripts.
const (
	maxPacket   = 8 << 20 // bytes of the owner's; a snapshot fits
	maxForeign  = 1 << 20 // bytes of others'
	maxPending  = 1024    // messages to a subscriber that does not read; later ones are dropped
	maxInflight = 1024    // messages of QoS 1 and 2 kept for a client that does not acknowledge
	maxSessions = 256     // clients, those that are away included

	maxRetained      = 10_000 // messages of others than the owner
	maxRetainedBytes = 16 << 20

	keepSession = 24 * 60 * 60 // seconds, of a client that is away
	sysPeriod   = 60           // seconds between $SYS publications
)

// Options say how the embedded broker listens.
type Options struct {
	// Listen is host:port, or an address alone. The default is
	// 127.0.0.1:1883; port 0 takes a free one. Any host but a loopback
	// address needs Username and Password.
	Listen string

	// NextPorts is how many of the ports after Listen's are tried while one is
	// in use.
	NextPorts int

	// Username and Password are asked of every client if set.
	Username, Password string

	// Owned says which topics only the owner may write, the client that connects
	// by Dial; nil: none.
	Owned func(topic string) bool

	Log *slog.Logger // gets mochi's log at debug level, and what is refused as warnings; nil: none
}

func (o Options) withDefaults() Options {
	if o.Listen == "" {
		o.Listen = "127.0.0.1"
	}
	if o.Owned == nil {
		o.Owned = func(string) bool { return false }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Broker is an MQTT broker inside the process. It keeps retained messages and
// sessions in memory, as long as it lives.
type Broker struct {
	server *mochi.Server
	gate   *gate
	sent   traffic

	once sync.Once
	err  error
}

// Listen starts a broker. It refuses to listen without credentials on
// anything but loopback, and names the port when it is in use.
func Listen(o Options) (*Broker, error) {
	o = o.withDefaults()
	host, port, err := o.address()
	if err != nil {
		return nil, err
	}
	listener, err := listenFrom(host, port, o.NextPorts)
	if err != nil {
		return nil, err
	}
	b := &Broker{server: mochi.New(settings(o.Log)), gate: newGate(listener)}
	if err := b.serve(o); err != nil {
		b.Close()
		return nil, fmt.Errorf("mqtt: start broker: %w", err)
	}
	return b, nil
}

func (b *Broker) serve(o Options) error {
	if err := b.server.AddHook(&admission{username: o.Username, password: o.Password}, nil); err != nil {
		return err
	}
	guard := newGuard(b.server, &o)
	b.gate.large = func() { guard.tell("packet", fmt.Sprintf("others than the daemon may send %d MiB", maxForeign>>20)) }
	if err := b.server.AddHook(guard, nil); err != nil {
		return err
	}
	if err := b.server.AddHook(&b.sent, nil); err != nil {
		return err
	}
	if err := b.server.AddListener(b.gate); err != nil {
		return err
	}
	return b.server.Serve()
}

func settings(log *slog.Logger) *mochi.Options {
	limits := mochi.NewDefaultServerCapabilities()
	// The default of 24 hours also takes away retained messages of that age.
	limits.MaximumMessageExpiryInterval = 0
	limits.MaximumSessionExpiryInterval = keepSession
	limits.MaximumPacketSize = maxPacket
	limits.MaximumInflight = maxInflight
	limits.MaximumClientWritesPending = maxPending
	return &mochi.Options{
		Capabilities:           limits,
		Logger:                 slog.New(quiet{log.Handler()}),
		SysTopicResendInterval: sysPeriod,
	}
}

// Dial connects the owner, in memory.
func (b *Broker) Dial(context.Context) (net.Conn, error) {
	client, server := net.Pipe()
	if !b.gate.admit(server, true) {
		client.Close()
		server.Close()
		return nil, net.ErrClosed
	}
	go b.gate.attend(owner, server, b.server.EstablishConnection)
	return client, nil
}

// owner is the name under which mochi knows the connections of Dial.
const owner = "owner"

// Addr is where the broker listens.
func (b *Broker) Addr() string { return b.gate.Address() }

// URL is what to give to a Client, or to mosquitto_sub, to reach the broker
// from this machine.
func (b *Broker) URL() string {
	host, port, err := net.SplitHostPort(b.Addr())
	if ip := net.ParseIP(host); err == nil && ip.IsUnspecified() {
		return "mqtt://" + net.JoinHostPort("127.0.0.1", port)
	}
	return "mqtt://" + b.Addr()
}

// Close lets subscribers have what is on its way to them, a moment long, then cuts
// all connections and waits for them. It may be called again.
func (b *Broker) Close() error {
	b.once.Do(func() {
		b.drain()
		b.gate.shut() // else mochi waits for clients that never sent CONNECT
		b.err = b.server.Close()
	})
	return b.err
}
