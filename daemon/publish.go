package daemon

import (
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"dynvit/homeassistant"
	"dynvit/lineup"
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

// newRetained knows what earlier runs left at the broker.
func (d *Daemon) newRetained(out publisher) *retained.Retained {
	return retained.New(d.owner(), out, d.log)
}

// owner tells nodes that share a state folder apart: they do not take back each other's.
func (d *Daemon) owner() retained.Owner {
	o := retained.Owner{Node: d.node, Configuration: d.deps.Configuration}
	if d.deps.State != "" {
		o.Folder = filepath.Join(d.deps.State, "discovery")
	}
	return o
}

// formerModels are those that have had topics of their own below a camera, by what may
// stand at the broker, and have none any more.
func (d *Daemon) formerModels(camera string, views []lineup.View, known []string) (list []string) {
	for _, topic := range known {
		name, below := strings.CutPrefix(topic, d.topics.Root+"/camera/"+camera+"/")
		model, state := strings.CutSuffix(name, "/state")
		if below && state && !slices.Contains(severalNames(views), model) {
			list = append(list, model)
		}
	}
	return list
}

// standing is what stands retained at the broker by the configuration: what Home
// Assistant is told, nothing where discovery is off, and the node's own topics.
func (d *Daemon) standing(a lineup.Asked, known []string) (list []homeassistant.Announcement, topics []string) {
	if d.config.HomeAssistant.Enabled {
		n := d.discoveredNode(a, known)
		list = n.Announcements()
	}
	topics = []string{d.topics.Status, d.topics.Info, d.topics.Settings}
	for _, name := range d.config.CameraNames() {
		t := d.topics.Camera(name)
		topics = append(topics, t.Status)
		for _, v := range a.Cameras[name] {
			topics = append(topics, cameraTopics{d.topics, name}.of(v.Model, len(a.Cameras[name])).State)
		}
		topics = append(topics, t.Snapshot)
	}
	return list, topics
}

func (d *Daemon) discoveredNode(a lineup.Asked, known []string) homeassistant.Node {
	n := homeassistant.Node{
		Name: d.node, Version: d.deps.Version, Prefix: d.config.HomeAssistant.DiscoveryPrefix,
		Topics: d.topics, Commands: d.config.MQTT.Commands, StatsEvery: statsEvery,
	}
	for _, name := range d.config.CameraNames() {
		c := d.config.Cameras[name]
		n.Cameras = append(n.Cameras, homeassistant.Camera{
			Name: name, Models: discoveredModels(a.Cameras[name]), Former: d.formerModels(name, a.Cameras[name], known), Heartbeat: c.Heartbeat, Snapshots: c.Publish.Snapshot,
		})
	}
	return n
}

// discoveredModels are a camera's: where there is one it has no name, as its topics
// have none.
func discoveredModels(views []lineup.View) (list []homeassistant.Model) {
	for _, v := range views {
		m := homeassistant.Model{Name: v.Name, Labels: v.Labels(v.Camera.Labels)}
		if len(views) == 1 {
			m.Name = ""
		}
		list = append(list, m)
	}
	return list
}
