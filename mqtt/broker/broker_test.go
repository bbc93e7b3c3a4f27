package broker_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"dynvit/mqtt"
	"dynvit/mqtt/broker"
	"dynvit/mqtt/mqtttest"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

const node = "dynvit/box"

func status(word string) mqtt.Message {
	return mqtt.Message{Topic: node + "/status", Payload: []byte(word), QoS: 1, Retain: true}
}

// client starts one that says "online" and "stopped" to b.
func client(t *testing.T, b *broker.Broker) *mqtt.Client {
	t.Helper()
	c, err := mqtt.New(mqtt.Options{Broker: b.URL(), ClientID: "dynvit-box", Birth: []mqtt.Message{status("online")}})
	if err != nil {
		t.Fatal(err)
	}
	c.Start()
	return c
}

func event(t *testing.T, c *mqtt.Client) {
	t.Helper()
	if err := c.Publish(mqtt.Message{Topic: node + "/event", Payload: []byte("e"), QoS: 1}); err != nil {
		t.Fatal(err)
	}
}

func stop(t *testing.T, c *mqtt.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := c.Close(ctx, status("stopped")); err != nil {
		t.Error(err)
	}
}

// patience is how long anything may take that does come.
const patience = 2 * time.Minute

func listen(t *testing.T, o broker.Options) *broker.Broker {
	t.Helper()
	b, err := broker.Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// subscriber reads from a real broker by hand.
type subscriber struct {
	conn net.Conn
	r    *bufio.Reader
}

// subscribe connects to addr, where nothing is retained yet, and asks for all
// topics of the node.
func subscribe(t *testing.T, addr, username, password string) *subscriber {
	t.Helper()
	s := dialBroker(t, addr)
	if code := s.connect(t, username, password); code != packets.Accepted {
		t.Fatalf("the broker refused the subscriber with code %d", code)
	}
	s.exchange(t, subscription())
	// mochi looks up what is retained after SUBACK, and before it answers this.
	s.exchange(t, packets.NewControlPacket(packets.Pingreq))
	return s
}

// retained is the one message of the node that is retained at addr.
func retained(t *testing.T, addr string) string {
	t.Helper()
	s := dialBroker(t, addr)
	s.connect(t, "", "")
	s.exchange(t, subscription())
	return s.next(t)
}

func dialBroker(t *testing.T, addr string) *subscriber {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return &subscriber{conn, bufio.NewReader(conn)}
}

func subscription() packets.ControlPacket {
	p := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
	p.MessageID, p.Topics, p.Qoss = 1, []string{node + "/#"}, []byte{0}
	return p
}

func (s *subscriber) connect(t *testing.T, username, password string) byte {
	t.Helper()
	p := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	p.ProtocolName, p.ProtocolVersion, p.CleanSession = "MQTT", 4, true
	p.ClientIdentifier, p.Keepalive = s.conn.LocalAddr().String(), 60 // each its own
	p.Username, p.UsernameFlag = username, username != ""
	p.Password, p.PasswordFlag = []byte(password), password != ""
	return s.exchange(t, p).(*packets.ConnackPacket).ReturnCode
}

func (s *subscriber) exchange(t *testing.T, p packets.ControlPacket) packets.ControlPacket {
	t.Helper()
	if err := p.Write(s.conn); err != nil {
		t.Fatal(err)
	}
	return s.read(t)
}

func (s *subscriber) read(t *testing.T) packets.ControlPacket {
	t.Helper()
	p, err := packets.ReadPacket(s.r)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// next reads one message as "topic payload", topics without the node.
func (s *subscriber) next(t *testing.T) string {
	t.Helper()
	p, ok := s.read(t).(*packets.PublishPacket)
	if !ok {
		t.Fatalf("got %T, want a message", p)
	}
	return strings.TrimPrefix(p.TopicName, node+"/") + " " + string(p.Payload)
}

func TestCarriesMessages(t *testing.T) {
	b := listen(t, broker.Options{Listen: "127.0.0.1:0"})
	s := subscribe(t, b.Addr(), "", "")
	c := client(t, b)
	event(t, c)
	for _, want := range []string{"status online", "event e"} {
		if got := s.next(t); got != want {
			t.Errorf("read %q, want %q", got, want)
		}
	}
	stop(t, c)
	if got := s.next(t); got != "status stopped" {
		t.Errorf("read %q, want stopped", got)
	}
	if got := retained(t, b.Addr()); got != "status stopped" {
		t.Errorf("retained is %q, want stopped", got)
	}
}

func TestAsksForThePassword(t *testing.T) {
	const password = "hunter2-hunter2"
	var log mqtttest.Log
	b := listen(t, broker.Options{
		Listen: "0.0.0.0:0", Username: "cam", Password: password, Log: log.Logger(slog.LevelDebug),
	})
	if !strings.HasPrefix(b.URL(), "mqtt://127.0.0.1:") {
		t.Errorf("URL is %s, want one that reaches this machine", b.URL())
	}
	addr := strings.TrimPrefix(b.URL(), "mqtt://")
	for _, try := range [][2]string{{"", ""}, {"cam", ""}, {"cam", "wrong"}, {"", password}, {"other", password}} {
		if code := dialBroker(t, addr).connect(t, try[0], try[1]); code == packets.Accepted {
			t.Errorf("%q was let in", try)
		}
	}
	s := subscribe(t, addr, "cam", password)
	connectAgain := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	connectAgain.ProtocolName, connectAgain.ProtocolVersion = "MQTT", 4
	connectAgain.Username, connectAgain.UsernameFlag = "cam", true
	connectAgain.Password, connectAgain.PasswordFlag = []byte(password), true
	connectAgain.Write(s.conn) // a protocol error, which the broker logs with the packet
	if _, err := packets.ReadPacket(s.r); err == nil {
		t.Error("a second CONNECT was answered")
	}
	b.Close()
	if strings.Contains(log.String(), password) || strings.Contains(log.String(), fmt.Sprint([]byte(password))) {
		t.Errorf("the password is in the log:\n%s", log.String())
	}
	if strings.Contains(log.String(), "level=INFO") || strings.Contains(log.String(), "level=WARN") {
		t.Errorf("the broker's log is above debug:\n%s", log.String())
	}
	if log.String() == "" {
		t.Error("the broker logged nothing at all")
	}
}

func TestRefusesToListen(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	tests := []struct {
		name    string
		options broker.Options
		want    string
	}{
		{"every interface", broker.Options{Listen: ":0"}, "open to the network"},
		{"every interface by name", broker.Options{Listen: "0.0.0.0"}, "set a user name and password"},
		{"another address", broker.Options{Listen: "192.0.2.1:1883"}, "open to the network"},
		{"user without password", broker.Options{Listen: "0.0.0.0:0", Username: "cam"}, "both a user name and a password"},
		{"port alone", broker.Options{Listen: "1883"}, "want host:port"},
		{"bad port", broker.Options{Listen: "127.0.0.1:mqtt"}, "want host:port"},
		{"busy port", broker.Options{Listen: busy.Addr().String()}, busy.Addr().String() + ": port in use"},
		{"foreign address", broker.Options{Listen: "192.0.2.1:1883", Username: "a", Password: "b"}, "cannot assign requested address"},
	}
	for _, tt := range tests {
		b, err := broker.Listen(tt.options)
		if err == nil {
			b.Close()
			t.Errorf("%s: listens on %s", tt.name, b.Addr())
			continue
		}
		if !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want one line with ...%s...", tt.name, err, tt.want)
		}
	}
}

func TestTakesTheNextPort(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	b := listen(t, broker.Options{Listen: busy.Addr().String(), NextPorts: 50})
	first, got := busy.Addr().(*net.TCPAddr).Port, 0
	fmt.Sscanf(b.URL(), "mqtt://127.0.0.1:%d", &got)
	if got <= first || got > first+50 {
		t.Errorf("broker took %s, want a port up to fifty after %d", b.URL(), first)
	}
}

// mochi waits for ever for clients that connect and say nothing.
func TestClosesWithSilentClients(t *testing.T) {
	b := listen(t, broker.Options{Listen: mqtttest.Reserve(t)})
	s := subscribe(t, b.Addr(), "", "")
	silent, err := net.Dial("tcp", b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	done := make(chan error)
	go func() { done <- b.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-ctx.Done():
		t.Fatal("close hangs")
	}
	if _, err := s.r.ReadByte(); err == nil {
		t.Error("the subscriber's connection is still open")
	}
	if _, err := net.Dial("tcp", b.Addr()); err == nil {
		t.Error("the broker still listens")
	}
	if err := b.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
}

// TestDeliversTheLastWord: who closes the broker right after the
// client, as the daemon does, still reaches every subscriber.
func TestDeliversTheLastWord(t *testing.T) {
	b := listen(t, broker.Options{Listen: "127.0.0.1:0"})
	var list []*subscriber
	for range 20 {
		s := dialBroker(t, b.Addr())
		s.connect(t, "", "")
		s.exchange(t, subscription())
		s.exchange(t, packets.NewControlPacket(packets.Pingreq))
		list = append(list, s)
	}
	c := client(t, b)
	if got := list[0].next(t); got != "status online" {
		t.Fatalf("read %q, want online", got)
	}
	for range 100 {
		event(t, c)
	}
	stop(t, c)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		for s.next(t) != "status stopped" { // fails where the connection ends first
		}
	}
}
