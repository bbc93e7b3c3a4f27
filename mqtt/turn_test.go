package mqtt_test

import (
	"context"
	"fmt"
	"net"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dynvit/mqtt"
	"dynvit/mqtt/mqtttest"
)

// change has c go on by other options than startClient's.
func change(t *testing.T, c *mqtt.Client, edit func(*mqtt.Options)) {
	t.Helper()
	if err := c.Change(options(t, edit)); err != nil {
		t.Fatal(err)
	}
}

// TestChangeOfBroker: the old broker publishes the will, the new one gets states
// and the events that wait, each event once.
func TestChangeOfBroker(t *testing.T) {
	bubble(t, func(t *testing.T) {
		old, other := mqtttest.New(), mqtttest.New()
		defer old.Close()
		defer other.Close()
		c := piped(t, old)
		publish(t, c, state("info", "v1"), event("e1"))
		await(t, old, func(s mqtttest.State) bool { return len(s.Topic(node+"/camera/door/event")) == 1 })
		synctest.Wait()
		old.Set(mqtttest.Fault{NoAck: true})
		change(t, c, func(o *mqtt.Options) { o.Broker, o.Dial = "mqtt://other", other.Dial })
		publish(t, c, event("e2"))
		s := await(t, other, func(s mqtttest.State) bool { return len(s.Topic(node+"/camera/door/event")) == 1 })
		if s.Retained[node+"/status"] != "online" || s.Retained[node+"/info"] != "v1" {
			t.Errorf("the new broker holds %v", s.Retained)
		}
		if got := s.Topic(node + "/camera/door/event"); !slices.Equal(got, []string{"e2"}) {
			t.Errorf("the new broker heard the events %q", got)
		}
		if s := await(t, old, func(s mqtttest.State) bool { return s.Open == 0 }); s.Retained[node+"/status"] != "offline" {
			t.Errorf("at the old broker the node is %s", s.Retained[node+"/status"])
		}
		synctest.Wait()
		if st := c.Status(); st.Broker != "mqtt://other:1883" || !st.Connected {
			t.Errorf("%+v", st)
		}
		mustClose(t, c)
	})
}

// TestChangeAtTheSameBroker: other credentials or subscriptions are one connection
// each time, and no event is lost or out of order.
func TestChangeAtTheSameBroker(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := mqtttest.New()
		defer b.Close()
		c := piped(t, b)
		const n = 20
		for i := 1; i <= n; i++ {
			events(t, c, i, i)
			change(t, c, func(o *mqtt.Options) {
				o.ClientID, o.Dial = fmt.Sprint("dynvit-", i), b.Dial
				o.Subscribe, o.Received = []string{fmt.Sprint("cmd/", i)}, func(mqtt.Message) {}
			})
			await(t, b, func(s mqtttest.State) bool { return slices.Contains(s.Subscribed, fmt.Sprint("cmd/", i)) })
		}
		wantEvents(t, slices.Compact(awaitEvent(t, b, n)), 1, n)
		if s := b.State(); s.Connects > n+1 {
			t.Errorf("%d connections", s.Connects)
		}
		mustClose(t, c)
	})
}

// TestChangeWithoutAConnection: a broker that does not answer, or refuses, is not
// waited for.
func TestChangeWithoutAConnection(t *testing.T) {
	for _, fault := range []mqtttest.Fault{{Mute: true}, {Refuse: 3}} {
		bubble(t, func(t *testing.T) {
			old, other := mqtttest.New(), mqtttest.New()
			defer old.Close()
			defer other.Close()
			old.Set(fault)
			c := piped(t, old)
			publish(t, c, event("e1"))
			time.Sleep(time.Hour)
			before := time.Now()
			change(t, c, func(o *mqtt.Options) { o.Broker, o.Dial = "mqtt://other", other.Dial })
			await(t, other, func(s mqtttest.State) bool { return len(s.Topic(node+"/camera/door/event")) == 1 })
			if took := time.Since(before); took > time.Second {
				t.Errorf("connected after %v", took)
			}
			synctest.Wait()
			mustClose(t, c)
		})
	}
}

