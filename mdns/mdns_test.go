package mdns

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// responder answers questions of its group on the loopback interface by answer, which gets each
// question's message, and counts them.
type responder struct {
	network
	asked atomic.Int32
}

func newResponder(t *testing.T, answer func(q dnsmessage.Message) []byte) *responder {
	t.Helper()
	lo, err := net.InterfaceByIndex(1)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.ListenMulticastUDP("udp4", lo, net.UDPAddrFromAddrPort(netip.AddrPortFrom(group.Addr(), 0)))
	if err != nil {
		t.Fatal(err)
	}
	out, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}) // else an answer's source is another interface's
	if err != nil {
		t.Fatal(err)
	}
	r := &responder{network: network{
		group:      netip.AddrPortFrom(group.Addr(), conn.LocalAddr().(*net.UDPAddr).AddrPort().Port()),
		interfaces: func() ([]net.Interface, error) { return []net.Interface{*lo}, nil },
		times:      1000, wait: 50 * time.Millisecond, // until Go's resolver gives up: the machine may be busy
	}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		packet := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(packet)
			if err != nil {
				return
			}
			r.asked.Add(1)
			var q dnsmessage.Message
			if err := q.Unpack(packet[:n]); err != nil {
				t.Errorf("asked what is no message: %v", err)
			} else if reply := answer(q); reply != nil {
				_, _ = out.WriteToUDPAddrPort(reply, from)
			}
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done; out.Close() })
	return r
}

// reply answers q by an address, as RFC 6762, section 6.7, has it for who asks once.
func reply(q dnsmessage.Message, address [4]byte) dnsmessage.Message {
	q.Response, q.Authoritative, q.Additionals = true, true, nil
	q.Answers = []dnsmessage.Resource{{
		Header: dnsmessage.ResourceHeader{Name: q.Questions[0].Name, Class: dnsmessage.ClassINET, TTL: 10},
		Body:   &dnsmessage.AResource{A: address},
	}}
	return q
}

func packed(m dnsmessage.Message) []byte {
	b, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return b
}

// answers is a responder for IPv4 addresses.
func answers(q dnsmessage.Message) []byte {
	if q.Questions[0].Type != dnsmessage.TypeA {
		return nil
	}
	return packed(reply(q, [4]byte{192, 0, 2, 7}))
}

