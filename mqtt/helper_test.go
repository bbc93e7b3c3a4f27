package mqtt_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dynvit/mqtt"
	"dynvit/mqtt/mqtttest"
)

const node = "dynvit/box"

// patience is how long anything may take that does come.
const patience = 2 * time.Minute

var will = mqtt.Message{Topic: node + "/status", Payload: []byte("offline"), QoS: 1, Retain: true}

func status(word string) mqtt.Message {
	return mqtt.Message{Topic: node + "/status", Payload: []byte(word), QoS: 1, Retain: true}
}

func event(payload string) mqtt.Message {
	return mqtt.Message{Topic: node + "/camera/door/event", Payload: []byte(payload), QoS: 1}
}

func state(topic, payload string) mqtt.Message {
	return mqtt.Message{Topic: node + "/" + topic, Payload: []byte(payload), QoS: 1, Retain: true}
}

// The names of what both runs.
const (
	version3 = "MQTT-3.1.1"
	version5 = "MQTT-5"
)

// both runs a test with each version of the protocol, which startClient takes from
// the test's name.
func both(t *testing.T, test func(*testing.T)) {
	for _, version := range []string{version3, version5} {
		t.Run(version, test)
	}
}

// bubble is both, each in a bubble of synctest's.
func bubble(t *testing.T, test func(*testing.T)) {
	both(t, func(t *testing.T) { synctest.Test(t, test) })
}

func protocolOf(t *testing.T) mqtt.Protocol {
	if strings.Contains(t.Name(), version5) {
		return mqtt.Protocol5
	}
	return mqtt.Protocol3
}

// options are of a node's client, with a will; edit may change them.
func options(t *testing.T, edit func(*mqtt.Options)) mqtt.Options {
	o := mqtt.Options{Broker: "mqtt://127.0.0.1:1883", ClientID: "dynvit-box", Will: &will, Protocol: protocolOf(t)}
	edit(&o)
	return o
}

// startClient starts a client of a node, with a will and a birth message; edit
// may change its options. The test must close it.
func startClient(t *testing.T, edit func(*mqtt.Options)) *mqtt.Client {
	t.Helper()
	c, err := mqtt.New(options(t, func(o *mqtt.Options) {
		o.Birth = []mqtt.Message{status("online")}
		edit(o)
	}))
	if err != nil {
		t.Fatal(err)
	}
	c.Start()
	return c
}

// piped starts a client that reaches b in memory.
func piped(t *testing.T, b *mqtttest.Broker) *mqtt.Client {
	t.Helper()
	return startClient(t, func(o *mqtt.Options) { o.Dial = b.Dial })
}

func publish(t *testing.T, c *mqtt.Client, list ...mqtt.Message) {
	t.Helper()
	for _, m := range list {
		if err := c.Publish(m); err != nil {
			t.Fatalf("publish on %s: %v", m.Topic, err)
		}
	}
}

// await fails the test when the broker does not come to satisfy ok. Inside a
// synctest bubble the time is the bubble's.
func await(t *testing.T, b *mqtttest.Broker, ok func(mqtttest.State) bool) mqtttest.State {
	t.Helper()
	ctx, cancel := contextFor(t, patience)
	defer cancel()
	s, err := b.Await(ctx, ok)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// mustClose closes c with "stopped" and expects all to be delivered.
func mustClose(t *testing.T, c *mqtt.Client) {
	t.Helper()
	ctx, cancel := contextFor(t, patience)
	defer cancel()
	if err := c.Close(ctx, status("stopped")); err != nil {
		t.Error(err)
	}
}

// abandon closes c without waiting for anything to be delivered.
func abandon(c *mqtt.Client) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	c.Close(ctx)
}

func contextFor(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), d)
}