// TestWrongChange changes nothing.
func TestWrongChange(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := mqtttest.New()
		defer b.Close()
		c := piped(t, b)
		await(t, b, func(s mqtttest.State) bool { return s.Retained[node+"/status"] == "online" })
		for _, wrong := range []func(*mqtt.Options){
			func(o *mqtt.Options) { o.Broker = "gopher://other" },
			func(o *mqtt.Options) { o.Password = "without a name" },
			func(o *mqtt.Options) { o.Broker, o.TLS.CA = "mqtts://other", "/missing.pem" },
		} {
			if err := c.Change(options(t, wrong)); err == nil {
				t.Error("accepted")
			} else if strings.Contains(err.Error(), "without a name") {
				t.Errorf("%v shows the password", err)
			}
		}
		time.Sleep(time.Hour)
		if s := b.State(); s.Connects != 1 || s.Open != 1 {
			t.Errorf("%d connections, %d open", s.Connects, s.Open)
		}
		mustClose(t, c)
	})
}

// TestChangeAndClose: a client that is changed while it is closed ends all the
// same, and its node is not left online.
func TestChangeAndClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := mqtttest.New()
		defer b.Close()
		c := piped(t, b)
		publish(t, c, event("e1"))
		ended := make(chan struct{})
		await(t, b, func(s mqtttest.State) bool { return s.Retained[node+"/status"] == "online" })
		go func() {
			defer close(ended)
			ctx, cancel := contextFor(t, patience)
			defer cancel()
			c.Close(ctx, status("stopped")) // an error where it came between two connections
		}()
		for range 3 {
			change(t, c, func(o *mqtt.Options) { o.Dial = b.Dial })
		}
		<-ended
		await(t, b, func(s mqtttest.State) bool { return s.Retained[node+"/status"] != "online" })
	})
}

// slowToClose takes a second to be closed.
type slowToClose struct{ net.Conn }

func (c slowToClose) Close() error {
	time.Sleep(time.Second)
	return c.Conn.Close()
}

// TestCloseWhileAConnectionIsLeft: Close comes between two connections, and tells what
// was not delivered.
func TestCloseWhileAConnectionIsLeft(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := mqtttest.New()
		defer b.Close()
		dial := func(ctx context.Context) (net.Conn, error) {
			conn, err := b.Dial(ctx)
			return slowToClose{conn}, err
		}
		c := startClient(t, func(o *mqtt.Options) { o.Dial = dial })
		await(t, b, func(s mqtttest.State) bool { return s.Retained[node+"/status"] == "online" })
		synctest.Wait()
		change(t, c, func(o *mqtt.Options) { o.Dial = dial })
		time.Sleep(time.Second / 2)
		ctx, cancel := contextFor(t, patience)
		defer cancel()
		if err := c.Close(ctx, status("stopped")); err == nil || !strings.Contains(err.Error(), "1 messages were not delivered") {
			t.Errorf("closed: %v", err)
		}
	})
}

// TestSame holds that each option has a client connect in another way, but for those
// that Change leaves as New had them and what they hand over to.
func TestSame(t *testing.T) {
	left := []string{"Will", "Received", "Birth", "Log", "Pulse", "QueueMessages", "QueueBytes", "EventTTL", "OpenDisk", "Dial"}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[mqtt.Options]()) {
		var a, b mqtt.Options
		switch v := reflect.ValueOf(&b).Elem().FieldByIndex(f.Index); v.Interface().(type) {
		case string:
			v.SetString("x")
		case bool:
			v.SetBool(true)
		case mqtt.Protocol:
			v.SetUint(1)
		case []string:
			v.Set(reflect.ValueOf([]string{"x"}))
		case mqtt.TLS:
			v.Field(0).SetString("x")
		default:
			if !slices.Contains(left, f.Name) {
				t.Errorf("%s: is it for Same?", f.Name)
			}
			continue
		}
		if a.Same(b) {
			t.Errorf("the same with another %s", f.Name)
		}
	}
}
