package main

import (
	"encoding/json"
	"strings"
	"testing"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// TestInterfaceHomeAssistant: a daemon announces the page's discovery topics,
// retained, and on them the page's components and no others.
func TestInterfaceHomeAssistant(t *testing.T) {
	d := start(t, dynvitd(t, "run", "--source", "test:", "--node", "box", "--keep", "0.7"))
	port := d.await(`embedded broker started.*:(\d+) topics`)
	d.await("msg=ready")
	l := listen(t, port)
	found := make(chan paho.Message, 100)
	l.done(l.Subscribe("homeassistant/#", 1, func(_ paho.Client, m paho.Message) { found <- m }))
	here := page(t).below(t, "### Home Assistant")
	topics := firstCodes(here.rows("discovery topic"))
	if len(topics) != 2 {
		t.Fatalf("the page has the discovery topics %q", topics)
	}
	var named, exist, shown []string
	for range topics {
		m := <-found
		topic := strings.NewReplacer("homeassistant/", "<discovery_prefix>/", "_box/", "_<node>/", "/cam0/", "/<name>/").Replace(m.Topic())
		shown = append(shown, topic)
		if !m.Retained() {
			t.Errorf("%s is not retained", m.Topic())
		}
		of := "node "
		if strings.Contains(topic, "<name>") {
			of = "camera "
		}
		var payload struct {
			Components map[string]struct{ Platform string }
		}
		if err := json.Unmarshal(m.Payload(), &payload); err != nil {
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
