package daemon

import (
	"log/slog"
	"path/filepath"
	"sync"

	"dynvit/homeassistant"
	"dynvit/messages"
	"dynvit/mqtt"
	"dynvit/retained"
)

// publisher takes messages without waiting; *mqtt.Client is one.
type publisher interface{ Publish(mqtt.Message) error }

// announcer publishes what is not of a frame. It is safe for concurrent use.
type announcer struct {
	out      publisher
	topics   messages.Topics
	settings func() messages.Settings
	log      *slog.Logger

	mu sync.Mutex // orders what the settings are and that they are published
}

// send hands a message over to the outbox, which counts what it drops; being
// offline is reported by the client.
func (a *announcer) send(m mqtt.Message) {
	if err := a.out.Publish(m); err != nil {
		a.log.Debug("not published", "topic", m.Topic, "err", err)
	}
}

// changed publishes the settings in force.
func (a *announcer) changed() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.send(settingsMessage(a.topics, a.settings()))
}

// online says again what the birth did.
func (a *announcer) online() { a.send(statusMessage(a.topics, messages.NodeOnline)) }

// camera publishes the word of a camera's status.
func (a *announcer) camera(t messages.CameraTopics, word string) {
	a.send(mqtt.Message{Topic: t.Status, Payload: []byte(word), QoS: 1, Retain: true})
}

func (a *announcer) stats(s messages.Stats) {
	a.send(mqtt.Message{Topic: a.topics.Stats, Payload: messages.Encode(s)})
}

// answer publishes the result of a command.
func (a *announcer) answer(command string, o messages.Outcome) {
	a.send(mqtt.Message{Topic: a.topics.Commands + command + "/result", Payload: messages.Encode(o), QoS: 1})
}

// birth is what every connection begins with.
func birth(t messages.Topics, i messages.Info, s messages.Settings) []mqtt.Message {
	return []mqtt.Message{
		statusMessage(t, messages.NodeOnline),
		infoMessage(t, i),
		settingsMessage(t, s),
	}
}

// statusMessage is the node's condition in a word.
func statusMessage(t messages.Topics, word string) mqtt.Message {
	return mqtt.Message{Topic: t.Status, Payload: []byte(word), QoS: 1, Retain: true}
}

func infoMessage(t messages.Topics, i messages.Info) mqtt.Message {
	return mqtt.Message{Topic: t.Info, Payload: messages.Encode(i), QoS: 1, Retain: true}
}

func settingsMessage(t messages.Topics, s messages.Settings) mqtt.Message {
	return mqtt.Message{Topic: t.Settings, Payload: messages.Encode(s), QoS: 1, Retain: true}
}

// discovery is Home Assistant's prefix, "" where it is of no interest.
func (d *Daemon) discovery() string {
	if !d.config.HomeAssistant.Enabled {
		return ""
	}
	return d.config.HomeAssistant.DiscoveryPrefix
}

// newRetained knows what earlier runs left at the broker. Nodes that share a state
// folder do not take back each other's.
func (d *Daemon) newRetained(out publisher) *retained.Retained {
	o := retained.Owner{Node: d.node, Configuration: d.deps.Configuration}
	if d.deps.State != "" {
		o.Folder = filepath.Join(d.deps.State, "discovery")
	}
	return retained.New(o, out, d.log)
}

// standing is what stands retained at the broker by the configuration: what Home
// Assistant is told, nothing where discovery is off, and the node's own topics.
func (d *Daemon) standing(m *model) (list []homeassistant.Announcement, topics []string) {
	if d.config.HomeAssistant.Enabled {
		n := d.discoveredNode(m)
		list = n.Announcements()
	}
	topics = []string{d.topics.Status, d.topics.Info, d.topics.Settings}
	for _, name := range d.config.CameraNames() {
		t := d.topics.Camera(name)
		topics = append(topics, t.Status, t.State, t.Snapshot)
	}
	return list, topics
}

func (d *Daemon) discoveredNode(m *model) homeassistant.Node {
	n := homeassistant.Node{
		Name: d.node, Version: d.deps.Version, Prefix: d.config.HomeAssistant.DiscoveryPrefix,
		Topics: d.topics, Commands: d.config.MQTT.Commands, StatsEvery: statsEvery,
	}
	for _, name := range d.config.CameraNames() {
		c := d.config.Cameras[name]
		n.Cameras = append(n.Cameras, homeassistant.Camera{
			Name: name, Labels: m.labels(c.Labels), Heartbeat: c.Heartbeat, Snapshots: c.Publish.Snapshot,
		})
	}
	return n
}
