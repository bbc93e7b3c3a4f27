package mqtt

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// Bounds of the embedded broker: it serves one box's dashboards and scripts.
const (
	brokerPacket   = 8 << 20 // bytes; a snapshot fits, and a stranger cannot make it allocate more
	brokerPending  = 1024    // messages to a subscriber that does not read; later ones are dropped
	brokerSessions = 24 * 60 * 60
	brokerSysTopic = 60 // seconds between $SYS publications
)

// BrokerOptions say how the embedded broker listens.
type BrokerOptions struct {
	// Listen is host:port, or an address alone. The default is
	// 127.0.0.1:1883; port 0 takes a free one. Any host but a loopback
	// address needs Username and Password.
	Listen string

	// NextPorts is how many of the ports after Listen's are tried while one is
	// in use.
	NextPorts int

	// Username and Password are asked of every client if set.
	Username, Password string

	Log *slog.Logger // gets the broker's own log at debug level; nil: none
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

// ListenBroker starts a broker. It refuses to listen without credentials on
// anything but loopback, and names the port when it is in use.
func ListenBroker(o BrokerOptions) (*Broker, error) {
	host, port, err := o.address()
	if err != nil {
		return nil, err
	}
	listener, err := listenFrom(host, port, o.NextPorts)
	if err != nil {
		return nil, err
	}
	b := &Broker{server: mochi.New(brokerSettings(o.Log)), gate: newGate(listener)}
	if err := b.serve(o); err != nil {
		b.Close()
		return nil, fmt.Errorf("mqtt: start broker: %w", err)
	}
	return b, nil
}

func (b *Broker) serve(o BrokerOptions) error {
	if err := b.server.AddHook(&admission{username: o.Username, password: o.Password}, nil); err != nil {
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

func brokerSettings(log *slog.Logger) *mochi.Options {
	limits := mochi.NewDefaultServerCapabilities()
	// The default of 24 hours also takes away retained messages of that age.
	limits.MaximumMessageExpiryInterval = 0
	limits.MaximumSessionExpiryInterval = brokerSessions
	limits.MaximumPacketSize = brokerPacket
	limits.MaximumClientWritesPending = brokerPending
	return &mochi.Options{
		Capabilities:           limits,
		Logger:                 slog.New(newQuiet(log)),
		SysTopicResendInterval: brokerSysTopic,
	}
}

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

// mochi drops what still waits for its subscribers when it closes: without a
// pause, "stopped" would reach nobody.
const (
	drainLimit = 200 * time.Millisecond
	drainQuiet = 20 * time.Millisecond // without a packet: nothing is on its way at QoS 0
	drainPoll  = 2 * time.Millisecond
)

func (b *Broker) drain() {
	start := time.Now()
	for now := start; now.Sub(start) < drainLimit; now = time.Now() {
		if now.Sub(start) >= drainQuiet && now.Sub(b.sent.last()) >= drainQuiet && b.acknowledged() {
			return
		}
		time.Sleep(drainPoll)
	}
}

// acknowledged reports whether no connected subscriber owes an answer.
func (b *Broker) acknowledged() bool {
	for _, c := range b.server.Clients.GetAll() {
		if !c.Net.Inline && !c.Closed() && c.State.Inflight.Len() > 0 {
			return false
		}
	}
	return true
}

// traffic remembers when a packet was last sent.
type traffic struct {
	mochi.HookBase
	nanoseconds atomic.Int64
}

func (t *traffic) ID() string                { return "traffic" }
func (t *traffic) Provides(method byte) bool { return method == mochi.OnPacketSent }
func (t *traffic) last() time.Time           { return time.Unix(0, t.nanoseconds.Load()) }

func (t *traffic) OnPacketSent(*mochi.Client, packets.Packet, []byte) {
	t.nanoseconds.Store(time.Now().UnixNano())
}

// address is the host and port to listen on, once that is allowed.
func (o *BrokerOptions) address() (host string, port int, err error) {
	listen := o.Listen
	if listen == "" {
		listen = "127.0.0.1"
	}
	if _, err := strconv.ParseUint(listen, 10, 16); err == nil {
		return "", 0, fmt.Errorf("mqtt: broker address %q is a port alone, want host:port", listen)
	}
	h, p, err := net.SplitHostPort(listen)
	if err != nil {
		h, p = strings.Trim(listen, "[]"), "1883"
	}
	n, err := strconv.ParseUint(p, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("mqtt: broker address %q: want host:port", listen)
	}
	if (o.Username == "") != (o.Password == "") {
		return "", 0, errors.New("mqtt: broker needs both a user name and a password, or neither")
	}
	if o.Username == "" && !isLoopback(h) {
		return "", 0, fmt.Errorf("mqtt: broker on %s is open to the network: set a user name and password, or listen on 127.0.0.1", listen)
	}
	return h, int(n), nil
}

func isLoopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// listenFrom listens on port or, while that is in use, on one of the next.
func listenFrom(host string, port, next int) (net.Listener, error) {
	last := min(port+next, 1<<16-1)
	for p := port; ; p++ {
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(p)))
		switch {
		case err == nil:
			return l, nil
		case !errors.Is(err, syscall.EADDRINUSE):
			return nil, fmt.Errorf("mqtt: broker: %w", err)
		case p < last:
			continue
		}
		return nil, fmt.Errorf("mqtt: broker on %s: port in use, is another broker running?", net.JoinHostPort(host, portRange(port, last)))
	}
}

func portRange(first, last int) string {
	if first == last {
		return strconv.Itoa(first)
	}
	return fmt.Sprintf("%d-%d", first, last)
}

// admission lets in who knows the password, or everybody where there is none,
// and lets everybody inside read and write every topic.
type admission struct {
	mochi.HookBase
	username, password string
}

func (a *admission) ID() string { return "admission" }

func (a *admission) Provides(method byte) bool {
	return method == mochi.OnConnectAuthenticate || method == mochi.OnACLCheck
}

func (a *admission) OnConnectAuthenticate(_ *mochi.Client, pk packets.Packet) bool {
	if a.username == "" {
		return true
	}
	name := subtle.ConstantTimeCompare(pk.Connect.Username, []byte(a.username))
	word := subtle.ConstantTimeCompare(pk.Connect.Password, []byte(a.password))
	return name&word == 1
}

func (a *admission) OnACLCheck(*mochi.Client, string, bool) bool { return true }
