package mqtt

import (
	"bufio"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"
)

// wire is a connection that remembers why it ended, bounds what it reads into
// memory, puts a deadline on every write and tells when a message has been written.
//
// paho.mqtt.golang closes connections from several places and reports only some of them
// (an unknown CONNACK code, for one, leaves its client "connected" on a closed
// socket), writes pings without a deadline, and does not tell when a QoS 1
// message is on its way.
type wire struct {
	net.Conn
	closed chan struct{} // closed by Close
	wrote  chan struct{} // gets one value for each PUBLISH written; holds one

	incoming incoming
	acks     chan [2]byte // of messages to acknowledge
	writing  sync.Mutex

	mu    sync.Mutex
	cause error // the first that Read or Write returned before Close
	once  sync.Once
}

func newWire(conn net.Conn, log *slog.Logger) *wire {
	w := &wire{Conn: conn, closed: make(chan struct{}), wrote: make(chan struct{}, 1), acks: make(chan [2]byte, maxAcks)}
	go w.acknowledge()
	told := false
	w.incoming = incoming{from: bufio.NewReader(conn), puback: w.puback, tell: func(topic string, bytes int) {
		if !told { // it may come again and again
			told = true
			log.Warn("mqtt: a message above the limit came, passed over", "topic", topic, "bytes", bytes, "limit", maxIncoming)
		}
	}}
	return w
}

// puback acknowledges a message, in either version of the protocol, without
// waiting: the broker may read nothing before what it writes is read.
func (w *wire) puback(id [2]byte) error {
	select {
	case w.acks <- id:
		return nil
	default:
		return errTooManySent
	}
}

func (w *wire) acknowledge() {
	for {
		select {
		case id := <-w.acks:
			if _, err := w.Write([]byte{packetPuback << 4, 2, id[0], id[1]}); err != nil {
				return // of which the reader will know
			}
		case <-w.closed:
			return
		}
	}
}

// maxAcks is how many messages may come without being acknowledged.
const maxAcks = 64

var errTooManySent = fmt.Errorf("the broker sent more than %d messages before they were acknowledged", maxAcks)

// Read gives the bytes of whole packets, to one goroutine at a time.
func (w *wire) Read(p []byte) (int, error) {
	n, err := w.incoming.Read(p)
	w.note(err)
	return n, err
}

// readPacket gives a whole packet, valid until the next one is read.
func (w *wire) readPacket() ([]byte, error) {
	data, err := w.incoming.whole()
	w.note(err)
	return data, err
}

// Write writes p, a whole packet, within writeTimeout.
func (w *wire) Write(p []byte) (int, error) {
	w.writing.Lock()
	defer w.writing.Unlock()
	w.Conn.SetWriteDeadline(time.Now().Add(writeTimeout)) // if it fails, so does Write
	n, err := w.Conn.Write(p)
	w.note(err)
	if err == nil && isPublish(p) {
		signal(w.wrote)
	}
	return n, err
}

// SetWriteDeadline does nothing: Write sets its own.
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// isPublish looks at the packet type [MQTT-2.2.1].
func isPublish(packet []byte) bool { return len(packet) > 0 && packet[0]>>4 == packetPublish }

func (w *wire) Close() error {
	w.once.Do(func() { close(w.closed) })
	return w.Conn.Close()
}

// note keeps the first error, unless Close brought it about.
func (w *wire) note(err error) {
	if err == nil || w.isClosed() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cause == nil {
		w.cause = err
	}
}

// heard replaces what was noted by what the broker says itself.
func (w *wire) heard(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cause = err
}

// why is why the connection ended; the guess where the wire saw nothing, since the
// library gave it up by itself.
func (w *wire) why(guess error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cause != nil {
		return w.cause
	}
	return guess
}

func (w *wire) isClosed() bool {
	select {
	case <-w.closed:
		return true
	default:
		return false
	}
}
