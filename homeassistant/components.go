package homeassistant

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"dynvit/messages"
)

const (
	// maxEventTypes bounds the event types of a camera: Home Assistant keeps the
	// list with the entity, and shows it where an automation is made.
	maxEventTypes = 100
	// anyChange is the only event type where there are more labels than that.
	anyChange = "label_changed"
	// noLabel is the event type of a change to no label.
	noLabel = "none"
	// leastExpiry is the least time without news after which a value is unknown: a
	// busy box may publish late.
	leastExpiry = 10 * time.Second
)

// component is an entity. Its fields are those of Home Assistant's MQTT platforms.
type component struct {
	absent bool // only its platform is named, by which it is removed

	Platform     string         `json:"platform"`
	UniqueID     string         `json:"unique_id,omitempty"`
	Name         string         `json:"name,omitempty"`
	DeviceClass  string         `json:"device_class,omitempty"`
	Category     string         `json:"entity_category,omitempty"`
	Icon         string         `json:"icon,omitempty"`
	Unit         string         `json:"unit_of_measurement,omitempty"`
	StateClass   string         `json:"state_class,omitempty"`
	StateTopic   string         `json:"state_topic,omitempty"`
	Template     string         `json:"value_template,omitempty"`
	Precision    int            `json:"suggested_display_precision,omitempty"`
	ExpireAfter  int            `json:"expire_after,omitempty"` // seconds
	EventTypes   []string       `json:"event_types,omitempty"`
	ImageTopic   string         `json:"image_topic,omitempty"`
	ContentType  string         `json:"content_type,omitempty"`
	CommandTopic string         `json:"command_topic,omitempty"`
	Press        string         `json:"payload_press,omitempty"`
	On           string         `json:"payload_on,omitempty"`
	Off          string         `json:"payload_off,omitempty"`
	Min          float64        `json:"min,omitempty"`
	Max          float64        `json:"max,omitempty"`
	Step         float64        `json:"step,omitempty"`
	Mode         string         `json:"mode,omitempty"`
	Availability []availability `json:"availability,omitzero"` // in place of the device's; empty: always
}

// nodeComponents are the entities of the node's device.
func (n *Node) nodeComponents() map[string]component {
	settings, stats := n.Topics.Settings, n.Topics.Stats
	expiry := expiry(n.StatsEvery)
	connection := connectivity(n.Topics.Status)
	connection.Availability = []availability{}
	return map[string]component{
		"connection": connection,
		"temperature": {
			Platform: "sensor", Name: "Temperature", DeviceClass: "temperature", Unit: "°C", StateClass: "measurement", Category: "diagnostic",
			StateTopic: stats, Template: `{{ value_json.temperature_c }}`, Precision: 1, ExpireAfter: expiry,
		},
		"outbox": {
			Platform: "sensor", Name: "Outbox", Icon: "mdi:tray-full", Unit: "messages", StateClass: "measurement", Category: "diagnostic",
			StateTopic: stats, Template: `{{ value_json.outbox.depth }}`, ExpireAfter: expiry,
		},
		// The ratio may be set below what the slider shows.
		"keep": {
			Platform: "number", Name: "Keep ratio", Icon: "mdi:content-cut", Category: "config", Min: 0.01, Max: 1, Step: 0.01, Mode: "slider",
			StateTopic: settings, Template: `{{ [value_json.keep, 0.01] | max }}`, CommandTopic: n.Topics.Commands + "keep",
		},
		"budget": {
			Platform: "number", Name: "Latency budget", DeviceClass: "duration", Unit: "ms", Category: "config", Min: 1, Max: 60000, Step: 1, Mode: "box",
			StateTopic: settings, Template: `{{ value_json.budget_ms }}`, CommandTopic: n.Topics.Commands + "budget",
		},
		"auto": {
			Platform: "switch", Name: "Follow the budget", Icon: "mdi:auto-mode", Category: "config", On: "auto", Off: "hold",
			StateTopic: settings, Template: `{{ 'auto' if value_json.auto else 'hold' }}`, CommandTopic: n.Topics.Commands + "keep",
		},
		"recalibrate": {
			Platform: "button", Name: "Recalibrate", Icon: "mdi:speedometer", Category: "config", Press: "true",
			CommandTopic: n.Topics.Commands + "recalibrate",
		},
	}
}

// cameraComponents are the entities of a camera's device.
func (n *Node) cameraComponents(c *Camera) map[string]component {
	list := n.resultComponents(c)
	topics, status := n.Topics.Camera(c.Name), whileOnline(n.Topics.Status)
	// These two tell that the camera is gone or off, and bring it back: they hang on
	// the node alone.
	connection := connectivity(topics.Status)
	connection.Availability = status
	list["connection"] = connection
	list["enabled"] = component{
		Platform: "switch", Name: "Enabled", Icon: "mdi:cctv", Category: "config", On: "true", Off: "false", Availability: status,
		StateTopic: n.Topics.Settings, Template: `{{ 'true' if ` + ofCamera(c, "enabled", "false") + ` else 'false' }}`,
		CommandTopic: n.Topics.Commands + "camera/" + c.Name + "/enabled",
	}
	list["snapshot"] = component{
		Platform: "image", Name: "Snapshot", ImageTopic: topics.Snapshot, ContentType: "image/jpeg", absent: !c.Snapshots && !n.Commands,
	}
	list["take_snapshot"] = component{
		Platform: "button", Name: "Take snapshot", Icon: "mdi:camera", Press: c.Name, CommandTopic: n.Topics.Commands + "snapshot",
	}
	return list
}

