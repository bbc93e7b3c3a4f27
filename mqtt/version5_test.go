package mqtt_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dynvit/mqtt"
	"dynvit/mqtt/mqtttest"
)

// What MQTT 5 alone tells; the tests of all else run with both versions.

// in5 runs a test of MQTT 5 in a bubble.
func in5(t *testing.T, test func(*testing.T)) {
	t.Run(version5, func(t *testing.T) { synctest.Test(t, test) })
}

// TestFaultDenied: the broker refuses events and acknowledges the rest.
func TestFaultDenied(t *testing.T) {
	for _, code := range []byte{mqtttest.NotAuthorized, 0x83} {
		t.Run(fmt.Sprintf("0x%02x", code), func(t *testing.T) {
			in5(t, func(t *testing.T) {
				b, d := mqtttest.New(), mqtttest.NewDisk()
				defer b.Close()
				b.Set(mqtttest.Fault{Deny: "/event", DenyCode: code})
				var log mqtttest.Log
				c := kept(t, b, d, func(o *mqtt.Options) { o.Log = log.Logger(slog.LevelInfo) })
				for n := 1; n <= 45; n++ {
					publish(t, c, state("camera/door/state", fmt.Sprint(n)), event(fmt.Sprintf("%05d", n)), answer(fmt.Sprint(n)))
					time.Sleep(time.Second)
				}
				s, st := b.State(), c.Status()
				limit := 1 // of connections: a reason that is not final is given three chances
				if code != mqtttest.NotAuthorized {
					limit = 6
				}
				if s.Connects > limit || s.Version != 5 {
					t.Errorf("%d connections of version %d in 45 s", s.Connects, s.Version)
				}
				if s.Retained[node+"/camera/door/state"] != "45" || len(slices.Compact(s.Topic(node+"/cmd/keep/result"))) != 45 {
					t.Errorf("the others do not flow: %v", s.Retained)
				}
				if st.Dropped.Rejected != 45 || st.Events != 0 || st.Dropped.Total() != 45 {
					t.Errorf("status %+v, want 45 events rejected", st)
				}
				if text := log.String(); strings.Count(text, "set aside") != 1 || !strings.Contains(text, "topic="+eventTopic) {
					t.Errorf("the log does not name the topic once:\n%s", text)
				}
				b.Set(mqtttest.Fault{})
				time.Sleep(time.Hour)
				publish(t, c, event("later"))
				await(t, b, func(s mqtttest.State) bool { return slices.Contains(s.Topic(eventTopic), "later") })
				t.Logf("events refused with reason 0x%02x: %d connections in 45 s, 45 states and 45 answers of 45 arrived", code, s.Connects)
				mustClose(t, c)
			})
		})
	}
}

// TestFaultNothingForNow: neither a quota nor a broker that refuses everything costs
// an event.
func TestFaultNothingForNow(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault mqtttest.Fault
		want  string
	}{
		{"quota", mqtttest.Fault{Deny: "/event", DenyCode: 0x97}, "the broker refused a message: quota exceeded"},
		{"everything", mqtttest.Fault{Deny: node, DenyCode: mqtttest.NotAuthorized}, "the broker refused a message: not authorized"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in5(t, func(t *testing.T) {
				b, d := mqtttest.New(), mqtttest.NewDisk()
				defer b.Close()
				b.Set(tt.fault)
				c := kept(t, b, d, nil)
				events(t, c, 1, 50)
				time.Sleep(time.Hour)
				st, connects := c.Status(), b.State().Connects
				if st.Events != 50 || connects > 900 || !strings.HasPrefix(st.LastError, tt.want) {
					t.Errorf("%d connections in an hour, status %+v; want no event lost", connects, st)
				}
				b.Set(mqtttest.Fault{})
				wantEvents(t, awaitEvent(t, b, 50), 1, 50)
				t.Logf("%s: %d connections in an hour, 50 events kept and delivered once", tt.want, connects)
				mustClose(t, c)
			})
		})
	}
}

