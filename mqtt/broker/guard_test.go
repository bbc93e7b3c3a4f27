package broker_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"dynvit/mqtt/broker"
	"dynvit/mqtt/mqtttest"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// guarded is a broker whose owner's topics are the node's, but for commands, and
// its log.
func guarded(t *testing.T) (*broker.Broker, *mqtttest.Log) {
	t.Helper()
	log := new(mqtttest.Log)
	return listen(t, broker.Options{
		Listen: "127.0.0.1:0", Log: log.Logger(slog.LevelInfo),
		Owned: func(topic string) bool {
			return strings.HasPrefix(topic, node+"/") && !strings.HasPrefix(topic, node+"/cmd/")
		},
	}), log
}

// ownerOf connects b's owner.
func ownerOf(t *testing.T, b *broker.Broker) *subscriber {
	t.Helper()
	conn, err := b.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	s := &subscriber{conn, bufio.NewReader(conn)}
	if code := s.exchange(t, connection("dynvit-box")).(*packets.ConnackPacket).ReturnCode; code != packets.Accepted {
		t.Fatalf("the owner got code %d", code)
	}
	return s
}

// stranger connects over the network.
func stranger(t *testing.T, b *broker.Broker) *subscriber {
	t.Helper()
	s := dialBroker(t, b.Addr())
	if code := s.connect(t, "", ""); code != packets.Accepted {
		t.Fatalf("a stranger got code %d", code)
	}
	return s
}

func connection(id string) *packets.ConnectPacket {
	p := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	p.ProtocolName, p.ProtocolVersion, p.CleanSession, p.Keepalive, p.ClientIdentifier = "MQTT", 4, true, 60, id
	return p
}

// publish sends a message at QoS 1 and expects its acknowledgement.
func (s *subscriber) publish(t *testing.T, topic, payload string, retain bool) {
	t.Helper()
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.TopicName, p.Payload, p.Retain, p.Qos, p.MessageID = topic, []byte(payload), retain, 1, 1
	if _, ok := s.exchange(t, p).(*packets.PubackPacket); !ok {
		t.Fatal("no acknowledgement")
	}
}

// retainedAt lists what is retained on topics under a filter, payloads by topic.
func retainedAt(t *testing.T, b *broker.Broker, filter string) map[string]string {
	t.Helper()
	s := stranger(t, b)
	p := subscription().(*packets.SubscribePacket)
	p.Topics = []string{filter, "end"}
	p.Qoss = []byte{0, 0}
	s.exchange(t, p)
	if err := packets.NewControlPacket(packets.Pingreq).Write(s.conn); err != nil {
		t.Fatal(err)
	}
	found, looked := map[string]string{}, false
	for {
		switch m := s.read(t).(type) {
		case *packets.PingrespPacket: // it has looked up what is retained
			stranger(t, b).publish(t, "end", "", false)
			looked = true
		case *packets.PublishPacket:
			if looked && m.TopicName == "end" {
				return found
			}
			found[m.TopicName] = string(m.Payload)
		}
	}
}

func TestOwnersTopicsAreTheOwners(t *testing.T) {
	b, log := guarded(t)
	daemon, other := ownerOf(t, b), stranger(t, b)
	daemon.publish(t, node+"/status", "online", true)
	for range 3 {
		other.publish(t, node+"/status", "offline", true)
		other.publish(t, node+"/camera/door/state", "forged", true)
	}
	other.publish(t, node+"/cmd/keep", "0.5", true)
	other.publish(t, "house/light", "on", true)
	got := retainedAt(t, b, "#")
	if want := map[string]string{node + "/status": "online", node + "/cmd/keep": "0.5", "house/light": "on"}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("retained are %v, want %v", got, want)
	}
	if n := strings.Count(log.String(), "message refused"); n != 1 || !strings.Contains(log.String(), "topic="+node+"/status") {
		t.Errorf("the log names the refusal %d times:\n%s", n, log.String())
	}
	will := connection("mallory")
	will.WillFlag, will.WillTopic, will.WillMessage = true, node+"/status", []byte("offline")
	for name, p := range map[string]*packets.ConnectPacket{"a will on the owner's topic": will, "the owner's client id": connection("dynvit-box")} {
		if code := dialBroker(t, b.Addr()).exchange(t, p).(*packets.ConnackPacket).ReturnCode; code == packets.Accepted {
			t.Errorf("%s was let in", name)
		}
	}
	daemon.publish(t, node+"/status", "still here", true)
}

