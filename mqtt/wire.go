package mqtt

import (
	"net"
	"sync"
)

// wire is a connection that remembers why it ended. paho closes connections
// from several places and reports only some of them (an unknown CONNACK code,
// for one, leaves its client "connected" on a closed socket), so the wire
// itself says when it is over.
type wire struct {
	net.Conn
	closed chan struct{}

	mu    sync.Mutex
	cause error // the first that Read or Write returned before Close
	once  sync.Once
}

func newWire(conn net.Conn) *wire {
	return &wire{Conn: conn, closed: make(chan struct{})}
}

func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.note(err)
	return n, err
}

func (w *wire) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	w.note(err)
	return n, err
}

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

// err is why the connection ended, nil where paho gave it up by itself.
func (w *wire) err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cause
}

func (w *wire) isClosed() bool {
	select {
	case <-w.closed:
		return true
	default:
		return false
	}
}
