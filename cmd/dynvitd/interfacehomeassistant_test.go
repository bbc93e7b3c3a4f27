package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// TestInterfaceHomeAssistant: a daemon announces the page's discovery topics,
// retained, and on them the page's components and no others.
func TestInterfaceHomeAssistant(t *testing.T) {
	d := start(t, dynvitd(t, "run", "--source", "test:", "--node", "box", "--keep", "0.7"))
	port := d.await(`embedded broker started.*:(\d+) topics`)
	d.await("msg=ready")
	found := discovered(t, port)
	here := page(t).below(t, "### Home Assistant")
	topics := firstCodes(here.rows("discovery topic"))
	var named, exist, shown []string
	for announced, data := range found {
		topic := strings.NewReplacer("homeassistant/", "<discovery_prefix>/", "_box", "_<node>", "/cam0/", "/<name>/").Replace(announced)
		shown = append(shown, topic)
		of := "node "
		if strings.Contains(topic, "<name>") {
			of = "camera "
		}
		var payload struct {
			Components map[string]struct{ Platform string }
		}
		if err := json.Unmarshal(data, &payload); err != nil {
			t.Fatal(err)
		}
		for name, c := range payload.Components {
			exist = append(exist, of+name+" "+c.Platform)
		}
	}
	for _, r := range here.rows("component") {
		named = append(named, r[2]+" "+codes(r[0])[0]+" "+codes(r[1])[0])
	}
	same(t, "discovery topics", topics, shown)
	same(t, "components", named, exist)
}

// discovered are the two retained messages below homeassistant/, asked for until
// they are there.
func discovered(t *testing.T, port string) map[string][]byte {
	t.Helper()
	for begin := time.Now(); time.Since(begin) < patience; time.Sleep(50 * time.Millisecond) {
		l, kept := listen(t, port), make(chan paho.Message, 100)
		l.done(l.Subscribe("homeassistant/#", 1, func(_ paho.Client, m paho.Message) { kept <- m }))
		l.done(l.Subscribe("nothing/there", 1, nil))
		time.Sleep(50 * time.Millisecond)
		found := map[string][]byte{}
		for len(kept) > 0 {
			if m := <-kept; m.Retained() {
				found[m.Topic()] = m.Payload()
			}
		}
		if len(found) == 2 {
			return found
		}
	}
	t.Fatal("no discovery is retained")
	return nil
}