func TestRetainedMessagesAreBounded(t *testing.T) {
	b, log := guarded(t)
	other := stranger(t, b)
	large := strings.Repeat("x", 1_000_000)
	for i := range 40 {
		other.publish(t, fmt.Sprint("large/", i%20), large, true)
	}
	if n := len(retainedAt(t, b, "large/#")); n != 16 {
		t.Errorf("%d messages of 1 MB are retained, want 16", n)
	}
	other.publish(t, "large/3", "", true) // makes room for one
	other.publish(t, "large/30", large, true)
	other.publish(t, "large/31", large, true)
	if got := retainedAt(t, b, "large/#"); len(got) != 16 || got["large/30"] != large || got["large/31"] != "" {
		t.Errorf("%d messages of 1 MB are retained after one was cleared", len(got))
	}
	ownerOf(t, b).publish(t, node+"/camera/door/snapshot", strings.Repeat("x", 4<<20), true)
	if got := retainedAt(t, b, node+"/#"); len(got) != 1 {
		t.Error("the owner's picture is not retained beside them")
	}
	for i := range 16 {
		other.publish(t, fmt.Sprint("large/", i), "", true)
	}
	other.publish(t, "large/30", "", true)
	for i := range 10_003 {
		other.publish(t, fmt.Sprint("small/", i), "x", true)
	}
	if last, beyond := retainedAt(t, b, "small/9999"), retainedAt(t, b, "small/10000"); len(last) != 1 || len(beyond) != 0 {
		t.Errorf("small message 9999 is retained: %v, and 10000: %v", len(last), len(beyond))
	}
	if n := strings.Count(log.String(), "retained message refused"); n != 1 {
		t.Errorf("the log names the bound %d times:\n%s", n, log.String())
	}
}

func TestLargePacketsEndAtTheirHeader(t *testing.T) {
	b, log := guarded(t)
	s := stranger(t, b)
	if _, err := s.conn.Write([]byte{0x30, 0x80, 0x80, 0x80, 0x03}); err != nil { // 6 MiB follow
		t.Fatal(err)
	}
	if _, err := s.r.ReadByte(); err == nil {
		t.Error("the broker waits for a packet of 6 MiB")
	}
	first := dialBroker(t, b.Addr())
	if _, err := first.conn.Write([]byte{0x10, 0x80, 0x80, 0x80, 0x03}); err != nil {
		t.Fatal(err)
	}
	if _, err := first.r.ReadByte(); err == nil {
		t.Error("the broker waits for a CONNECT of 6 MiB")
	}
	if n := strings.Count(log.String(), "packet refused: others than the daemon may send 1 MiB"); n != 1 {
		t.Errorf("the log names the bound %d times:\n%s", n, log.String())
	}
	ownerOf(t, b).publish(t, node+"/camera/door/snapshot", strings.Repeat("x", 6<<20), false)
}

func TestSessionsAreBounded(t *testing.T) {
	b, log := guarded(t)
	come := func(id string) byte {
		s := dialBroker(t, b.Addr())
		defer s.conn.Close()
		p := connection(id)
		p.CleanSession = false
		code := s.exchange(t, p).(*packets.ConnackPacket).ReturnCode
		packets.NewControlPacket(packets.Disconnect).Write(s.conn)
		io.Copy(io.Discard, s.conn) // until the broker has noticed
		return code
	}
	for i := range 256 {
		if code := come(fmt.Sprint("away", i)); code != packets.Accepted {
			t.Fatalf("session %d was refused with code %d", i, code)
		}
	}
	if code := come("one more"); code != packets.ErrRefusedServerUnavailable {
		t.Errorf("one session too many got code %d, want that the server is unavailable", code)
	}
	if code := come("away7"); code != packets.Accepted {
		t.Errorf("a client with a session was refused with code %d", code)
	}
	ownerOf(t, b)
	if !strings.Contains(log.String(), "there are 256 sessions") {
		t.Errorf("the log does not name the bound:\n%s", log.String())
	}
}

// TestPacketsInPieces: a connection of whole packets, in pieces of any size, is read
// to its end.
func TestPacketsInPieces(t *testing.T) {
	b, _ := guarded(t)
	s := stranger(t, b)
	var stream strings.Builder
	for i := range 50 {
		p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
		p.TopicName, p.Payload = fmt.Sprint("t/", i), []byte(strings.Repeat("\x30\xff", i*i*4))
		p.Write(&stream)
		packets.NewControlPacket(packets.Pingreq).Write(&stream)
	}
	go func() {
		for text := stream.String(); text != ""; {
			n := min(len(text), 1+len(text)%7)
			if _, err := s.conn.Write([]byte(text[:n])); err != nil {
				return
			}
			text = text[n:]
		}
	}()
	for range 50 {
		if _, ok := s.read(t).(*packets.PingrespPacket); !ok {
			t.Fatal("no answer to a ping")
		}
	}
}
