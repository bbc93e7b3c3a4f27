package mqtt_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dynvit/mqtt"
	"dynvit/mqtt/spool"
)

// childBroker names the broker that the test binary publishes to instead of
// testing, when it is run as a child by startChild.
const childBroker = "MQTT_TEST_CHILD_BROKER"

// If childFolder is set too, the child keeps numbered events there and says how
// many are on disk; childNumber is part of each event.
const (
	childFolder = "MQTT_TEST_CHILD_FOLDER"
	childNumber = "MQTT_TEST_CHILD_NUMBER"
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
		Broker: broker, ClientID: "dynvit-child", Will: &will, Birth: []mqtt.Message{status("online")},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	c.Start()
	select {}
}

func countUntilKilled(broker, folder, number string) {
	c, err := mqtt.New(mqtt.Options{
		Broker: broker, ClientID: "dynvit-child",
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
	cmd.Env = append(append(os.Environ(), childBroker+"="+broker), env...)
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

// freePort is one that nothing listens on now.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// startMosquitto runs Debian's broker and returns its MQTT and WebSocket ports.
func startMosquitto(t *testing.T) (port, webPort int) {
	t.Helper()
	port, webPort = freePort(t), freePort(t)
	runMosquitto(t, fmt.Sprintf("listener %d 127.0.0.1\nlistener %d 127.0.0.1\nprotocol websockets\nallow_anonymous true\nuser root\n", port, webPort))
	return port, webPort
}

// runMosquitto runs Debian's broker with a configuration until it is ready.
func runMosquitto(t *testing.T, text string) *exec.Cmd {
	t.Helper()
	path := requireProgram(t, "mosquitto", "mosquitto")
	conf := filepath.Join(t.TempDir(), "mosquitto.conf")
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-c", conf, "-v")
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	run(t, cmd)
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "running") {
			go func() { // a full pipe would stop it; ends with the process
				for lines.Scan() {
				}
			}()
			return cmd
		}
	}
	t.Fatal("mosquitto did not start")
	return nil
}

// mosquittoSub runs Debian's subscriber on all topics of the node and returns a
// function that gives its next line, "topic payload retain".
func mosquittoSub(t *testing.T, port int) func() string {
	t.Helper()
	return mosquittoSubWith(t, "-p", fmt.Sprint(port))
}

func mosquittoSubWith(t *testing.T, arguments ...string) func() string {
	t.Helper()
	path := requireProgram(t, "mosquitto_sub", "mosquitto-clients")
	// -d tells when it has subscribed, but only line by line if made to.
	cmd := exec.Command("stdbuf", append([]string{"-oL", path, "-h", "127.0.0.1", "-t", node + "/#", "-q", "1", "-F", "%t %p %r", "-W", "30", "-d"}, arguments...)...)
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

func TestPublishToMosquitto(t *testing.T) {
	for _, scheme := range []string{"mqtt", "ws"} {
		t.Run(scheme, func(t *testing.T) {
			port, webPort := startMosquitto(t)
			broker := fmt.Sprintf("mqtt://127.0.0.1:%d", port)
			if scheme == "ws" {
				broker = fmt.Sprintf("ws://127.0.0.1:%d/mqtt", webPort)
			}
			next := mosquittoSub(t, port)
			c := startClient(t, func(o *mqtt.Options) { o.Broker = broker })
			publish(t, c, state("info", "{}"), event("e1"), event("e2"))
			wantLines(t, next, "status online 0", "info {} 0", "camera/door/event e1 0", "camera/door/event e2 0")
			mustClose(t, c)
			wantLines(t, next, "status stopped 0")
			late := mosquittoSub(t, port)
			retained := []string{late(), late()}
			slices.Sort(retained)
			if want := []string{"info {} 1", "status stopped 1"}; !slices.Equal(retained, want) {
				t.Errorf("retained are %q, want %q", retained, want)
			}
		})
	}
}

func TestKilledClientLeavesItsWill(t *testing.T) {
	brokers := map[string]func(*testing.T) int{
		"mosquitto": func(t *testing.T) int { port, _ := startMosquitto(t); return port },
		"embedded": func(t *testing.T) int {
			b := listenBroker(t, mqtt.BrokerOptions{Listen: "127.0.0.1:0"})
			_, port, _ := net.SplitHostPort(b.Addr())
			var n int
			fmt.Sscan(port, &n)
			return n
		},
	}
	for name, start := range brokers {
		t.Run(name, func(t *testing.T) {
			port := start(t)
			next := mosquittoSub(t, port)
			child := startChild(t, fmt.Sprintf("mqtt://127.0.0.1:%d", port))
			wantLines(t, next, "status online 0")
			child.Process.Kill()
			wantLines(t, next, "status offline 0")
			late := mosquittoSub(t, port)
			wantLines(t, late, "status offline 1")
		})
	}
}

func TestEmbeddedBrokerServesMosquittoSub(t *testing.T) {
	b := listenBroker(t, mqtt.BrokerOptions{Listen: "127.0.0.1:0"})
	var port int
	fmt.Sscanf(b.URL(), "mqtt://127.0.0.1:%d", &port)
	next := mosquittoSub(t, port)
	c := startClient(t, func(o *mqtt.Options) { o.Broker = b.URL() })
	publish(t, c, state("camera/door/state", `{"label":"zebra"}`), event("e1"))
	wantLines(t, next, "status online 0", `camera/door/state {"label":"zebra"} 0`, "camera/door/event e1 0")
	mustClose(t, c)
	wantLines(t, next, "status stopped 0")
}
