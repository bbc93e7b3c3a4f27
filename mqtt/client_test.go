package mqtt_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dynvit/mqtt"
	"dynvit/mqtt/mqtttest"
)

// Every test in a bubble also checks for leaks: synctest.Test does not end
// while a goroutine of the client, of paho or of the broker is left.

func TestStatesAreBornAgainOnEveryConnection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := mqtttest.New()
		defer b.Close()
		c := piped(t, b)
		publish(t, c, state("info", "v1"), event("e1"), state("info", "v2"))
		await(t, b, func(s mqtttest.State) bool { return s.Retained[node+"/info"] == "v2" })
		synctest.Wait()
		b.Down() // forgets what was retained
		if err := b.Up(); err != nil {
			t.Fatal(err)
		}
		s := await(t, b, func(s mqtttest.State) bool { return s.Retained[node+"/info"] == "v2" })
		if got, want := s.Topic(node+"/status"), []string{"online", "offline", "online"}; !slices.Equal(got, want) {
			t.Errorf("status was %q, want %q", got, want)
		}
		if first := s.Messages[len(s.Messages)-2]; first.Topic != node+"/status" || !first.Retain || first.QoS != 1 {
			t.Errorf("the second connection began with %+v, want the retained status", first)
		}
		if got := s.Topic(node + "/camera/door/event"); !slices.Equal(got, []string{"e1"}) {
			t.Errorf("events %q, want e1 once", got)
		}
		if st := c.Status(); !st.Connected || st.Reconnects != 1 {
			t.Errorf("status %+v, want connected after one reconnect", st)
		}
		mustClose(t, c)
	})
}

func TestEventsKeepTheirOrderOverBrokenConnections(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := mqtttest.New()
		defer b.Close()
		b.Set(mqtttest.Fault{CutFrom: 12}) // birth and ten events are acknowledged, then the cut
		c := piped(t, b)
		const n = 95
		events(t, c, 1, n)
		got := awaitEvent(t, b, n)
		s := b.State()
		b.Set(mqtttest.Fault{})
		wantEvents(t, slices.Compact(got), 1, n)
		if s.Connects < n/10 {
			t.Errorf("only %d connections: the cuts did not happen", s.Connects)
		}
		mustClose(t, c)
	})
}

func TestBrokerThatAppearsLate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := mqtttest.New()
		defer b.Close()
		b.Down()
		var log mqtttest.Log
		var mu sync.Mutex
		var attempts []time.Time
		c := startClient(t, func(o *mqtt.Options) {
			o.Log = log.Logger(slog.LevelInfo)
			o.Dial = func(ctx context.Context) (net.Conn, error) {
				mu.Lock()
				defer mu.Unlock()
				attempts = append(attempts, time.Now())
				return b.Dial(ctx)
			}
		})
		for i := range 1000 {
			publish(t, c, state("camera/door/state", fmt.Sprint(i)))
		}
		publish(t, c, event("e1"), event("e2"))
		if err := c.Publish(mqtt.Message{Topic: "frame"}); !errors.Is(err, mqtt.ErrOffline) {
			t.Errorf("QoS 0 while offline: %v, want ErrOffline", err)
		}
		time.Sleep(10 * time.Minute) // the bubble's clock

		st := c.Status()
		if st.Connected || st.LastError != "connection refused" || st.Held != 4 || st.Waiting != 2 || st.Dropped.Offline != 1 {
			t.Errorf("status %+v, want offline, refused, four messages held of which two are events, one dropped", st)
		}
		if got := strings.Count(log.String(), "\n"); got != 1 {
			t.Errorf("%d log lines for ten minutes of absence, want one:\n%s", got, log.String())
		}
		mu.Lock()
		checkPauses(t, attempts)
		mu.Unlock()

		if err := b.Up(); err != nil {
			t.Fatal(err)
		}
		s := await(t, b, func(s mqtttest.State) bool { return len(s.Messages) == 4 })
		var got []string
		for _, m := range s.Messages {
			got = append(got, m.Payload)
		}
		if want := []string{"online", "999", "e1", "e2"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		mustClose(t, c)
		if got := log.String(); strings.Count(got, "\n") != 2 || !strings.Contains(got, "connected") {
			t.Errorf("log, want a second line that says connected:\n%s", got)
		}
	})
}