// TestLocalName: a name in .local is found by multicast, in any case of letters, and others
// are not asked for there.
func TestLocalName(t *testing.T) {
	r := newResponder(t, answers)
	for _, name := range []string{"homeassistant.local", "HomeAssistant.Local."} {
		got, err := r.resolver().LookupNetIP(context.Background(), "ip4", name)
		if err != nil || !slices.Equal(got, []netip.Addr{netip.MustParseAddr("192.0.2.7")}) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	before := r.asked.Load()
	for _, name := range []string{"local", "homeassistant.local.invalid", "xlocal.invalid"} {
		if got, err := r.resolver().LookupNetIP(context.Background(), "ip4", name); err == nil {
			t.Errorf("%s is %v", name, got)
		}
	}
	if n := r.asked.Load() - before; n != 0 {
		t.Errorf("the local network was asked %d times for names that are not in .local", n)
	}
}

// TestLostQuestion: networks lose multicast, so a question is asked again.
func TestLostQuestion(t *testing.T) {
	first := true
	r := newResponder(t, func(q dnsmessage.Message) []byte {
		if first {
			first = false
			return nil
		}
		return answers(q)
	})
	if got, err := r.resolver().LookupNetIP(context.Background(), "ip4", "homeassistant.local"); err != nil {
		t.Errorf("%v, %v", got, err)
	}
}

// TestForeignAnswers: what is no answer to the question is passed over.
func TestForeignAnswers(t *testing.T) {
	for name, spoil := range map[string]func(m *dnsmessage.Message){
		"another id":       func(m *dnsmessage.Message) { m.ID++ },
		"a question":       func(m *dnsmessage.Message) { m.Response = false },
		"a refusal":        func(m *dnsmessage.Message) { m.RCode = dnsmessage.RCodeRefused },
		"another question": func(m *dnsmessage.Message) { m.Questions[0].Name = dnsmessage.MustNewName("other.local.") },
		"another type":     func(m *dnsmessage.Message) { m.Questions[0].Type = dnsmessage.TypeAAAA },
		"no question":      func(m *dnsmessage.Message) { m.Questions = nil },
		"no answer":        func(m *dnsmessage.Message) { m.Answers = nil },
		"another record":   func(m *dnsmessage.Message) { m.Answers[0].Body = &dnsmessage.AAAAResource{} },
	} {
		t.Run(name, func(t *testing.T) {
			good := reply(dnsmessage.Message{Header: dnsmessage.Header{ID: 77}, Questions: []dnsmessage.Question{
				{Name: dnsmessage.MustNewName("homeassistant.local."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}}, [4]byte{192, 0, 2, 7})
			ask, ok := parse(packed(dnsmessage.Message{Header: dnsmessage.Header{ID: 77}, Questions: good.Questions}))
			if !ok || !ask.answeredBy(packed(good)) {
				t.Fatal("the answer is not known for one")
			}
			good.Questions = slices.Clone(good.Questions)
			spoil(&good)
			if ask.answeredBy(packed(good)) {
				t.Error("is an answer")
			}
		})
	}
}

// TestOnlyNeighbours: an answer counts that comes from a network that was asked.
func TestOnlyNeighbours(t *testing.T) {
	here := []netip.Prefix{netip.MustParsePrefix("10.0.2.0/24")}
	for from, want := range map[string]bool{"10.0.2.9": true, "::ffff:10.0.2.9": true, "10.0.3.9": false, "192.0.2.1": false} {
		if got := within(here, netip.MustParseAddr(from)); got != want {
			t.Errorf("%s: %v", from, got)
		}
	}
}

// TestNobodyAnswers: then DNS is asked, whose word holds.
func TestNobodyAnswers(t *testing.T) {
	r := newResponder(t, func(dnsmessage.Message) []byte { return nil })
	r.times = 2
	dns, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer dns.Close()
	go func() {
		packet := make([]byte, 1500)
		for {
			n, from, err := dns.ReadFromUDPAddrPort(packet)
			if err != nil {
				return
			}
			var q dnsmessage.Message
			if q.Unpack(packet[:n]) == nil {
				m := reply(q, [4]byte{192, 0, 2, 8})
				m.RecursionAvailable = true
				_, _ = dns.WriteToUDPAddrPort(packed(m), from)
			}
		}
	}()
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, kind, _ string) (net.Conn, error) {
		return r.dial(ctx, kind, dns.LocalAddr().String())
	}}
	got, err := resolver.LookupNetIP(context.Background(), "ip4", "corp.local")
	if err != nil || !slices.Equal(got, []netip.Addr{netip.MustParseAddr("192.0.2.8")}) {
		t.Errorf("%v, %v", got, err)
	}
}

// TestWithoutDNS: where no server of DNS can be reached the local network is asked all the same.
func TestWithoutDNS(t *testing.T) {
	r := newResponder(t, answers)
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, kind, _ string) (net.Conn, error) {
		return r.dial(ctx, kind, "[fe80::1]:53")
	}}
	if got, err := resolver.LookupNetIP(context.Background(), "ip4", "homeassistant.local"); err != nil {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := resolver.LookupNetIP(context.Background(), "ip4", "homeassistant.invalid"); err == nil || !strings.Contains(err.Error(), "fe80::1") {
		t.Errorf("%v, %v", got, err)
	}
}

// TestGivenUp: a lookup ends with its context.
func TestGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	r := newResponder(t, func(dnsmessage.Message) []byte { cancel(); return nil })
	if got, err := r.resolver().LookupNetIP(ctx, "ip4", "homeassistant.local"); err == nil {
		t.Errorf("%v", got)
	}
}

// FuzzAnswer: no packet from the network does harm, and what counts as an answer has the question's id.
func FuzzAnswer(f *testing.F) {
	ask, _ := parse(packed(dnsmessage.Message{Header: dnsmessage.Header{ID: 77}, Questions: []dnsmessage.Question{
		{Name: dnsmessage.MustNewName("homeassistant.local."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}}))
	f.Add(packed(reply(dnsmessage.Message{Header: dnsmessage.Header{ID: 77}, Questions: []dnsmessage.Question{ask.Question}}, [4]byte{192, 0, 2, 7})))
	f.Fuzz(func(t *testing.T, packet []byte) {
		if ask.answeredBy(packet) && (packet[0] != 0 || packet[1] != 77) {
			t.Errorf("an answer: %x", packet)
		}
		parse(packet)
	})
}
