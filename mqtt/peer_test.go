package mqtt_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"dynvit/internal/needs"
	"dynvit/mqtt"
	"dynvit/mqtt/broker"
	"dynvit/mqtt/mqtttest"
	"dynvit/mqtt/spool"
)

// childBroker names the broker that the test binary publishes to instead of
// testing, when it is run as a child by startChild.
const childBroker = "MQTT_TEST_CHILD_BROKER"

// If childFolder is set too, the child keeps numbered events there and says how
// many are on disk; childNumber is part of each event.
const (
	childProtocol = "MQTT_TEST_CHILD_PROTOCOL"
	childFolder   = "MQTT_TEST_CHILD_FOLDER"
	childNumber   = "MQTT_TEST_CHILD_NUMBER"
)

func TestMain(m *testing.M) {
	broker, folder := os.Getenv(childBroker), os.Getenv(childFolder)
	switch {
	case folder != "":
		countUntilKilled(broker, folder, os.Getenv(childNumber))
	case broker != "":
		publishUntilKilled(broker)
	}
	os.Exit(m.Run())
}

func publishUntilKilled(broker string) {
	c, err := mqtt.New(mqtt.Options{
		Broker: broker, ClientID: "dynvit-child", Protocol: childsProtocol(), Will: &will, Birth: []mqtt.Message{status("online")},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	c.Start()
	select {}
}

func childsProtocol() mqtt.Protocol {
	n, _ := strconv.Atoi(os.Getenv(childProtocol)) // not set: the default
	return mqtt.Protocol(n)
}

func countUntilKilled(broker, folder, number string) {
	c, err := mqtt.New(mqtt.Options{
		Broker: broker, ClientID: "dynvit-child", Protocol: childsProtocol(),
		OpenDisk: func() (spool.Disk, error) { return spool.OpenFolder(folder) },
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	c.Start()
	for n := 1; ; n++ {
		m := event(fmt.Sprintf("%s-%05d", number, n))
		if err := c.Publish(m); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		fmt.Println(n - c.Status().Unsynced)
		time.Sleep(time.Millisecond) // a fast camera; nothing is waited for
	}
}

// startChild publishes "online" to broker from a process that the test may
// kill.
func startChild(t *testing.T, broker string, env ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(append(os.Environ(), childBroker+"="+broker, childProtocol+"="+strconv.Itoa(int(protocolOf(t)))), env...)
	cmd.Stderr = os.Stderr
	run(t, cmd)
	return cmd
}

// run starts cmd and sees to its end.
func run(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
}

// startMosquitto runs Debian's broker and returns its MQTT and WebSocket
// addresses.
func startMosquitto(t *testing.T) (plain, web string) {
	t.Helper()
	plain, web = mqtttest.Reserve(t), mqtttest.Reserve(t)
	mqtttest.RunMosquitto(t, mqtttest.Listener(plain)+mqtttest.Listener(web)+"protocol websockets\nallow_anonymous true\n")
	return plain, web
}

// embedded runs our own broker.
func embedded(t *testing.T) *broker.Broker {
	t.Helper()
	b, err := broker.Listen(broker.Options{Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// mosquittoSub runs Debian's subscriber on all topics of the node and returns a
// function that gives its next line, "topic payload retain".
func mosquittoSub(t *testing.T, address string, arguments ...string) func() string {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	path := needs.Program(t, "mosquitto_sub", "mosquitto-clients")
	// -d tells when it has subscribed, but only line by line if made to.
	cmd := exec.Command("stdbuf", append([]string{"-oL", path, "-h", host, "-p", port, "-t", node + "/#", "-q", "1", "-F", "%t %p %r", "-d",
		"-W", fmt.Sprint(patience.Seconds())}, arguments...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = new(bytes.Buffer)
	run(t, cmd)
	lines := bufio.NewScanner(out)
	next := func() string {
		for lines.Scan() {
			if line, ok := strings.CutPrefix(lines.Text(), node+"/"); ok || strings.Contains(line, "Subscribed") {
				return line
			}
		}
		t.Fatalf("mosquitto_sub ended: %v", lines.Err())
		return ""
	}
	if line := next(); !strings.Contains(line, "Subscribed") {
		t.Fatalf("mosquitto_sub began with %q", line)
	}
	return next
}

// wantLines expects the next lines to be want. Where live messages are wanted
// (retain 0) it skips retained ones: a message that arrives while the
// subscription is being made is delivered both ways by some brokers.
func wantLines(t *testing.T, next func() string, want ...string) {
	t.Helper()
	for _, w := range want {
		got := next()
		for strings.HasSuffix(w, " 0") && strings.HasSuffix(got, " 1") {
			got = next()
		}
		if got != w {
			t.Errorf("mosquitto_sub read %q, want %q", got, w)
		}
	}
}

func TestPublishToMosquitto(t *testing.T) { both(t, testPublishToMosquitto) }

func testPublishToMosquitto(t *testing.T) {
	for _, scheme := range []string{"mqtt", "ws"} {
		t.Run(scheme, func(t *testing.T) {
			plain, web := startMosquitto(t)
			url := "mqtt://" + plain
			if scheme == "ws" {
				url = "ws://" + web + "/mqtt"
			}
			next := mosquittoSub(t, plain)
			c := startClient(t, func(o *mqtt.Options) { o.Broker = url })
			publish(t, c, state("info", "{}"), event("e1"), event("e2"))
			wantLines(t, next, "status online 0", "info {} 0", "camera/door/event e1 0", "camera/door/event e2 0")
			mustClose(t, c)
			wantLines(t, next, "status stopped 0")
			late := mosquittoSub(t, plain)
			retained := []string{late(), late()}
			slices.Sort(retained)
			if want := []string{"info {} 1", "status stopped 1"}; !slices.Equal(retained, want) {
				t.Errorf("retained are %q, want %q", retained, want)
			}
		})
	}
}

func TestKilledClientLeavesItsWill(t *testing.T) { both(t, testKilledClientLeavesItsWill) }

func testKilledClientLeavesItsWill(t *testing.T) {
	brokers := map[string]func(*testing.T) string{
		"mosquitto": func(t *testing.T) string { plain, _ := startMosquitto(t); return plain },
		"embedded":  func(t *testing.T) string { return embedded(t).Addr() },
	}
	for name, start := range brokers {
		t.Run(name, func(t *testing.T) {
			address := start(t)
			next := mosquittoSub(t, address)
			child := startChild(t, "mqtt://"+address)
			wantLines(t, next, "status online 0")
			child.Process.Kill()
			wantLines(t, next, "status offline 0")
			late := mosquittoSub(t, address)
			wantLines(t, late, "status offline 1")
		})
	}
}

func TestEmbeddedBrokerServesMosquittoSub(t *testing.T) {
	both(t, testEmbeddedBrokerServesMosquittoSub)
}

func testEmbeddedBrokerServesMosquittoSub(t *testing.T) {
	b := embedded(t)
	next := mosquittoSub(t, b.Addr())
	c := startClient(t, func(o *mqtt.Options) { o.Broker = b.URL() })
	publish(t, c, state("camera/door/state", `{"label":"zebra"}`), event("e1"))
	wantLines(t, next, "status online 0", `camera/door/state {"label":"zebra"} 0`, "camera/door/event e1 0")
	mustClose(t, c)
	wantLines(t, next, "status stopped 0")
}

// TestMosquittoThatKnowsLess: a broker without retained messages or QoS 1 closes
// the connection at CONNECT; what is said names the cause among the
// possible ones, and the key to do without.
func TestMosquittoThatKnowsLess(t *testing.T) {
	for _, tt := range []struct {
		line, want string
		without    func(*mqtt.Options)
	}{
		{"retain_available false", "retained, of QoS 1 (mqtt.retain, mqtt.qos)", func(o *mqtt.Options) { o.NoRetain = true }},
		{"max_qos 0", "retained, of QoS 1 (mqtt.retain, mqtt.qos)", func(o *mqtt.Options) { o.NoQoS1 = true }},
	} {
		t.Run(tt.line, func(t *testing.T) {
			address := mqtttest.Reserve(t)
			mqtttest.RunMosquitto(t, mqtttest.Listener(address)+"allow_anonymous true\n"+tt.line+"\n")
			got := firstError(t, func(o *mqtt.Options) { o.Broker = "mqtt://" + address })
			if !strings.Contains(got, tt.want) {
				t.Errorf("error %q, want %q", got, tt.want)
			}
			next := mosquittoSub(t, address)
			c := startClient(t, func(o *mqtt.Options) { o.Broker = "mqtt://" + address; tt.without(o) })
			publish(t, c, state("info", "{}"), event("e1"))
			wantLines(t, next, "status online 0", "info {} 0", "camera/door/event e1 0")
			mustClose(t, c)
			wantLines(t, next, "status stopped 0")
		})
	}
}

func TestWebSocketAtAnotherPath(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	got := firstError(t, func(o *mqtt.Options) { o.Broker = "ws" + strings.TrimPrefix(s.URL, "http") })
	if !strings.Contains(got, "is the path right?") || !strings.Contains(got, "/mqtt") {
		t.Errorf("error %q", got)
	}
}
