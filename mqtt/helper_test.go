package mqtt_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"dynvit/mqtt"
	"dynvit/mqtt/mqtttest"
)

// requireProgram skips the test where program is not installed, or fails it
// where everything must run.
func requireProgram(t *testing.T, program, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		// Daemons live where an ordinary user's PATH does not reach.
		path, err = exec.LookPath("/usr/sbin/" + program)
	}
	if err == nil {
		return path
	}
	if os.Getenv("DYNVIT_REQUIRE") == "1" {
		t.Fatalf("%s is missing: install the Debian package %s", program, debianPackage)
	}
	t.Skipf("%s is missing: install the Debian package %s", program, debianPackage)
	return ""
}

// logBuffer collects a log that several goroutines write.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *logBuffer) logger(level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: level}))
}

const node = "dynvit/box"

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

// startClient starts a client of a node, with a will and a birth message; edit
// may change its options. The test must close it.
func startClient(t *testing.T, edit func(*mqtt.Options)) *mqtt.Client {
	t.Helper()
	o := mqtt.Options{
		Broker:   "mqtt://127.0.0.1:1883",
		ClientID: "dynvit-box",
		Will:     &will,
		Birth:    []mqtt.Message{status("online")},
	}
	edit(&o)
	c, err := mqtt.New(o)
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
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
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
	ctx, cancel := contextFor(t, 5*time.Second)
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
