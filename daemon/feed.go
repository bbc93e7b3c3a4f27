package daemon

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"dynvit/camera"
	"dynvit/capture"
	"dynvit/config"
	"dynvit/enabled"
	"dynvit/engine"
	"dynvit/gate"
	"dynvit/lineup"
	"dynvit/messages"
	"dynvit/preprocess"
	"dynvit/queue"
)

// feed is one camera as the daemon sees it.
type feed struct {
	name    string
	config  atomic.Pointer[config.Camera] // as the last reload left it
	looks   atomic.Pointer[looks]         // at its frames
	topics  messages.CameraTopics
	status  *status
	enabled *enabled.Switch
	counts  *counts
	lane    *queue.Lane
	log     *slog.Logger

	// The inference's alone.
	busy     string // what it does while it looks at a frame of this camera
	motion   gate.Motion
	tuner    *tuner          // of the passes that look at its frames
	verdicts []*verdict      // one a model
	request  *request        // a command that waits for a frame; nil: none
	shot     uint64          // the frame that was published last at a change
	taking   *capture.Taking // what frames are kept for; nil: nothing
}

// looks are what looks at a camera's frames, for those who may not ask its verdicts.
type looks struct {
	side   int      // pixels that the models want of a picture's short side
	models []string // by name, where there are several
	tuner  *tuner
}

// newFeed makes the feed of a camera that views are the models of.
func (d *Daemon) newFeed(name string, c config.Camera, views []lineup.View, t *tuner, thumbs *preprocess.Thumbnailer, announce *announcer) *feed {
	f := &feed{
		name: name, topics: d.topics.Camera(name), enabled: enabled.New(c.Enabled, enabled.ByConfiguration), counts: new(counts),
		log: d.log.With("camera", name), busy: "a frame of camera " + name,
		motion: gate.NewMotion(c, thumbs),
	}
	f.adopt(c, views, t, d.topics)
	f.status = &status{log: f.log, publish: func(word string) { announce.camera(f.topics, word) }}
	return f
}

// adopt takes up another configuration between two frames; what holds goes on.
func (f *feed) adopt(c config.Camera, views []lineup.View, t *tuner, topics messages.Topics) {
	f.config.Store(&c)
	f.motion.Limit(c)
	f.tuner, f.verdicts = t, cameraTopics{topics, f.name}.verdicts(views, f.verdicts)
	f.looks.Store(&looks{lineup.ShortSide(t.passes), severalNames(views), t})
}

// leave gives up the camera between two frames.
func (f *feed) leave() {
	f.lane.Remove()
	if r := f.request; r != nil {
		f.request = nil
		r.done <- fmt.Errorf("camera %s is no longer configured", f.name)
	}
}

// first is a camera's word at the start, and why.
func (f *feed) first() (word, reason string) {
	if on, why, _ := f.enabled.Now(); !on {
		return messages.CameraDisabled, why
	}
	return messages.CameraOffline, notSeen
}

// isStill reports that a frame need not be looked at; every, that all others will be.
func (f *feed) isStill(frame *camera.Frame, every bool, now time.Time) bool {
	return f.motion.IsStill(frame, f.config.Load().Region, f.settled(), every, now)
}

// watcher is to be shown the frame in hand as it is decoded; nil: nobody is.
func (f *feed) watcher() engine.Watcher {
	if !f.motion.Watching() {
		return nil
	}
	return &f.motion
}

// wasStill counts a frame that was passed over.
func (f *feed) wasStill() {
	f.counts.still.Add(1)
	f.status.read()
}

// settled reports that another frame of the same classes would change nothing.
func (f *feed) settled() bool {
	for _, v := range f.verdicts {
		if !v.debounce.Settled() {
			return false
		}
	}
	return true
}

// due reports whether a state was not published for a heartbeat, or never.
func (f *feed) due(v *verdict, now time.Time) bool {
	return now.Sub(v.published) >= f.config.Load().Heartbeat
}

// beats reports whether a state is to be repeated. A camera that does not
// deliver has no present classification; its status says so.
func (f *feed) beats(v *verdict) bool {
	return !v.published.IsZero() && f.status.get().Word == messages.CameraOnline
}

// feeds are cameras, by name. A list does not change; a reload makes another.
type feeds []*feed

// named is the feed of that name, nil where there is none.
func (l feeds) named(name string) *feed {
	for _, f := range l {
		if f.name == name {
			return f
		}
	}
	return nil
}

// settings say which are enabled, what looks at them, and, where there are several
// teams, by what ratio.
func (l feeds) settings(teams int) map[string]messages.CameraSettings {
	cameras := map[string]messages.CameraSettings{}
	for _, f := range l {
		by := f.looks.Load()
		one := messages.CameraSettings{Enabled: f.enabled.IsOn(), Models: by.models}
		if teams > 1 {
			one.Keep = by.tuner.shown().ratio
		}
		cameras[f.name] = one
	}
	return cameras
}

// of is the feed whose lane it is, nil where it is gone.
func (l feeds) of(lane *queue.Lane) *feed {
	for _, f := range l {
		if f.lane == lane {
			return f
		}
	}
	return nil
}

// roster are the cameras that there are now. It is safe for concurrent use; the
// service's goroutine alone changes it.
type roster struct{ list atomic.Pointer[feeds] }

// all lists the cameras; none before the service is built.
func (r *roster) all() feeds {
	if list := r.list.Load(); list != nil {
		return *list
	}
	return nil
}

func (r *roster) set(list feeds) { r.list.Store(&list) }
