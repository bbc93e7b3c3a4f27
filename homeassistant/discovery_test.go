package homeassistant

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"dynvit/messages"
)

func box(cameras ...Camera) *Node {
	return &Node{
		Name: "porch-box", Version: "1.2.3", Prefix: "homeassistant", Topics: messages.NewTopics("dynvit", "porch-box"),
		Commands: true, StatsEvery: 30 * time.Second, Cameras: cameras,
	}
}

func door() Camera {
	return Camera{Name: "door", Models: []Model{{Labels: []string{"cat", `a "quoted" owl`, "cat"}}}, Heartbeat: time.Minute}
}

// announced are a node's payloads by topic, and the topics in order.
func announced(t *testing.T, n *Node) (map[string]payload, []string) {
	t.Helper()
	found, order := map[string]payload{}, []string(nil)
	for _, a := range n.Announcements() {
		var p payload
		if err := json.Unmarshal(a.Payload, &p); err != nil {
			t.Fatalf("%s: %v", a.Topic, err)
		}
		found[a.Topic], order = p, append(order, a.Topic)
	}
	return found, order
}

const (
	nodeTopic = "homeassistant/device/dynvit_porch-box/config"
	doorTopic = "homeassistant/device/dynvit_porch-box/door/config"
)

func TestDevices(t *testing.T) {
	found, order := announced(t, box(door()))
	if !slices.Equal(order, []string{nodeTopic, doorTopic}) {
		t.Fatalf("topics %q", order)
	}
	node, cam := found[nodeTopic].Device, found[doorTopic].Device
	if node.Name != "porch-box" || node.Version != "1.2.3" || cam.Name != "porch-box door" || cam.Via != node.Identifiers[0] {
		t.Errorf("devices %+v, %+v", node, cam)
	}
	ids := map[string]bool{}
	for topic, p := range found {
		if p.Mode != "all" || p.Origin.Name == "" {
			t.Errorf("%s: mode %q, origin %+v", topic, p.Mode, p.Origin)
		}
		for name, c := range p.Components {
			if c.Platform == "" || c.Name == "" || ids[c.UniqueID] {
				t.Errorf("%s: %s: %+v", topic, name, c)
			}
			ids[c.UniqueID] = true
		}
	}
}

// TestSeveralModels: each has entities of its own, under names that tell them apart, in
// place of those of an only one; and those of models that are gone are removed.
func TestSeveralModels(t *testing.T) {
	c := door()
	c.Models = []Model{{Name: "weather", Labels: []string{"rain"}}, {Name: "garage", Labels: []string{"open", "closed"}}}
	c.Former = []string{"birds"}
	found, _ := announced(t, box(c))
	of := found[doorTopic].Components
	for _, m := range []string{"weather", "garage"} {
		label, event := of["label_"+m], of["event_"+m]
		if label.StateTopic != "dynvit/porch-box/camera/door/"+m+"/state" || label.Name != m+" label" || label.UniqueID != "dynvit_porch-box/door/label_"+m || label.ExpireAfter != 180 {
			t.Errorf("%+v", label)
		}
		if event.StateTopic != "dynvit/porch-box/camera/door/"+m+"/event" {
			t.Errorf("%+v", event)
		}
	}
	if got := of["event_garage"].EventTypes; !slices.Equal(got, []string{"open", "closed", "none"}) {
		t.Errorf("types %q", got)
	}
	for _, key := range []string{"label", "score", "latency", "age", "keep_ratio"} {
		for _, gone := range []string{key, key + "_birds"} {
			if got := of[gone]; got.Platform != "sensor" || got.UniqueID != "" {
				t.Errorf("%s is not removed: %+v", gone, got)
			}
		}
	}
	if of["event"].Platform != "event" || of["event"].UniqueID != "" || of["fps"].UniqueID == "" || of["snapshot"].UniqueID == "" {
		t.Errorf("%+v", of)
	}
}

// TestNames: no camera of one node is taken for another's.
func TestNames(t *testing.T) {
	a, b := box(Camera{Name: "c"}), box(Camera{Name: "b_c"})
	a.Name, b.Name = "a_b", "a"
	legal := regexp.MustCompile(`^homeassistant/device/[a-zA-Z0-9_-]+/([a-zA-Z0-9_-]+/)?config$`) // Home Assistant's TOPIC_MATCHER
	seen := map[string]bool{}
	for _, n := range []*Node{a, b} {
		found, order := announced(t, n)
		for _, topic := range order {
			id := found[topic].Device.Identifiers[0]
			if seen[topic] || seen[id] || !legal.MatchString(topic) {
				t.Errorf("%s, %s: seen before, or illegal", topic, id)
			}
			seen[topic], seen[id] = true, true
		}
	}
}

