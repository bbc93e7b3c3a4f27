package mqtt

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/eclipse/paho.golang/packets"
)

var errMalformed = errors.New("the broker sent a malformed packet")

// link5 is MQTT 5 by the packets of paho.golang. Its client is not used: without a
// goroutine a message it does not tell which were acknowledged, it finds a
// half-open connection after twice the keep-alive, and its session state, which a
// clean start has no use for, races with itself:
// https://github.com/eclipse-paho/paho.golang/issues/343
//
// A goroutine reads, and one writes and pings; each ends with the wire.
type link5 struct {
	wire     *wire
	received func(Message)
	limits   limits
	interval time.Duration // between pings
	out      chan outgoing // holds one, so that who is told that the wire is ready never waits
	pong     chan struct{} // holds one
	wg       sync.WaitGroup
	joined   chan struct{} // closed when the goroutines have ended and all receipts are done

	mu      sync.Mutex
	last    uint16               // packet identifier given out
	waiting map[uint16]*receipt5 // for PUBACK
	suback  chan *packets.Suback // holds one
}

// outgoing is a packet, and the receipt that is done when it is written.
type outgoing struct {
	packet  []byte
	receipt *receipt5 // nil: none
}

// receipt5 is done once.
type receipt5 struct {
	done chan struct{}
	err  error
}

func newReceipt() *receipt5 { return &receipt5{done: make(chan struct{})} }

func (r *receipt5) Done() <-chan struct{} { return r.done }
func (r *receipt5) Error() error          { return r.err }

func (r *receipt5) end(err error) {
	r.err = err
	close(r.done)
}

// connect5 shakes hands over w within dialTimeout, or fails and has closed it.
func connect5(w *wire, o *Options, at address) (*link5, error) {
	l := &link5{
		wire: w, received: o.Received, interval: keepAlive,
		out: make(chan outgoing, 1), pong: make(chan struct{}, 1), joined: make(chan struct{}),
		waiting: make(map[uint16]*receipt5), suback: make(chan *packets.Suback, 1),
		limits: o.limits(),
	}
	w.SetReadDeadline(time.Now().Add(dialTimeout))
	if err := l.shakeHands(o); err != nil {
		w.Close()
		return nil, closedUnanswered(err, o.Will, at)
	}
	w.SetReadDeadline(time.Time{})
	l.wg.Go(l.read)
	l.wg.Go(l.write)
	go l.finish()
	return l, nil
}

func (l *link5) shakeHands(o *Options) error {
	if _, err := l.wire.Write(connect(o)); err != nil {
		return err
	}
	data, err := l.wire.readPacket()
	if err != nil {
		return err
	}
	if len(data) == 4 && data[0]>>4 == packets.CONNACK && data[3] == 1 {
		return &refused{"the connection", codeBadVersion} // in the words of 3.1.1
	}
	p, err := decode(data)
	if err != nil {
		return err
	}
	ack, ok := p.Content.(*packets.Connack)
	switch {
	case !ok:
		return errMalformed
	case ack.ReasonCode >= failure:
		return &refused{"the connection", code(ack.ReasonCode)}
	}
	l.take(ack.Properties)
	return nil
}

func connect(o *Options) []byte {
	size, unacknowledged := uint32(maxIncoming), uint16(maxAcks)
	c := &packets.Connect{
		ProtocolName: "MQTT", ProtocolVersion: 5, CleanStart: true, KeepAlive: uint16(keepAlive.Seconds()),
		ClientID: o.ClientID, Username: o.Username, UsernameFlag: o.Username != "",
		Password: []byte(o.Password), PasswordFlag: o.Password != "",
		Properties: &packets.Properties{MaximumPacketSize: &size, ReceiveMaximum: &unacknowledged},
	}
	if w := o.Will; w != nil {
		c.WillFlag, c.WillTopic, c.WillMessage, c.WillQOS, c.WillRetain = true, w.Topic, w.Payload, w.QoS, w.Retain
		c.WillProperties = &packets.Properties{}
	}
	return encode(c)
}

// take obeys what the broker says of itself.
func (l *link5) take(p *packets.Properties) {
	l.limits.noRetain = l.limits.noRetain || p.RetainAvailable != nil && *p.RetainAvailable == 0
	l.limits.noQoS1 = l.limits.noQoS1 || p.MaximumQOS != nil && *p.MaximumQOS == 0
	if p.ReceiveMaximum != nil {
		l.limits.window = max(int(*p.ReceiveMaximum), 1)
	}
	if p.MaximumPacketSize != nil {
		l.limits.packet = int(min(*p.MaximumPacketSize, maxPacket))
	}
	if p.ServerKeepAlive != nil && *p.ServerKeepAlive > 0 { // to ping more often is allowed
		l.interval = min(l.interval, time.Duration(*p.ServerKeepAlive)*time.Second)
	}
}

// maxPacket is the largest packet that the protocol knows, after its header.
const maxPacket = 1<<28 - 1

// encode gives a packet's bytes. It panics above maxPacket:
// https://github.com/eclipse-paho/paho.golang/issues/324
func encode(p packets.Packet) []byte {
	var b bytes.Buffer
	p.WriteTo(&b) // to memory
	return b.Bytes()
}

// decode reads a whole packet, as wire gives it: with a length of four bytes at
// most, since the library would read on for ever,
// https://github.com/eclipse-paho/paho.golang/issues/324.
func decode(data []byte) (*packets.ControlPacket, error) {
	if bytes.Equal(data, []byte{packets.DISCONNECT << 4, 0}) {
		p := packets.NewControlPacket(packets.DISCONNECT)
		return p, nil // which the library takes for cut short [MQTT-5 3.14.2.1]
	}
	p, err := packets.ReadPacket(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%w: %v", errMalformed, err) // its io.EOF is not the connection's
	}
	return p, nil
}