// resultComponents are what a camera's frames come to: of its only model by the
// plain names, of several by theirs. The others' are absent.
func (n *Node) resultComponents(c *Camera) map[string]component {
	list := n.frameComponents(c)
	for _, name := range append([]string{""}, c.Former...) {
		for key, one := range n.modelComponents(c, &Model{Name: name}) {
			one.absent = true
			list[key] = one
		}
	}
	for i := range c.Models {
		maps.Copy(list, n.modelComponents(c, &c.Models[i]))
	}
	return list
}

// frameComponents are of a camera's frames, whatever looks at them.
func (n *Node) frameComponents(c *Camera) map[string]component {
	stats := func(s component) component {
		s.Platform, s.StateTopic, s.ExpireAfter, s.Category = "sensor", n.Topics.Stats, expiry(n.StatsEvery), "diagnostic"
		return s
	}
	return map[string]component{
		"fps":   stats(component{Name: "Frame rate", Icon: "mdi:filmstrip", Unit: "fps", StateClass: "measurement", Precision: 1, Template: `{{ ` + ofCamera(c, "fps", "none") + ` }}`}),
		"drops": stats(component{Name: "Dropped frames", Icon: "mdi:filmstrip-off", Unit: "frames", StateClass: "total_increasing", Template: `{{ ` + ofCamera(c, "drops", "{}") + `.values() | sum }}`}),
	}
}

// modelComponents are what one model makes of a camera's frames.
func (n *Node) modelComponents(c *Camera, m *Model) map[string]component {
	topics, types := n.results(c, m), eventTypes(m.Labels)
	state := func(s component) component {
		s.Platform, s.StateTopic, s.ExpireAfter = "sensor", topics.State, expiry(c.Heartbeat)
		return s
	}
	list := map[string]component{
		"label": state(component{Name: "Label", Icon: "mdi:tag", Template: `{{ value_json.label }}`}),
		"score": state(component{
			Name: "Score", Icon: "mdi:percent", Unit: "%", StateClass: "measurement", Precision: 1, Template: `{{ (value_json.score * 100) | round(2) }}`,
		}),
		"latency":    state(milliseconds("Latency", "latency_ms")),
		"age":        state(milliseconds("Age", "age_ms")),
		"keep_ratio": state(component{Name: "Keep ratio", Icon: "mdi:content-cut", StateClass: "measurement", Category: "diagnostic", Template: `{{ value_json.keep_ratio }}`}),
		"event":      {Platform: "event", Name: "Label change", Icon: "mdi:tag-arrow-right", StateTopic: topics.Event, EventTypes: types, Template: eventTemplate(types)},
	}
	return named(list, m.Name)
}

// named are components of one of several models: "weather label", label_weather.
func named(list map[string]component, model string) map[string]component {
	if model == "" {
		return list
	}
	of := map[string]component{}
	for key, c := range list {
		c.Name = model + " " + strings.ToLower(c.Name)
		of[key+"_"+model] = c
	}
	return of
}

// results are the topics of a camera's model.
func (n *Node) results(c *Camera, m *Model) messages.ResultTopics {
	if m.Name == "" {
		return n.Topics.Camera(c.Name).ResultTopics
	}
	return n.Topics.Model(c.Name, m.Name)
}

// connectivity says whether a status topic says online.
func connectivity(topic string) component {
	return component{
		Platform: "binary_sensor", Name: "Connection", DeviceClass: "connectivity", Category: "diagnostic",
		StateTopic: topic, Template: `{{ 'ON' if value == 'online' else 'OFF' }}`,
	}
}

// milliseconds is a time of a frame.
func milliseconds(name, field string) component {
	return component{
		Name: name, DeviceClass: "duration", Unit: "ms", StateClass: "measurement", Category: "diagnostic", Precision: 1,
		Template: `{{ value_json.` + field + ` }}`,
	}
}

// ofCamera is a template's expression for a field of the camera in settings or
// stats. Where the camera is not in them, as when it is being removed, it is
// fallback: a missing key is a line in Home Assistant's log.
func ofCamera(c *Camera, field, fallback string) string {
	return fmt.Sprintf(`value_json.cameras.get('%s', {}).get('%s', %s)`, c.Name, field, fallback)
}

// eventTypes are the labels, once each, and that of no label.
func eventTypes(labels []string) []string {
	var types []string
	for _, l := range append(slices.Clone(labels), noLabel) {
		if !slices.Contains(types, l) {
			types = append(types, l)
		}
		if len(types) > maxEventTypes {
			return []string{anyChange}
		}
	}
	return types
}

// eventTemplate makes of an event what Home Assistant keeps of it.
func eventTemplate(types []string) string {
	kind := `'` + anyChange + `'`
	if types[0] != anyChange {
		kind = `value_json.label or '` + noLabel + `'`
	}
	return `{{ {'event_type': ` + kind + `, 'id': value_json.id, 'label': value_json.label, 'previous': value_json.previous, ` +
		`'score': value_json.score, 'captured_at': value_json.captured_at} | tojson }}`
}

// expiry is the time in seconds after which a value that is published at least
// every so often has gone stale.
func expiry(every time.Duration) int { return int(max(3*every, leastExpiry).Seconds()) }
