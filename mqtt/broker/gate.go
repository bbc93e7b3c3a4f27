package broker

import (
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/mochi-mqtt/server/v2/listeners"
)

const (
	// maxConns bounds the connections, authenticated or not.
	maxConns = 128

	// connectLimit is how long a new connection may take to send CONNECT;
	// mochi itself would wait for ever. CONNECT replaces the deadline.
	connectLimit = 10 * time.Second
)

// gate is the broker's listener: mochi's own listeners neither bound
// nor track the connections they accept. It owns their goroutines.
type gate struct {
	listener net.Listener
	large    func() // told of packets that are too large

	mu    sync.Mutex
	conns map[net.Conn]struct{} // nil once shut
	wg    sync.WaitGroup
}

func newGate(l net.Listener) *gate {
	return &gate{listener: l, conns: make(map[net.Conn]struct{})}
}

func (g *gate) Init(*slog.Logger) error { return nil }
func (g *gate) ID() string              { return "gate" }
func (g *gate) Protocol() string        { return "tcp" }
func (g *gate) Address() string         { return g.listener.Addr().String() }

// Serve accepts until the gate is shut. mochi calls it in a goroutine.
func (g *gate) Serve(establish listeners.EstablishFn) {
	for {
		accepted, err := g.listener.Accept()
		conn := &framed{Conn: accepted, limit: maxForeign, tell: g.large}
		switch {
		case err == nil && g.admit(conn, false):
			go g.attend(g.ID(), conn, establish)
		case err == nil:
			conn.Close()
		case g.isShut():
			return
		default: // out of file descriptors, most likely
			time.Sleep(100 * time.Millisecond)
		}
	}
}

// admit counts conn in, unless the gate is shut or, but for the owner, full.
func (g *gate) admit(conn net.Conn, owner bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.conns == nil || !owner && len(g.conns) >= maxConns {
		return false
	}
	g.conns[conn] = struct{}{}
	g.wg.Add(1)
	return true
}

// attend serves one client to its end. mochi's error is in its own log.
func (g *gate) attend(name string, conn net.Conn, establish listeners.EstablishFn) {
	defer g.wg.Done()
	defer g.dismiss(conn)
	conn.SetDeadline(time.Now().Add(connectLimit))
	establish(name, conn)
}

func (g *gate) dismiss(conn net.Conn) {
	conn.Close()
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.conns, conn)
}

func (g *gate) isShut() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.conns == nil
}

// shut stops listening, cuts every connection and waits for their goroutines.
func (g *gate) shut() {
	g.mu.Lock()
	g.listener.Close()
	for conn := range g.conns {
		conn.Close()
	}
	g.conns = nil
	g.mu.Unlock()
	g.wg.Wait()
}

// Close is mochi's way to shut the gate; the clients are gone already.
func (g *gate) Close(listeners.CloseFn) { g.shut() }