// fail ends the link, for a reason unless another is known.
func (l *link5) fail(err error) {
	l.wire.note(err)
	l.wire.Close()
}

func (l *link5) read() {
	for {
		data, err := l.wire.readPacket()
		if err == nil {
			err = l.handle(data)
		}
		if err != nil {
			l.fail(err)
			return
		}
	}
}

func (l *link5) handle(data []byte) error {
	p, err := decode(data)
	if err != nil {
		return err
	}
	switch p := p.Content.(type) {
	case *packets.Puback:
		l.acknowledged(p.PacketID, code(p.ReasonCode))
	case *packets.Suback:
		select {
		case l.suback <- p:
		default: // nobody asked
		}
	case *packets.Publish:
		return l.deliver(p)
	case *packets.Pingresp:
		signal(l.pong)
	case *packets.Disconnect:
		err := &disconnected{code(p.ReasonCode)}
		l.wire.heard(err)
		return err
	default:
		return fmt.Errorf("%w: of type %d", errMalformed, data[0]>>4)
	}
	return nil
}

func (l *link5) acknowledged(id uint16, c code) {
	l.mu.Lock()
	r := l.waiting[id]
	delete(l.waiting, id)
	l.mu.Unlock()
	switch {
	case r == nil: // twice, or of nothing: https://github.com/eclipse-paho/paho.golang/issues/179
	case c >= failure:
		r.end(&refused{"a message", c})
	default:
		r.end(nil)
	}
}

func (l *link5) deliver(p *packets.Publish) error {
	if p.QoS > 1 || p.Topic == "" || l.received == nil { // more than was asked for
		return fmt.Errorf("%w: a message of QoS %d on %.40q", errMalformed, p.QoS, p.Topic)
	}
	l.received(Message{Topic: p.Topic, Payload: p.Payload, QoS: p.QoS, Retain: p.Retain})
	if p.QoS == 0 {
		return nil
	}
	return l.wire.puback([2]byte{byte(p.PacketID >> 8), byte(p.PacketID)})
}

// write writes what is handed over, and pings.
func (l *link5) write() {
	ping := time.NewTimer(l.interval)
	defer ping.Stop()
	answered := true
	for {
		select {
		case o := <-l.out:
			if _, err := l.wire.Write(o.packet); err != nil {
				l.broken()
				return
			}
			if o.receipt != nil {
				o.receipt.end(nil)
			}
		case <-ping.C:
			if !answered {
				l.fail(errNoPing)
				return
			}
			if _, err := l.wire.Write([]byte{packets.PINGREQ << 4, 0}); err != nil {
				l.broken()
				return
			}
			answered = false
			ping.Reset(pingTimeout)
		case <-l.pong:
			answered = true
			ping.Reset(l.interval)
		case <-l.wire.closed:
			return
		}
	}
}

// broken ends the link after a failed write. The broker may have said why it closed
// the connection: what it said last is read first.
func (l *link5) broken() {
	timer := time.NewTimer(lastWords)
	defer timer.Stop()
	select {
	case <-l.wire.closed:
	case <-timer.C:
		l.wire.Close()
	}
}

const lastWords = 100 * time.Millisecond

// finish ends what waits when nothing comes any more.
func (l *link5) finish() {
	l.wg.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.waiting {
		r.end(errLinkLost)
	}
	l.waiting = nil
	close(l.joined)
}

var errLinkLost = errors.New("connection lost")

func (l *link5) publish(m Message) receipt {
	p := &packets.Publish{Topic: m.Topic, Payload: m.Payload, QoS: m.QoS, Retain: m.Retain, Properties: &packets.Properties{}}
	r, written := newReceipt(), (*receipt5)(nil)
	if m.QoS > 0 {
		p.PacketID = l.expect(r)
	} else {
		written = r
	}
	select {
	case l.out <- outgoing{encode(p), written}:
	case <-l.wire.closed:
	}
	return r
}

// expect gives a message an identifier, and r what comes for it.
func (l *link5) expect(r *receipt5) uint16 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting == nil {
		r.end(errLinkLost)
		return 1
	}
	for l.last++; l.last == 0 || l.waiting[l.last] != nil; l.last++ {
	}
	l.waiting[l.last] = r
	return l.last
}

func (l *link5) subscribe(filters []string) (map[string]byte, error) {
	p := &packets.Subscribe{PacketID: 1, Properties: &packets.Properties{}}
	for _, f := range filters {
		p.Subscriptions = append(p.Subscriptions, packets.SubOptions{Topic: f, QoS: 1})
	}
	timer := time.NewTimer(ackTimeout)
	defer timer.Stop()
	l.out <- outgoing{packet: encode(p)} // nothing else is sent yet
	select {
	case ack := <-l.suback:
		if len(ack.Reasons) != len(filters) {
			return nil, errMalformed
		}
		codes := make(map[string]byte)
		for i, f := range filters {
			codes[f] = ack.Reasons[i]
		}
		return codes, nil
	case <-l.wire.closed:
		return nil, fmt.Errorf("subscribe: %w", l.wire.why(errLinkLost))
	case <-timer.C:
		return nil, errNoSuback
	}
}

func (l *link5) leave() {
	timer := time.NewTimer(goodbyeTimeout)
	defer timer.Stop()
	written := newReceipt()
	select {
	case l.out <- outgoing{[]byte{packets.DISCONNECT << 4, 0}, written}:
	case <-timer.C:
		return
	case <-l.wire.closed:
		return
	}
	select {
	case <-written.done:
	case <-timer.C:
	case <-l.wire.closed:
	}
}

func (l *link5) join() { <-l.joined }
