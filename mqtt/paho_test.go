package mqtt_test

import (
	"net"
	"net/url"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"dynvit/mqtt"
	"dynvit/mqtt/mqtttest"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// TestPahoDropsQoS0WhileReconnecting shows why this package does not use
// paho's reconnecting: while it goes on, a QoS 0 message is thrown away and its
// token reports success. The branch is in Publish:
// https://github.com/eclipse-paho/paho.mqtt.golang/blob/v1.5.1/client.go
// ("message written to store", which it is not). The day this test fails, the
// bug is fixed upstream.
func TestPahoDropsQoS0WhileReconnecting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mqtttest.New()
		defer b.Close()
		lost := make(chan struct{})
		o := paho.NewClientOptions().AddBroker("tcp://pipe").SetAutoReconnect(true)
		o.SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) { return b.Dial(t.Context()) })
		o.SetReconnectingHandler(func(paho.Client, *paho.ClientOptions) {
			select {
			case <-lost:
			default:
				close(lost)
			}
		})
		c := paho.NewClient(o)
		if token := c.Connect(); token.Wait() && token.Error() != nil {
			t.Fatal(token.Error())
		}
		b.Down()
		<-lost
		token := c.Publish("frame", 0, false, "lost")
		if !token.WaitTimeout(time.Second) || token.Error() != nil {
			t.Errorf("paho's token: done %v, error %v; it used to claim success", token.WaitTimeout(0), token.Error())
		}
		if err := b.Up(); err != nil {
			t.Fatal(err)
		}
		await(t, b, func(s mqtttest.State) bool { return s.Connects == 2 })
		synctest.Wait()
		if got := b.State().Topic("frame"); slices.Contains(got, "lost") {
			t.Errorf("paho delivered %q; it used to drop it", got)
		}
		c.Disconnect(250)
	})
}

// TestQoS0DropIsReported is the work-around: the same moment, by this package.
func TestQoS0DropIsReported(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := mqtttest.New()
		defer b.Close()
		c := piped(t, b)
		synctest.Wait()
		b.Down()
		synctest.Wait()
		if err := c.Publish(mqtt.Message{Topic: "frame", Payload: []byte("lost")}); err != mqtt.ErrOffline {
			t.Errorf("publish: %v, want ErrOffline", err)
		}
		if n := c.Status().Dropped.Offline; n != 1 {
			t.Errorf("%d counted as dropped, want 1", n)
		}
		abandon(c)
	})
}
