// Package mdns looks up names in .local where their owners answer for them: in the local
// networks, by multicast (RFC 6762, as who asks but once, section 5.1). A static program asks
// /etc/hosts and DNS alone, where other programs reach a name such as homeassistant.local by modules
// of the system's C library.
package mdns

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/net/ipv4"
)

// group is where questions go.
var group = netip.MustParseAddrPort("224.0.0.251:5353")

// Resolver is Go's own, for net.DefaultResolver: it asks /etc/hosts, then for a name in .local the
// local networks over IPv4, and DNS where nobody there answers within a second.
// It is safe for concurrent use.
func Resolver() *net.Resolver {
	// Owners answer at once, but networks lose multicast.
	return network{group, net.Interfaces, 3, time.Second / 3}.resolver()
}

// network is whom to ask, through which interfaces, how many times, and how long to wait each time.
type network struct {
	group      netip.AddrPort
	interfaces func() ([]net.Interface, error)
	times      int
	wait       time.Duration
}

func (n network) resolver() *net.Resolver { return &net.Resolver{PreferGo: true, Dial: n.dial} }

// dial connects Go's resolver to a server of DNS, and puts itself between for questions
// over UDP, where no server can be reached too.
func (n network) dial(ctx context.Context, kind, address string) (net.Conn, error) {
	server, err := new(net.Dialer).DialContext(ctx, kind, address)
	if !strings.HasPrefix(kind, "udp") {
		return server, err
	}
	c := &conn{network: n, ctx: ctx, unreachable: err}
	if err == nil {
		c.UDPConn = server.(*net.UDPConn)
	} else if c.UDPConn, err = net.ListenUDP("udp4", nil); err != nil {
		return nil, err
	}
	return c, nil
}

// conn is a connection to a server of DNS for one question; one about a name in .local is put to
// the network first.
type conn struct {
	*net.UDPConn
	network     network
	ctx         context.Context
	unreachable error // the server
	answer      []byte
}

func (c *conn) Write(query []byte) (int, error) {
	if q, ok := parse(query); ok && q.local() {
		if c.answer = c.network.ask(c.ctx, q, query); c.answer != nil {
			return len(query), nil
		}
	}
	if c.unreachable != nil {
		return 0, c.unreachable
	}
	return c.UDPConn.Write(query)
}

func (c *conn) Read(b []byte) (int, error) {
	if c.answer == nil {
		return c.UDPConn.Read(b)
	}
	n := copy(b, c.answer)
	c.answer = nil
	return n, nil
}

// ask is the first answer from the network, nil without one.
func (n network) ask(ctx context.Context, q question, query []byte) []byte {
	socket, err := net.ListenUDP("udp4", nil)
	if err != nil {
		return nil
	}
	defer socket.Close()
	for range n.times {
		asked := n.send(socket, query)
		if err := socket.SetReadDeadline(time.Now().Add(n.wait)); err != nil {
			return nil
		}
		if answer := q.await(socket, asked); answer != nil || ctx.Err() != nil {
			return answer
		}
	}
	return nil
}

// send puts the query to every network that the box is in, and returns these.
func (n network) send(socket *net.UDPConn, query []byte) (asked []netip.Prefix) {
	list, err := n.interfaces()
	if err != nil {
		return nil
	}
	out := ipv4.NewPacketConn(socket)
	for _, one := range list {
		if one.Flags&net.FlagUp == 0 {
			continue
		}
		_, err := out.WriteTo(query, &ipv4.ControlMessage{IfIndex: one.Index}, net.UDPAddrFromAddrPort(n.group))
		addresses, _ := one.Addrs()
		if err != nil {
			continue // this one has no IPv4, or no multicast
		}
		for _, a := range addresses {
			if prefix, err := netip.ParsePrefix(a.String()); err == nil {
				asked = append(asked, prefix)
			}
		}
	}
	return asked
}

// within reports whether an address is of one of the networks: others have no business
// answering (section 11).
func within(networks []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(a.Unmap()) })
}

// question is what a message of Go's resolver asks.
type question struct {
	id uint16
	dnsmessage.Question
}

// parse reports false for a message that does not ask one question.
func parse(message []byte) (question, bool) {
	var p dnsmessage.Parser
	header, err := p.Start(message)
	if err != nil {
		return question{}, false
	}
	list, err := p.AllQuestions()
	if err != nil || len(list) != 1 {
		return question{}, false
	}
	return question{header.ID, list[0]}, true
}

func (q question) local() bool {
	return strings.HasSuffix(strings.ToLower(q.Name.String()), ".local.")
}

// await reads from the socket until there is an answer from one of the networks, nil when time is up.
func (q question) await(socket *net.UDPConn, asked []netip.Prefix) []byte {
	packet := make([]byte, 9000) // the most that there may be (section 17)
	for {
		n, from, err := socket.ReadFromUDPAddrPort(packet)
		if err != nil {
			return nil
		}
		if within(asked, from.Addr()) && q.answeredBy(packet[:n]) {
			return packet[:n]
		}
	}
}

// answeredBy reports whether a packet answers the question with what was asked for.
func (q question) answeredBy(packet []byte) bool {
	var p dnsmessage.Parser
	header, err := p.Start(packet)
	if err != nil || !header.Response || header.ID != q.id || header.RCode != dnsmessage.RCodeSuccess {
		return false
	}
	asked, err := p.AllQuestions()
	if err != nil || len(asked) != 1 || asked[0].Type != q.Type || asked[0].Class != q.Class || !strings.EqualFold(asked[0].Name.String(), q.Name.String()) {
		return false
	}
	for {
		answer, err := p.AnswerHeader()
		if err != nil {
			return false
		}
		if answer.Type == q.Type {
			return true
		}
		if p.SkipAnswer() != nil {
			return false
		}
	}
}
