// Package homeassistant makes a node and its cameras devices of Home Assistant:
// the payloads of its MQTT device discovery, from what package messages says
// stands on the broker. It publishes nothing itself.
//
// The node is a device, and each camera one below it, with a discovery topic of
// its own, so that a camera goes by the empty payload of its topic. A component
// that this configuration does not want is listed by its platform alone, by which
// Home Assistant removes what an earlier run announced; one that a later version
// drops must stay listed so.
package homeassistant

import (
	"time"

	"dynvit/messages"
)

// Node is what Home Assistant is told about.
type Node struct {
	Name, Version string
	Prefix        string // of Home Assistant's discovery topics
	Topics        messages.Topics
	Commands      bool          // whether commands are taken
	StatsEvery    time.Duration // how often stats are published
	Cameras       []Camera
}

// Camera is one of a node's.
type Camera struct {
	Name      string
	Models    []Model       // that look at it, at least one
	Former    []string      // names of models that did, and may still have entities
	Heartbeat time.Duration // the states are published at least this often
	Snapshots bool          // published at each change
}

// Model is one of a camera's.
type Model struct {
	Name   string   // "" where it is the only one, whose topics are the camera's own
	Labels []string // that may hold, as events name them; may repeat
}

// Announcement is to be published retained.
type Announcement struct {
	Topic   string
	Payload []byte
}

// Announcements are of the node, then of its cameras: a device comes after the
// one that it is below.
func (n *Node) Announcements() []Announcement {
	list := []Announcement{{n.topic(""), messages.Encode(n.node())}}
	for i := range n.Cameras {
		c := &n.Cameras[i]
		list = append(list, Announcement{n.topic("/" + c.Name), messages.Encode(n.camera(c))})
	}
	return list
}

// topic is a device's; below is "" or a slash and a camera's name.
func (n *Node) topic(below string) string { return n.Prefix + "/device/" + n.id() + below + "/config" }

// id identifies the node's device, and with a slash and a name behind it a
// camera's: neither name has a slash, so no two are equal.
func (n *Node) id() string { return "dynvit_" + n.Name }

// payload is what a device's topic takes.
type payload struct {
	Device       device               `json:"device"`
	Origin       origin               `json:"origin"`
	QoS          int                  `json:"qos"`
	Availability []availability       `json:"availability"` // of components that have none of their own
	Mode         string               `json:"availability_mode"`
	Components   map[string]component `json:"components"`
}

type device struct {
	Identifiers  []string `json:"identifiers"`
	Name         string   `json:"name"`
	Manufacturer string   `json:"manufacturer"`
	Model        string   `json:"model"`
	Version      string   `json:"sw_version,omitempty"`
	Via          string   `json:"via_device,omitempty"`
}

type origin struct {
	Name    string `json:"name"`
	Version string `json:"sw_version"`
}

type availability struct {
	Topic    string `json:"topic"`
	Template string `json:"value_template"`
}

func (n *Node) node() payload {
	return n.payload(n.nodeComponents(), device{
		Identifiers: []string{n.id()}, Name: n.Name, Manufacturer: "dynvit", Model: "dynvitd", Version: n.Version,
	}, n.Topics.Status)
}

func (n *Node) camera(c *Camera) payload {
	return n.payload(n.cameraComponents(c), device{
		Identifiers: []string{n.id() + "/" + c.Name}, Name: n.Name + " " + c.Name, Manufacturer: "dynvit", Model: "camera", Via: n.id(),
	}, n.Topics.Status, n.Topics.Camera(c.Name).Status)
}

// payload makes a device of components, which are available while all of the
// status topics say online.
func (n *Node) payload(list map[string]component, d device, status ...string) payload {
	for name, c := range list {
		c.UniqueID = d.Identifiers[0] + "/" + name
		if c.absent || c.CommandTopic != "" && !n.Commands {
			c = component{Platform: c.Platform}
		}
		list[name] = c
	}
	return payload{
		Device: d, Origin: origin{"dynvitd", n.Version}, QoS: 1,
		Availability: whileOnline(status...), Mode: "all", Components: list,
	}
}

// whileOnline translates the words of status topics: Home Assistant ignores any
// but its own two, and would leave an entity available.
func whileOnline(topics ...string) []availability {
	list := []availability{}
	for _, t := range topics {
		list = append(list, availability{t, `{{ 'online' if value == 'online' else 'offline' }}`})
	}
	return list
}
