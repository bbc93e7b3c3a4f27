package mqtt_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dynvit/mqtt"
	"dynvit/mqtt/mqtttest"
)

// picture is a snapshot: retained, at QoS 0, large.
func picture(bytes int) mqtt.Message {
	return mqtt.Message{Topic: node + "/camera/door/snapshot", Payload: []byte(strings.Repeat("x", bytes)), Retain: true}
}

// answer is an event on another topic.
func answer(payload string) mqtt.Message {
	return mqtt.Message{Topic: node + "/cmd/keep/result", Payload: []byte(payload), QoS: 1}
}

// TestFaultForbiddenTopic: the broker closes the connection at every event, and
// takes the rest.
func TestFaultForbiddenTopic(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, d := mqtttest.New(), mqtttest.NewDisk()
		defer b.Close()
		b.Set(mqtttest.Fault{Forbid: "/event"})
		var log mqtttest.Log
		c := kept(t, b, d, func(o *mqtt.Options) { o.Log = log.Logger(slog.LevelInfo) })
		n := 0
		second := func() {
			n++
			publish(t, c, state("camera/door/state", fmt.Sprint(n)), event(fmt.Sprintf("%05d", n)), answer(fmt.Sprint(n)))
			time.Sleep(time.Second)
		}
		for range 45 {
			second()
		}
		s, st := b.State(), c.Status()
		if s.Connects > 10 {
			t.Errorf("%d connections in 45 s", s.Connects)
		}
		if s.Retained[node+"/camera/door/state"] != "45" || len(slices.Compact(s.Topic(node+"/cmd/keep/result"))) != 45 {
			t.Errorf("the others do not flow: %v, %q", s.Retained, s.Topic(node+"/cmd/keep/result"))
		}
		if st.Dropped.Rejected != 45 || st.Events != 0 || st.Dropped.Total() != 45 {
			t.Errorf("status %+v, want 45 events rejected", st)
		}
		connects := s.Connects
		for range 600 {
			second()
		}
		later := b.State().Connects - connects
		text := log.String()
		if strings.Count(text, "set aside") != 1 || !strings.Contains(text, "topic="+eventTopic+" bytes=5") {
			t.Errorf("the log does not name topic and size once:\n%s", text)
		}
		if strings.Contains(text, "another client") || !strings.Contains(text, `at the message on \"`+eventTopic) {
			t.Errorf("the log does not say what closes the connection:\n%s", text)
		}
		if st := c.Status(); !strings.Contains(st.LastError, eventTopic) {
			t.Errorf("status %+v", st)
		}
		b.Set(mqtttest.Fault{})
		start, allowed := time.Now(), n+1
		for time.Since(start) < 20*time.Minute {
			second()
		}
		got := b.State().Topic(eventTopic)
		if len(got) < 60 || !slices.IsSorted(got) || got[len(got)-1] != fmt.Sprintf("%05d", n) {
			t.Errorf("%d events arrived in 20 minutes after they were allowed", len(got))
		}
		t.Logf("a topic forbidden: %d connections in 45 s, %d in the next 10 min; 45 states and answers of 45 arrived; topic and size logged once; events flow again %d s after they are allowed",
			connects, later, n-len(got)-allowed+1)
		mustClose(t, c)
	})
}

// TestFaultMessageTooLarge: pictures are above the broker's limit.
func TestFaultMessageTooLarge(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, d := mqtttest.New(), mqtttest.NewDisk()
		defer b.Close()
		b.Set(mqtttest.Fault{MaxPayload: 100_000})
		var log mqtttest.Log
		c := kept(t, b, d, func(o *mqtt.Options) { o.Log = log.Logger(slog.LevelInfo) })
		for i := 1; i <= 60; i++ {
			publish(t, c, picture(500_000+i), event(fmt.Sprintf("%05d", i)))
			time.Sleep(time.Second)
		}
		s, st := b.State(), c.Status()
		wantEvents(t, slices.Compact(s.Topic(eventTopic)), 1, 60)
		if s.Connects > 10 || st.Events != 0 {
			t.Errorf("%d connections in a minute, status %+v", s.Connects, st)
		}
		if text := log.String(); strings.Count(text, "set aside") != 1 || !strings.Contains(text, "snapshot bytes=5000") {
			t.Errorf("the log does not name topic and size once:\n%s", text)
		}
		publish(t, c, picture(50_000))
		s = await(t, b, func(s mqtttest.State) bool { return len(s.Retained[picture(0).Topic]) == 50_000 })
		t.Logf("pictures above the broker's limit: %d connections in a minute, 60 events arrived, a smaller picture at once", s.Connects)
		mustClose(t, c)
	})
}

// TestFaultAllForbidden: a broker that takes nothing at all costs no event.
func TestFaultAllForbidden(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, d := mqtttest.New(), mqtttest.NewDisk()
		defer b.Close()
		b.Set(mqtttest.Fault{Forbid: node})
		c := kept(t, b, d, nil)
		events(t, c, 1, 50)
		time.Sleep(time.Hour)
		st, connects := c.Status(), b.State().Connects
		if st.Events != 50 || connects > 900 {
			t.Errorf("%d connections in an hour, status %+v; want no event lost", connects, st)
		}
		b.Set(mqtttest.Fault{})
		wantEvents(t, awaitEvent(t, b, 50), 1, 50)
		s := await(t, b, func(s mqtttest.State) bool { return s.Retained[node+"/status"] == "online" })
		if s.Connects > connects+1 {
			t.Errorf("%d connections after all was allowed", s.Connects-connects)
		}
		t.Logf("a broker that closes at everything: %d connections in an hour, 50 events kept and delivered once", connects)
		mustClose(t, c)
	})
}