// TestFaultLimitsObeyed: what the broker says of itself at CONNECT is kept to, and
// named.
func TestFaultLimitsObeyed(t *testing.T) {
	for _, tt := range []struct {
		name     string
		fault    mqtttest.Fault
		connects int
		log      string
		check    func(*testing.T, mqtttest.State)
	}{
		{"no retained messages", mqtttest.Fault{NoRetain: true}, 2, "who subscribes later", func(t *testing.T, s mqtttest.State) {
			if len(s.Retained) > 0 || !slices.Contains(s.Topic(node+"/info"), "{}") {
				t.Errorf("retained %v, messages %v", s.Retained, s.Messages)
			}
		}},
		{"QoS 0 alone", mqtttest.Fault{NoQoS1: true}, 2, "QoS 0 alone", func(t *testing.T, s mqtttest.State) {
			for _, m := range s.Messages {
				if m.QoS > 0 {
					t.Errorf("sent %+v", m)
				}
			}
		}},
		{"small packets", mqtttest.Fault{MaxPacket: 10_000}, 1, "snapshot bytes=20000 reason=\"packet too large\"", func(t *testing.T, s mqtttest.State) {
			if got := s.Retained[picture(0).Topic]; got != "" {
				t.Errorf("a picture of %d bytes", len(got))
			}
		}},
		{"short keep-alive", mqtttest.Fault{ServerKeepAlive: 5}, 1, "", func(t *testing.T, s mqtttest.State) {
			if s.Pings < 10 {
				t.Errorf("%d pings in a minute", s.Pings)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in5(t, func(t *testing.T) {
				b, d := mqtttest.New(), mqtttest.NewDisk()
				defer b.Close()
				b.Set(tt.fault)
				var log mqtttest.Log
				c := kept(t, b, d, func(o *mqtt.Options) { o.Log = log.Logger(slog.LevelInfo) })
				publish(t, c, state("info", "{}"), picture(20_000))
				events(t, c, 1, 10)
				wantEvents(t, awaitEvent(t, b, 10), 1, 10)
				time.Sleep(time.Minute)
				s := b.State()
				if s.Connects != tt.connects || s.Open != 1 {
					t.Errorf("%d connections, want %d", s.Connects, tt.connects)
				}
				if strings.Count(log.String(), tt.log) != 1 && tt.log != "" {
					t.Errorf("the log does not say %q once:\n%s", tt.log, log.String())
				}
				tt.check(t, s)
				t.Logf("%s: obeyed on connection %d, 10 events arrived", tt.name, s.Connects)
				mustClose(t, c)
			})
		})
	}
}

func TestReceiveMaximum(t *testing.T) {
	in5(t, func(t *testing.T) {
		b := mqtttest.New()
		defer b.Close()
		b.Set(mqtttest.Fault{ReceiveMaximum: 3, NoAck: true})
		c := piped(t, b)
		for i := range 10 {
			publish(t, c, event(fmt.Sprint(i)))
		}
		synctest.Wait()
		if st := c.Status(); st.InFlight != 3 {
			t.Errorf("%d messages in flight, want 3", st.InFlight)
		}
		abandon(c)
	})
}

// TestFaultSentAway: the broker ends connections and says why, which is named; only
// what is about load makes the pauses grow though messages were acknowledged.
func TestFaultSentAway(t *testing.T) {
	for _, tt := range []struct {
		code byte
		want string
		most int // connections in ten minutes
	}{
		{0x8e, "the broker ended the connection: another client has connected with the same client id", 2000},
		{0x89, "the broker ended the connection: server busy", 200},
		{0x97, "the broker ended the connection: quota exceeded", 200},
		{0x00, "the broker ended the connection: normal disconnection", 2000},
	} {
		t.Run(fmt.Sprintf("0x%02x", tt.code), func(t *testing.T) {
			in5(t, func(t *testing.T) {
				b := mqtttest.New()
				defer b.Close()
				c := piped(t, b)
				for start := time.Now(); time.Since(start) < 10*time.Minute; {
					await(t, b, func(s mqtttest.State) bool { return s.Open == 1 })
					synctest.Wait()
					b.Disconnect(tt.code)
					synctest.Wait()
					if st := c.Status(); st.LastError != tt.want {
						t.Fatalf("status %+v, want %q", st, tt.want)
					}
				}
				if n := b.State().Connects; n > tt.most {
					t.Errorf("%d connections in ten minutes, want %d at most", n, tt.most)
				}
				abandon(c)
			})
		})
	}
}

func TestBrokerOf3Alone(t *testing.T) {
	in5(t, func(t *testing.T) {
		b := mqtttest.New()
		defer b.Close()
		b.Set(mqtttest.Fault{Only3: true})
		c := piped(t, b)
		synctest.Wait()
		if st := c.Status(); !strings.Contains(st.LastError, "want mqtt.protocol: 3.1.1") {
			t.Errorf("status %+v", st)
		}
		abandon(c)
	})
}

// TestMosquittoTellsLimits: the limits of Debian's broker are obeyed without a key.
func TestMosquittoTellsLimits(t *testing.T) {
	for _, line := range []string{"retain_available false", "max_qos 0", "max_keepalive 10", "max_packet_size 2000"} {
		t.Run(version5+" "+line, func(t *testing.T) {
			address := mqtttest.Reserve(t)
			mqtttest.RunMosquitto(t, mqtttest.Listener(address)+"allow_anonymous true\n"+line+"\n")
			next := mosquittoSub(t, address)
			c := startClient(t, func(o *mqtt.Options) { o.Broker = "mqtt://" + address })
			publish(t, c, picture(5000), state("info", "{}"), event("e1"))
			for line := next(); line != "camera/door/event e1 0"; {
				line = next()
			}
			awaitStatus(t, c, func(s mqtt.Status) bool { return s.Connected && s.InFlight == 0 && s.Waiting == 0 })
			mustClose(t, c)
		})
	}
}