func checkPauses(t *testing.T, attempts []time.Time) {
	t.Helper()
	if len(attempts) < 60 {
		t.Errorf("%d attempts in ten minutes, want at least one each ten seconds", len(attempts))
	}
	for i, at := range attempts[1:] {
		pause, limit := at.Sub(attempts[i]), min(time.Second<<min(i, 4), 10*time.Second)
		if pause > limit {
			t.Errorf("pause %d lasted %v, want at most %v", i, pause, limit)
		}
	}
}

func TestPublishNeverWaits(t *testing.T) {
	faults := map[string]mqtttest.Fault{
		"mute at CONNECT":   {Mute: true},
		"reads nothing":     {Stall: true},
		"never acknowledge": {NoAck: true},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := mqtttest.New()
				defer b.Close()
				b.Set(fault)
				c := startClient(t, func(o *mqtt.Options) { o.Dial, o.QueueMessages = b.Dial, 1000 })
				synctest.Wait()
				before := time.Now()
				for i := range 5000 {
					publish(t, c, event(fmt.Sprint(i)), state("info", fmt.Sprint(i)))
				}
				if took := time.Since(before); took != 0 {
					t.Errorf("publishing waited %v", took)
				}
				time.Sleep(time.Minute)
				st := c.Status()
				if st.Held > 1000 || st.InFlight > 20 {
					t.Errorf("status %+v, want at most 1000 held and 20 in flight", st)
				}
				if st.Dropped.Overflow < 3900 {
					t.Errorf("%d dropped of 5000 events, want them counted", st.Dropped.Overflow)
				}
				abandon(c)
			})
		})
	}
}

func TestUnacknowledgedMessagesStay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := mqtttest.New()
		defer b.Close()
		b.Set(mqtttest.Fault{NoAck: true})
		c := piped(t, b)
		for i := range 30 {
			publish(t, c, event(fmt.Sprintf("%02d", i)))
		}
		synctest.Wait()
		if st := c.Status(); st.InFlight != 20 || st.Held != 31 || st.Published != 0 {
			t.Errorf("status %+v, want 20 of 31 messages in flight and none published", st)
		}
		time.Sleep(25 * time.Second)
		if st := c.Status(); st.Reconnects == 0 || st.LastError != "no acknowledgement in 20s" {
			t.Errorf("status %+v, want a new connection for want of acknowledgements", st)
		}
		b.Set(mqtttest.Fault{})
		b.Cut()
		await(t, b, func(s mqtttest.State) bool {
			return slices.Contains(s.Topic(node+"/camera/door/event"), "29")
		})
		synctest.Wait()
		if st := c.Status(); st.Held != 1 || st.Published != 31 || st.Dropped.Total() != 0 {
			t.Errorf("status %+v, want all 31 published and the birth state alone held", st)
		}
		mustClose(t, c)
	})
}

func TestRefusedConnection(t *testing.T) {
	tests := []struct {
		code byte // of MQTT 3.1.1, from 0x80 on of MQTT 5
		want string
	}{
		{1, "the broker refused the connection: unacceptable protocol version"},
		{2, "the broker refused the connection: identifier rejected (or, by mosquitto, a keep-alive of 30s, above its max_keepalive)"},
		{4, "the broker refused the connection: bad user name or password"},
		{5, "the broker refused the connection: not Authorized"},
		{77, "the broker refused the connection with an unknown code"},
		{0x85, "the broker refused the connection: client id not valid"},
		{0x87, "the broker refused the connection: not authorized"},
		{0x97, "the broker refused the connection: quota exceeded"},
		{0xfe, "the broker refused the connection: reason code 0xfe"},
	}
	for _, tt := range tests {
		version := version3
		if tt.code >= 0x80 {
			version = version5
		}
		t.Run(fmt.Sprint(version, tt.code), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const password = "correct-horse"
				b := mqtttest.New()
				defer b.Close()
				b.Set(mqtttest.Fault{Refuse: tt.code})
				var log mqtttest.Log
				c := startClient(t, func(o *mqtt.Options) {
					o.Dial, o.Username, o.Password = b.Dial, "cam", password
					o.Log = log.Logger(slog.LevelDebug)
				})
				s := await(t, b, func(s mqtttest.State) bool { return s.Connects >= 3 })
				if s.Username != "cam" || s.Password != password {
					t.Errorf("the broker was told %q, %q", s.Username, s.Password)
				}
				if st := c.Status(); st.Connected || st.LastError != tt.want {
					t.Errorf("status %+v, want error %q", st, tt.want)
				}
				b.Set(mqtttest.Fault{})
				await(t, b, func(s mqtttest.State) bool { return len(s.Messages) == 1 })
				mustClose(t, c)
				if all := fmt.Sprintf("%+v %s", c.Status(), log.String()); strings.Contains(all, password) {
					t.Errorf("the password is in the log or status: %s", all)
				}
			})
		})
	}
}