// TestPicturesComeAfterEvents: a connection begins with states, then events, and
// only then sends what is large.
func TestPicturesComeAfterEvents(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := mqtttest.New()
		defer b.Close()
		b.Down()
		c := piped(t, b)
		publish(t, c, picture(10), event("e1"), state("info", "{}"), event("e2"))
		if err := b.Up(); err != nil {
			t.Fatal(err)
		}
		for round := range 2 {
			if round > 0 {
				b.Down()
				b.Forget()
				publish(t, c, event("e3"), event("e4"))
				if err := b.Up(); err != nil {
					t.Fatal(err)
				}
			}
			s := await(t, b, func(s mqtttest.State) bool { return len(s.Messages) == 5 })
			var got []string
			for _, m := range s.Messages {
				got = append(got, strings.TrimPrefix(m.Topic, node+"/"))
			}
			if want := []string{"status", "info", "camera/door/event", "camera/door/event", "camera/door/snapshot"}; !slices.Equal(got, want) {
				t.Errorf("sent in the order %q, want %q", got, want)
			}
		}
		mustClose(t, c)
	})
}

// TestFaultForbiddenSubscription: what is published does not depend on it.
func TestFaultForbiddenSubscription(t *testing.T) {
	for _, closes := range []bool{true, false} {
		t.Run(fmt.Sprint("closes ", closes), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := mqtttest.New()
				defer b.Close()
				fault := mqtttest.Fault{Suback: 0x80}
				if closes {
					fault = mqtttest.Fault{ForbidFilter: "/cmd/"}
				}
				b.Set(fault)
				var log mqtttest.Log
				c := startClient(t, func(o *mqtt.Options) {
					o.Dial, o.Log = b.Dial, log.Logger(slog.LevelInfo)
					o.Subscribe, o.Received = []string{node + "/cmd/+", "homeassistant/status"}, func(mqtt.Message) {}
				})
				publish(t, c, event("e1"))
				s := await(t, b, func(s mqtttest.State) bool { return len(s.Topic(eventTopic)) == 1 })
				want := 1
				if closes {
					want = 3 // all at once, the one alone, without it
				}
				if s.Connects != want {
					t.Errorf("published on connection %d, want %d", s.Connects, want)
				}
				if closes && !slices.Equal(s.Subscribed, []string{"homeassistant/status"}) {
					t.Errorf("subscribed to %q", s.Subscribed)
				}
				for range 20 {
					b.Cut()
					time.Sleep(2 * time.Second)
				}
				if n := strings.Count(log.String(), "topic=dynvit/box/cmd/+"); n != 1 {
					t.Errorf("the log names the subscription %d times, want once:\n%s", n, log.String())
				}
				t.Logf("a subscription refused (by closing: %v): named once, published on connection %d", closes, want)
				b.Set(mqtttest.Fault{})
				time.Sleep(time.Hour)
				asked := len(b.State().Subscribed)
				b.Cut()
				await(t, b, func(s mqtttest.State) bool { return slices.Contains(s.Subscribed[asked:], node+"/cmd/+") })
				synctest.Wait()
				mustClose(t, c)
			})
		})
	}
}

// TestMosquittoLimits: Debian's broker closes at packets above its limit, and drops
// what its ACL forbids.
func TestMosquittoLimits(t *testing.T) { both(t, testMosquittoLimits) }

func testMosquittoLimits(t *testing.T) {
	t.Parallel() // it waits for real clocks and processes
	address := mqtttest.Reserve(t)
	acl := filepath.Join(t.TempDir(), "acl")
	rules := "topic write " + node + "/camera/#\ntopic write " + node + "/status\n"
	if err := os.WriteFile(acl, []byte(rules), 0o644); err != nil { // mosquitto may read it as another user
		t.Fatal(err)
	}
	mqtttest.RunMosquitto(t, "max_packet_size 2000\nacl_file "+acl+"\n"+mqtttest.Listener(address)+"allow_anonymous true\n")
	r := record(t, address)
	var log mqtttest.Log
	c := startClient(t, func(o *mqtt.Options) {
		o.Broker, o.Log = "mqtt://"+r.listener.Addr().String(), log.Logger(slog.LevelInfo)
	})
	publish(t, c, picture(50_000), event("00001"), answer("forbidden"), event("00002"))
	rejected, reconnects := uint64(1), uint64(5)
	if protocolOf(t) == mqtt.Protocol5 {
		rejected, reconnects = 2, 0 // it says so of the ACL, and of its limit before
	}
	st := awaitStatus(t, c, func(s mqtt.Status) bool {
		return s.Dropped.Rejected == rejected && s.Connected && s.InFlight == 0 && s.Waiting == 0
	})
	if got := slices.Compact(r.await(t, func(got []string) bool { return slices.Contains(got, "00002") })); !slices.Equal(got, []string{"00001", "00002"}) {
		t.Errorf("acknowledged events %q", got)
	}
	if st.Reconnects > reconnects {
		t.Errorf("status %+v", st)
	}
	want := "topic=" + node + "/camera/door/snapshot bytes=50000"
	if text := log.String(); strings.Count(text, want) != 1 || strings.Contains(text, "another client") {
		t.Errorf("the log does not say %q once, or blames a client id:\n%s", want, text)
	}
	if denied := "topic=" + answer("").Topic + ` bytes=9 reason="not authorized"`; strings.Contains(log.String(), denied) != (rejected == 2) {
		t.Errorf("the log says %q in MQTT 3.1.1, or does not in 5:\n%s", denied, log.String())
	}
	mustClose(t, c)
}
