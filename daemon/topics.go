package daemon

// Words of the node's status topic.
const (
	nodeOnline  = "online"
	nodeOffline = "offline" // the will
	nodeStopped = "stopped"
)

// topics are the names under the node's root.
type topics struct {
	status, info, settings, stats string
	root                          string
}

func newTopics(prefix, node string) topics {
	root := prefix + "/" + node
	return topics{
		status:   root + "/status",
		info:     root + "/info",
		settings: root + "/settings",
		stats:    root + "/stats",
		root:     root,
	}
}

// cameraTopics are the names under one camera.
type cameraTopics struct{ status, state, event, frame, snapshot string }

func (t topics) camera(name string) cameraTopics {
	root := t.root + "/camera/" + name
	return cameraTopics{
		status: root + "/status",
		state:  root + "/state",
		event:  root + "/event",
		frame:  root + "/frame",

		snapshot: root + "/snapshot",
	}
}