// TestAvailability: all hangs on the node, a camera's entities on the camera too,
// but for those that tell of it and bring it back.
func TestAvailability(t *testing.T) {
	found, _ := announced(t, box(door()))
	topics := func(list []availability) string {
		var names []string
		for _, a := range list {
			names = append(names, strings.TrimPrefix(a.Topic, "dynvit/porch-box/"))
		}
		return strings.Join(names, " ")
	}
	for topic, p := range found {
		for name, c := range p.Components {
			want, got := "status", topics(p.Availability)
			if c.Availability != nil {
				got = topics(c.Availability)
			}
			switch {
			case topic == nodeTopic && name == "connection":
				want = ""
			case topic == doorTopic && name != "connection" && name != "enabled":
				want = "status camera/door/status"
			}
			if got != want {
				t.Errorf("%s: %s hangs on %q, want %q", topic, name, got, want)
			}
		}
	}
}

func TestExpiry(t *testing.T) {
	quick := door()
	quick.Heartbeat = time.Second
	for _, c := range []struct {
		camera Camera
		want   int
	}{{door(), 180}, {quick, 10}} {
		found, _ := announced(t, box(c.camera))
		for name, want := range map[string]int{"label": c.want, "score": c.want, "fps": 90, "drops": 90, "connection": 0, "event": 0} {
			if got := found[doorTopic].Components[name].ExpireAfter; got != want {
				t.Errorf("heartbeat %v: %s expires after %d s, want %d", c.camera.Heartbeat, name, got, want)
			}
		}
	}
}

// TestWithoutCommands: what would command, and pictures that never come, are taken
// back.
func TestWithoutCommands(t *testing.T) {
	n := box(door())
	with, _ := announced(t, n)
	n.Commands = false
	without, _ := announced(t, n)
	taken := 0
	for topic, p := range without {
		if len(p.Components) != len(with[topic].Components) {
			t.Errorf("%s: %d components, with commands %d", topic, len(p.Components), len(with[topic].Components))
		}
		for name, c := range p.Components {
			before := with[topic].Components[name]
			if gone := before.CommandTopic != "" || name == "snapshot"; gone != (fmt.Sprint(c) == fmt.Sprint(component{Platform: before.Platform})) {
				t.Errorf("%s: %s: %+v", topic, name, c)
			} else if gone {
				taken++
			}
		}
	}
	if taken != 7 {
		t.Errorf("%d taken back", taken)
	}
	n.Cameras[0].Snapshots = true
	if without, _ = announced(t, n); without[doorTopic].Components["snapshot"].ImageTopic == "" {
		t.Error("no snapshot where one is published at each change")
	}
}

func TestEventTypes(t *testing.T) {
	many := make([]string, maxEventTypes)
	for i := range many {
		many[i] = fmt.Sprint("label ", i)
	}
	for _, c := range []struct {
		labels, want []string
	}{
		{door().Models[0].Labels, []string{"cat", `a "quoted" owl`, "none"}},
		{[]string{"none"}, []string{"none"}},
		{many[1:], append(slices.Clone(many[1:]), "none")},
		{many, []string{"label_changed"}},
	} {
		types := eventTypes(c.labels)
		if !slices.Equal(types, c.want) {
			t.Errorf("%.3q…: %.3q…, want %.3q…", c.labels, types, c.want)
		}
		if fixed := strings.Contains(eventTemplate(types), "'event_type': 'label_changed'"); fixed != (len(c.want) == 1 && c.want[0] == anyChange) {
			t.Errorf("%.3q…: %s", types, eventTemplate(types))
		}
	}
}

// TestTemplates: every field that a template reads is in the payload of its topic.
func TestTemplates(t *testing.T) {
	event := messages.NewEncoder(messages.Engine{}, "b00t").Event(&messages.Report{Camera: "door"}, messages.Change{}, time.Now())
	samples := map[string][]byte{
		"settings": messages.Encode(messages.Settings{Cameras: map[string]messages.CameraSettings{"door": {}}}),
		"stats":    messages.Encode(messages.Stats{Cameras: map[string]messages.CameraStats{"door": {}}}),
		"state":    messages.NewEncoder(messages.Engine{}, "").Report(&messages.Report{Camera: "door"}, time.Now()),
		"event":    event,
	}
	read := regexp.MustCompile(`value_json((?:\.get\('\w+', \{\}\)|\.get\('\w+', [^)]+\)|\.[a-z_]+\b)+)`)
	step := regexp.MustCompile(`\.get\('(\w+)'|\.([a-z_]+)`)
	found, _ := announced(t, box(door()))
	checked := 0
	for _, p := range found {
		for name, c := range p.Components {
			kind := c.StateTopic[strings.LastIndex(c.StateTopic, "/")+1:]
			for _, m := range read.FindAllStringSubmatch(c.Template, -1) {
				var at any
				if err := json.Unmarshal(samples[kind], &at); err != nil {
					t.Fatalf("%s reads %s: %v", name, kind, err)
				}
				for _, s := range step.FindAllStringSubmatch(m[1], -1) {
					key := s[1] + s[2]
					fields, _ := at.(map[string]any)
					value, ok := fields[key]
					if key == "values" {
						break
					}
					if !ok {
						t.Errorf("%s: %s: %s has no %q", name, c.Template, kind, key)
					}
					at = value
				}
				checked++
			}
		}
	}
	if checked < 15 {
		t.Errorf("only %d fields checked", checked)
	}
}