func TestDeadConnectionsAreFound(t *testing.T) {
	tests := []struct {
		name   string
		fault  mqtttest.Fault
		send   bool
		within time.Duration
		want   string
	}{
		{"no answer to CONNECT", mqtttest.Fault{Mute: true}, false, 11 * time.Second, "no answer in time"},
		{"no answer to ping", mqtttest.Fault{NoPing: true}, false, 46 * time.Second, "no answer to keep-alive"},
		{"writes hang", mqtttest.Fault{Stall: true}, true, 6 * time.Second, "no answer in time"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := mqtttest.New()
				defer b.Close()
				if !tt.send {
					b.Set(tt.fault)
				}
				c := piped(t, b)
				synctest.Wait()
				b.Set(tt.fault)
				if tt.send {
					publish(t, c, event("1"), event("2"))
				}
				time.Sleep(tt.within)
				if st := c.Status(); st.LastError != tt.want {
					t.Errorf("after %v: status %+v, want error %q", tt.within, st, tt.want)
				}
				abandon(c)
			})
		})
	}
}

func TestCloseDrainsThenSaysStopped(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := mqtttest.New()
		defer b.Close()
		c := piped(t, b)
		synctest.Wait()
		for i := range 100 {
			publish(t, c, event(fmt.Sprint(i)))
		}
		mustClose(t, c)
		s := b.State()
		if len(s.Topic(node+"/camera/door/event")) != 100 {
			t.Errorf("%d events arrived, want 100", len(s.Topic(node+"/camera/door/event")))
		}
		if last := s.Messages[len(s.Messages)-1]; last.Payload != "stopped" || last.Will {
			t.Errorf("the last message was %+v, want stopped", last)
		}
		if s.Retained[node+"/status"] != "stopped" || slices.Contains(s.Topic(node+"/status"), "offline") {
			t.Errorf("status was %q, want no will", s.Topic(node+"/status"))
		}
		if err := c.Publish(event("late")); !errors.Is(err, mqtt.ErrClosed) {
			t.Errorf("publish after close: %v", err)
		}
		if err := c.Close(context.Background()); err != nil {
			t.Errorf("second close: %v", err)
		}
	})
}

func TestCloseIsBounded(t *testing.T) {
	tests := []struct {
		name  string
		fault mqtttest.Fault
		after bool // the fault begins when the connection stands
		limit time.Duration
		left  int // of 50 events and the last message
	}{
		{"broker mute", mqtttest.Fault{Mute: true}, false, 0, 51},
		{"broker refuses", mqtttest.Fault{Refuse: 5}, false, 0, 51},
		{"no acknowledgement", mqtttest.Fault{NoAck: true}, true, 900 * time.Millisecond, 51},
		{"writes hang", mqtttest.Fault{Stall: true}, true, 1400 * time.Millisecond, 50}, // it was reading already, and reads one more
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := mqtttest.New()
				defer b.Close()
				if !tt.after {
					b.Set(tt.fault)
				}
				c := piped(t, b)
				synctest.Wait()
				b.Set(tt.fault)
				for i := range 50 {
					publish(t, c, event(fmt.Sprint(i)))
				}
				synctest.Wait()
				before := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
				defer cancel()
				err := c.Close(ctx, status("stopped"))
				if took := time.Since(before); took > tt.limit {
					t.Errorf("close took %v, want at most %v", took, tt.limit)
				}
				want := fmt.Sprintf("%d messages were not delivered", tt.left)
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("close: %v, want ...%s", err, want)
				}
				if tt.fault.NoAck && b.State().Retained[node+"/status"] != "stopped" {
					t.Errorf("status %q, want stopped in spite of the backlog", b.State().Retained[node+"/status"])
				}
			})
		})
	}
}

