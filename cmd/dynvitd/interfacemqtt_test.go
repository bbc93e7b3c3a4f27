package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// topicRow is one of the page's topics.
type topicRow struct {
	name     string
	retained bool
	qos      byte
	words    bool // the payload is no JSON
}

func topicRows(t *testing.T) map[string]topicRow {
	t.Helper()
	found := map[string]topicRow{}
	for _, r := range page(t).below(t, "## MQTT").rows("topic") {
		name := codes(r[0])[0]
		found[name] = topicRow{name, r[1] == "yes", r[2][0] - '0', strings.HasSuffix(name, "/status") || strings.HasSuffix(name, "/snapshot")}
	}
	return found
}

// onPage is a topic as the page writes it.
func onPage(topic string) string {
	topic = "…" + strings.TrimPrefix(topic, "dynvit/box")
	if strings.HasPrefix(topic, "…/cmd/") && strings.HasSuffix(topic, "/result") {
		return "…/cmd/<command>/result"
	}
	return strings.Replace(topic, "/camera/cam0/", "/camera/<name>/", 1)
}

// listener keeps the last message of each topic.
type listener struct {
	paho.Client
	t    *testing.T
	news chan struct{} // holds one

	mu       sync.Mutex
	last     arrivals
	retained map[string]bool // topics that the broker had a message of
}

type arrivals map[string]paho.Message

func listen(t *testing.T, port string) *listener {
	t.Helper()
	l := &listener{t: t, news: make(chan struct{}, 1), last: arrivals{}, retained: map[string]bool{}}
	o := paho.NewClientOptions().AddBroker("tcp://127.0.0.1:" + port).SetClientID(fmt.Sprintf("%s-%d", t.Name(), time.Now().UnixNano()))
	l.Client = paho.NewClient(o)
	l.done(l.Connect())
	t.Cleanup(func() { l.Disconnect(0) })
	l.done(l.Subscribe("dynvit/#", 1, func(_ paho.Client, m paho.Message) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.last[m.Topic()] = m
		l.retained[m.Topic()] = l.retained[m.Topic()] || m.Retained()
		select {
		case l.news <- struct{}{}:
		default:
		}
	}))
	return l
}

func (l *listener) done(k paho.Token) {
	l.t.Helper()
	if !k.WaitTimeout(patience) || k.Error() != nil {
		l.t.Fatal("mqtt: ", k.Error())
	}
}

func (l *listener) say(topic, payload string) {
	l.t.Helper()
	l.done(l.Publish(topic, 1, false, payload))
}

// await waits until what has come suffices. enough is called under the lock.
func (l *listener) await(what string, enough func(arrivals) bool) {
	l.t.Helper()
	timeout := time.After(patience)
	for !l.has(enough) {
		select {
		case <-l.news:
		case <-timeout:
			l.t.Fatalf("%s did not come", what)
		}
	}
}

func (l *listener) has(enough func(arrivals) bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return enough(l.last)
}

// topics are those that the daemon published to, by the page's names.
func (m arrivals) topics() map[string]string {
	found := map[string]string{}
	for topic := range m {
		if !strings.HasPrefix(topic, "dynvit/box/cmd/") || strings.HasSuffix(topic, "/result") {
			found[onPage(topic)] = topic // else what the test itself said
		}
	}
	return found
}

// TestInterfaceTopics: a daemon that publishes all it can publishes the page's
// topics, with the page's quality, retained or not, and with the examples' fields.
func TestInterfaceTopics(t *testing.T) {
	c := dynvitd(t, "run", "--source", "test:?fps=20", "--node", "box", "--keep", "0.7", "--http", "127.0.0.1:0")
	c.Env = append(c.Env, "DYNVIT_CAMERAS_CAM0_PUBLISH_FRAME=true", "DYNVIT_CAMERAS_CAM0_PUBLISH_SNAPSHOT=true")
	d := start(t, c)
	port := d.await(`embedded broker started.*:(\d+) topics`)
	web := d.await(`http server started" address=(\S+)`)
	d.await("msg=ready")
	l, rows := listen(t, port), topicRows(t)
	checkCommands(t, l)
	l.say("homeassistant/status", "online") // stats come of it
	l.await("each topic", func(seen arrivals) bool { return len(seen.topics()) >= len(rows) })
	checkTopics(t, l, rows)
	checkRetained(t, listen(t, port), rows)
	var health any
	if _, body := fetch(t, "http://"+web+"/readyz"); json.Unmarshal([]byte(body), &health) != nil {
		t.Errorf("readyz: %s", body)
	}
	alike(t, "/readyz", examples(t)["/readyz"], health, "reason")
	d.Process.Signal(syscall.SIGTERM)
	l.await("stopped", func(seen arrivals) bool { return string(seen["dynvit/box/status"].Payload()) == "stopped" })
}

// checkTopics holds what came to the page.
func checkTopics(t *testing.T, l *listener, rows map[string]topicRow) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	found := l.last.topics()
	same(t, "topics", slices.Collect(maps.Keys(rows)), slices.Collect(maps.Keys(found)))
	for name, topic := range found {
		m, row := l.last[topic], rows[name]
		if m.Qos() != row.qos {
			t.Errorf("%s: the page says QoS %d, it is %d", topic, row.qos, m.Qos())
		}
		if !row.words {
			checkPayload(t, name, m.Payload())
		}
	}
}

// checkRetained: the broker has a message of the topics that the page says it has,
// and of no other.
func checkRetained(t *testing.T, late *listener, rows map[string]topicRow) {
	t.Helper()
	kept := map[string]bool{} // by the page's names
	late.await("what the page says is retained", func(arrivals) bool {
		for topic, is := range late.retained {
			kept[onPage(topic)] = is
		}
		for name, row := range rows {
			if row.retained && !kept[name] {
				return false
			}
		}
		return true
	})
	for name, is := range kept {
		if is && !rows[name].retained {
			t.Errorf("%s is retained, the page says not", name)
		}
	}
}

func checkPayload(t *testing.T, name string, payload []byte) {
	t.Helper()
	var v any
	if err := json.Unmarshal(payload, &v); err != nil {
		t.Errorf("%s: %v: %s", name, err, payload)
	}
	alike(t, name, examples(t)[name], v, "kernel", "cpu", "board")
}

// checkCommands: every command of the page's table is known, as it is answered.
// None takes a list.
func checkCommands(t *testing.T, l *listener) {
	t.Helper()
	rows := page(t).below(t, "### Commands over MQTT").rows("command")
	if len(rows) < 5 {
		t.Fatalf("%d commands on the page", len(rows))
	}
	for _, r := range rows {
		topic := "dynvit/box/cmd/" + strings.Replace(codes(r[0])[0], "<name>", "cam0", 1)
		l.say(topic, `{"id":"x","value":[]}`)
		l.await("an answer to "+topic, func(seen arrivals) bool {
			m := seen[topic+"/result"]
			return m != nil && strings.Contains(string(m.Payload()), `"id":"x","ok":false`)
		})
	}
}
