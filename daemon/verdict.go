package daemon

import (
	"slices"
	"time"

	"dynvit/gate"
	"dynvit/lineup"
	"dynvit/messages"
)

// verdict is what one of a camera's models says of it. The inference's alone.
type verdict struct {
	model     *lineup.Model
	topics    messages.ResultTopics
	debounce  gate.Debounce
	newest    messages.Report // of the last frame
	state     messages.Report // what the state shows: the newest frame that agrees with it
	published time.Time       // when the state last was; zero: never
}

func newVerdict(camera string, v lineup.View, t messages.ResultTopics) *verdict {
	r := &verdict{model: v.Model, topics: t, debounce: gate.NewDebounce(v.Camera, v.Wanted)}
	r.newest.Camera = camera
	return r
}

// verdicts are those of a camera, whose models are views. What holds of those that
// stay, under the same topics, goes on.
func (t cameraTopics) verdicts(views []lineup.View, before []*verdict) (list []*verdict) {
	for _, v := range views {
		topics := t.of(v.Model, len(views))
		i := slices.IndexFunc(before, func(b *verdict) bool { return b.model == v.Model && b.topics == topics })
		if i < 0 {
			one := newVerdict(t.name, v, topics)
			if len(views) > 1 {
				one.newest.Model = v.Name
			}
			list = append(list, one)
			continue
		}
		before[i].debounce.Limit(v.Camera, v.Wanted)
		list = append(list, before[i])
	}
	return list
}

// severalNames are those of a camera's models; none where it has one.
func severalNames(views []lineup.View) (list []string) {
	if len(views) == 1 {
		return nil
	}
	for _, v := range views {
		list = append(list, v.Name)
	}
	return list
}

// cameraTopics name a camera's topics.
type cameraTopics struct {
	node messages.Topics
	name string
}

// of are the topics of a model, of which so many look at the camera: one has the
// camera's own.
func (t cameraTopics) of(m *lineup.Model, models int) messages.ResultTopics {
	if models == 1 {
		return t.node.Camera(t.name).ResultTopics
	}
	return t.node.Model(t.name, m.Name)
}