func TestCloseBeforeStart(t *testing.T) {
	c, err := mqtt.New(mqtt.Options{Broker: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(t.Context(), status("stopped")); err != nil {
		t.Error(err)
	}
	c.Start() // must not connect
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestFlappingConnectionIsFoldedInTheLog(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := mqtttest.New()
		defer b.Close()
		var log mqtttest.Log
		c := startClient(t, func(o *mqtt.Options) {
			o.Dial, o.Log = b.Dial, log.Logger(slog.LevelInfo)
		})
		start, cuts := time.Now(), 0
		for ; time.Since(start) < 270*time.Second; cuts++ {
			await(t, b, func(s mqtttest.State) bool { return s.Open == 1 })
			synctest.Wait()
			b.Cut()
			synctest.Wait()
		}
		abandon(c)
		if cuts < 300 {
			t.Fatalf("only %d connections: the test is off", cuts)
		}
		if lines := strings.Count(log.String(), "\n"); lines > 11 {
			t.Errorf("%d log lines in four and a half minutes of flapping, want at most two a minute, begun or not:\n%s", lines, log.String())
		}
	})
}

func TestPayloadMayBeReused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := mqtttest.New()
		defer b.Close()
		c := piped(t, b)
		buf := make([]byte, 2)
		for i := range 50 {
			copy(buf, fmt.Sprintf("%02d", i))
			publish(t, c, mqtt.Message{Topic: "event", QoS: 1, Payload: buf})
		}
		clear(buf)
		s := await(t, b, func(s mqtttest.State) bool { return len(s.Topic("event")) == 50 })
		for i, got := range s.Topic("event") {
			if want := fmt.Sprintf("%02d", i); got != want {
				t.Fatalf("event %d is %q, want %q", i, got, want)
			}
		}
		mustClose(t, c)
	})
}

func TestQoS0IsPublishedWhileConnected(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := mqtttest.New()
		defer b.Close()
		c := piped(t, b)
		synctest.Wait()
		publish(t, c, mqtt.Message{Topic: "frame", Payload: []byte("1")})
		s := await(t, b, func(s mqtttest.State) bool { return len(s.Topic("frame")) == 1 })
		if m := s.Messages[1]; m.QoS != 0 || m.Retain {
			t.Errorf("arrived as %+v", m)
		}
		mustClose(t, c)
	})
}

func TestUpdatingAStateDoesNotAllocate(t *testing.T) {
	c, err := mqtt.New(mqtt.Options{Broker: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	m := state("camera/door/state", strings.Repeat("x", 500))
	publish(t, c, m)
	if n := testing.AllocsPerRun(100, func() { c.Publish(m) }); n > 0 {
		t.Errorf("%v allocations a publish, want none", n)
	}
}

// pulse records what a client is about.
type pulse struct{ states chan string }

func (p pulse) Busy(what string) { p.tell("busy: " + what) }
func (p pulse) Idle(why string)  { p.tell("idle: " + why) }

func (p pulse) tell(what string) {
	select {
	case <-p.states:
	default:
	}
	p.states <- what
}

func TestPulseTellsWaitingFromWorking(t *testing.T) {
	tests := []struct {
		name  string
		fault mqtttest.Fault
		down  bool
		want  string
	}{
		{"connected", mqtttest.Fault{}, false, "idle: nothing to publish"},
		{"no acknowledgement", mqtttest.Fault{NoAck: true}, false, "idle: waiting for the broker's acknowledgement"},
		{"mute", mqtttest.Fault{Mute: true}, false, "idle: connecting to the broker"},
		{"away", mqtttest.Fault{}, true, "idle: broker away"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := mqtttest.New()
				defer b.Close()
				if tt.down {
					b.Down()
				}
				b.Set(tt.fault)
				p := pulse{make(chan string, 1)}
				c := startClient(t, func(o *mqtt.Options) { o.Dial, o.Pulse = b.Dial, p })
				synctest.Wait()
				if got := <-p.states; got != tt.want {
					t.Errorf("client is %q, want %q", got, tt.want)
				}
				abandon(c)
			})
		})
	}
}

