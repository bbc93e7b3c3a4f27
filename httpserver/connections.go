package httpserver

import (
	"net"
	"slices"
	"sync"
)

// mostConnections may be open to a server at once: some probes and pages.
const mostConnections = 64

// bounded is a listener with mostConnections open at once: for one too many the
// oldest is closed. A probe that asks and goes is answered though others
// hold on to theirs.
type bounded struct {
	net.Listener

	mu   sync.Mutex
	open []*boundedConn // the oldest first
}

type boundedConn struct {
	net.Conn
	of *bounded
}

func (b *bounded) Accept() (net.Conn, error) {
	conn, err := b.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &boundedConn{conn, b}
	if oldest := b.add(c); oldest != nil {
		oldest.Close() // its reader finds out
	}
	return c, nil
}

// add returns the connection that must give way, nil where there is room.
func (b *bounded) add(c *boundedConn) (oldest *boundedConn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open = append(b.open, c)
	if len(b.open) > mostConnections {
		return b.open[0]
	}
	return nil
}

// Close takes the connection off the list.
func (c *boundedConn) Close() error {
	c.of.mu.Lock()
	c.of.open = slices.DeleteFunc(c.of.open, func(o *boundedConn) bool { return o == c })
	c.of.mu.Unlock()
	return c.Conn.Close()
}
