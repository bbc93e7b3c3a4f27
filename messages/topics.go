package messages

import "strings"

// Words of the node's status topic.
const (
	NodeOnline  = "online"
	NodeOffline = "offline" // the will
	NodeStopped = "stopped"
)

// Words of a camera's status topic.
const (
	CameraOnline   = "online"
	CameraOffline  = "offline"
	CameraStalled  = "stalled"
	CameraDisabled = "disabled"
)

// Topics are the names under the node's root.
type Topics struct {
	Root                          string // prefix/node
	Status, Info, Settings, Stats string
	Commands                      string // what command topics begin with
}

// NewTopics names the topics of a node.
func NewTopics(prefix, node string) Topics {
	root := prefix + "/" + node
	return Topics{
		Root:     root,
		Status:   root + "/status",
		Info:     root + "/info",
		Settings: root + "/settings",
		Stats:    root + "/stats",
		Commands: root + "/cmd/",
	}
}

// CameraTopics are the names under one camera. Its results' are of its only model.
type CameraTopics struct {
	Status, Snapshot string
	ResultTopics
}

// ResultTopics are the names of what a model makes of a camera's frames.
type ResultTopics struct{ State, Event, Frame string }

// Camera names the topics of a camera.
func (t Topics) Camera(name string) CameraTopics {
	root := t.Root + "/camera/" + name
	return CameraTopics{
		Status: root + "/status", Snapshot: root + "/snapshot",
		ResultTopics: resultTopics(root),
	}
}

// Model names the topics of one of several models of a camera.
func (t Topics) Model(camera, model string) ResultTopics {
	return resultTopics(t.Root + "/camera/" + camera + "/" + model)
}

func resultTopics(root string) ResultTopics {
	return ResultTopics{State: root + "/state", Event: root + "/event", Frame: root + "/frame"}
}

// Owned reports whether a topic is the daemon's own to write: all of the node's but
// commands.
func (t Topics) Owned(topic string) bool {
	command := strings.HasPrefix(topic, t.Commands) && !strings.HasSuffix(topic, "/result")
	return strings.HasPrefix(topic, t.Root+"/") && !command
}