func TestOptionsAreChecked(t *testing.T) {
	long := strings.Repeat("x", 1<<16)
	tests := []struct {
		name    string
		options mqtt.Options
		want    string
	}{
		{"no broker", mqtt.Options{}, "no broker named"},
		{"birth not retained", mqtt.Options{Broker: "b", Birth: []mqtt.Message{event("x")}}, "is not retained"},
		{"birth on a wildcard", mqtt.Options{Broker: "b", Birth: []mqtt.Message{state("#", "x")}}, "contains +, #"},
		{"will of QoS 2", mqtt.Options{Broker: "b", Will: &mqtt.Message{Topic: "a", QoS: 2}}, "QoS 2 is not supported"},
		{"long will", mqtt.Options{Broker: "b", Will: &mqtt.Message{Topic: "a", Payload: []byte(long)}}, "will of 65536 bytes"},
		{"long client id", mqtt.Options{Broker: "b", ClientID: long}, "longer than 65535"},
		{"password alone", mqtt.Options{Broker: "b", Password: "secret"}, "password without a user name"},
		{"negative bounds", mqtt.Options{Broker: "b", QueueBytes: -1}, "outbox of"},
		{"birth beyond the bounds", mqtt.Options{Broker: "b", QueueBytes: 3, Birth: []mqtt.Message{state("a", "x")}}, "larger than the outbox"},
	}
	for _, tt := range tests {
		_, err := mqtt.New(tt.options)
		switch {
		case err == nil || !strings.Contains(err.Error(), tt.want):
			t.Errorf("%s: %v, want ...%s...", tt.name, err, tt.want)
		case strings.Contains(err.Error(), "secret"):
			t.Errorf("%s: the error repeats the password: %v", tt.name, err)
		}
	}
}

func TestMalformedMessagesAreRefused(t *testing.T) {
	c, err := mqtt.New(mqtt.Options{Broker: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []mqtt.Message{
		{},
		{Topic: "a/+/b"},
		{Topic: "a/#"},
		{Topic: "a\x00b"},
		{Topic: "a\xff"},
		{Topic: strings.Repeat("x", 1<<16)},
		{Topic: "a", QoS: 2},
	} {
		if err := c.Publish(m); err == nil {
			t.Errorf("message on %.20q with QoS %d was taken", m.Topic, m.QoS)
		}
	}
	if st := c.Status(); st.Held != 0 {
		t.Errorf("%d messages held", st.Held)
	}
}

// TestSubscription: it is made on every connection, what comes is handed over as it
// is, and a broker that refuses it is still published to.
func TestSubscription(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := mqtttest.New()
		defer b.Close()
		received := make(chan mqtt.Message, 10)
		c := startClient(t, func(o *mqtt.Options) {
			o.Dial = b.Dial
			o.Subscribe, o.Received = []string{node + "/cmd/+"}, func(m mqtt.Message) { received <- m }
		})
		await(t, b, func(s mqtttest.State) bool { return len(s.Subscribed) == 1 && s.Subscribed[0] == node+"/cmd/+" })
		for _, retain := range []bool{false, true} {
			if err := b.Send(node+"/cmd/keep", "0.5", retain); err != nil {
				t.Fatal(err)
			}
			if m := <-received; m.Topic != node+"/cmd/keep" || string(m.Payload) != "0.5" || m.Retain != retain || m.QoS != 1 {
				t.Errorf("received %+v", m)
			}
		}
		b.Cut()
		await(t, b, func(s mqtttest.State) bool { return len(s.Subscribed) == 2 })
		b.Set(mqtttest.Fault{Suback: 0x80})
		b.Cut()
		await(t, b, func(s mqtttest.State) bool { return len(s.Subscribed) == 3 })
		publish(t, c, event("e1"))
		await(t, b, func(s mqtttest.State) bool { return len(s.Topic(node+"/camera/door/event")) == 1 })
		mustClose(t, c)
	})
}

// TestLongMessagesArePassedOver: a message above the limit, retained perhaps, costs
// neither the connection nor what follows.
func TestLongMessagesArePassedOver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := mqtttest.New()
		defer b.Close()
		var log mqtttest.Log
		received := make(chan mqtt.Message, 10)
		c := startClient(t, func(o *mqtt.Options) {
			o.Dial, o.Log = b.Dial, log.Logger(slog.LevelInfo)
			o.Subscribe, o.Received = []string{node + "/cmd/+"}, func(m mqtt.Message) { received <- m }
		})
		await(t, b, func(s mqtttest.State) bool { return len(s.Subscribed) == 1 })
		for _, payload := range []string{strings.Repeat("x", 64<<10), strings.Repeat("x", 1<<20), "0.5"} {
			if err := b.Send(node+"/cmd/keep", payload, true); err != nil {
				t.Fatal(err)
			}
		}
		if m := <-received; string(m.Payload) != "0.5" {
			t.Errorf("received %d bytes, want the short message alone", len(m.Payload))
		}
		s := await(t, b, func(s mqtttest.State) bool { return s.Acks == 3 })
		if text := log.String(); s.Connects != 1 || strings.Count(text, "passed over") != 1 {
			t.Errorf("%d connections, log:\n%s", s.Connects, text)
		}
		mustClose(t, c)
	})
}
