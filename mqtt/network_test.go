package mqtt_test

import (
	"crypto/tls"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"dynvit/mqtt"
	"dynvit/mqtt/mqtttest"
)

func listen(t *testing.T) *mqtttest.Broker {
	t.Helper()
	b, err := mqtttest.Listen()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// TestManyPublishersOverBrokenConnections runs over TCP, for the race detector.
func TestManyPublishersOverBrokenConnections(t *testing.T) {
	both(t, testManyPublishersOverBrokenConnections)
}

func testManyPublishersOverBrokenConnections(t *testing.T) {
	before := runtime.NumGoroutine()
	b := listen(t)
	c := startClient(t, func(o *mqtt.Options) { o.Broker, o.QueueMessages = b.URL(), 5000 })
	const publishers, each = 4, 200
	var wg sync.WaitGroup
	for p := range publishers {
		wg.Go(func() {
			for i := range each {
				c.Publish(state(fmt.Sprint("camera/", p, "/state"), fmt.Sprint(i)))
				c.Publish(mqtt.Message{Topic: fmt.Sprint("event/", p), Payload: fmt.Appendf(nil, "%03d", i), QoS: 1})
				c.Publish(mqtt.Message{Topic: "frame"})
				c.Status()
				if i%50 == 25 {
					b.Cut()
				}
			}
		})
	}
	wg.Wait()
	s := await(t, b, func(s mqtttest.State) bool {
		for p := range publishers {
			if !slices.Contains(s.Topic(fmt.Sprint("event/", p)), fmt.Sprintf("%03d", each-1)) ||
				s.Retained[fmt.Sprint(node, "/camera/", p, "/state")] != fmt.Sprint(each-1) {
				return false
			}
		}
		return true
	})
	for p := range publishers {
		seen := make(map[string]bool)
		for _, payload := range s.Topic(fmt.Sprint("event/", p)) {
			seen[payload] = true
		}
		if len(seen) != each {
			t.Errorf("publisher %d: %d of %d events arrived", p, len(seen), each)
		}
	}
	mustClose(t, c)
	b.Close()
	goroutinesBack(t, before)
}

// goroutinesBack fails the test if the number of goroutines does not come down
// to n. The last of them have been told to end and need only be scheduled.
func goroutinesBack(t *testing.T, n int) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if runtime.NumGoroutine() <= n {
			return
		}
	}
	stacks := make([]byte, 1<<16)
	t.Errorf("%d goroutines, began with %d:\n%s", runtime.NumGoroutine(), n, stacks[:runtime.Stack(stacks, true)])
}

func TestReconnectsAfterBrokerRestartOnTheSamePort(t *testing.T) {
	both(t, testReconnectsAfterBrokerRestartOnTheSamePort)
}

func testReconnectsAfterBrokerRestartOnTheSamePort(t *testing.T) {
	b := listen(t)
	c := startClient(t, func(o *mqtt.Options) { o.Broker = b.URL() })
	await(t, b, func(s mqtttest.State) bool { return s.Retained[node+"/status"] == "online" })
	b.Down()
	publish(t, c, event("while away"))
	if err := b.Up(); err != nil {
		t.Fatal(err)
	}
	await(t, b, func(s mqtttest.State) bool {
		return s.Retained[node+"/status"] == "online" && slices.Contains(s.Topic(node+"/camera/door/event"), "while away")
	})
	mustClose(t, c)
}

// onIdle tells when a client idles for a reason.
type onIdle struct {
	why  string
	came chan struct{}
}

func (o onIdle) Busy(string) {}

func (o onIdle) Idle(why string) {
	if why == o.why {
		select {
		case o.came <- struct{}{}:
		default:
		}
	}
}

// TestTLSWithSystemRoots has a child process publish: the system's roots are
// read once in a process, from the file that SSL_CERT_FILE names.
func TestTLSWithSystemRoots(t *testing.T) {
	b := mqtttest.New()
	i := newIssuer(t)
	url := serveTLS(t, b, i, nil, &tls.Config{})
	startChild(t, url, "SSL_CERT_FILE="+i.file)
	await(t, b, func(s mqtttest.State) bool { return s.Retained[node+"/status"] == "online" })
}
