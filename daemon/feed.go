package daemon

import (
	"log/slog"
	"time"

	"dynvit/camera"
	"dynvit/config"
	"dynvit/gate"
	"dynvit/messages"
	"dynvit/preprocess"
)

// feed is one camera as the daemon sees it.
type feed struct {
	name    string
	config  config.Camera
	topics  messages.CameraTopics
	status  *status
	enabled *enabled
	counts  *counts
	log     *slog.Logger

	// The inference's alone.
	busy      string // what it does while it looks at a frame of this camera
	motion    gate.Motion
	debounce  gate.Debounce
	request   *request        // a command that waits for a frame; nil: none
	newest    messages.Report // of the last frame
	state     messages.Report // what the state shows: the newest frame that agrees with it
	published time.Time       // when the state last was; zero: never
}

// feeds are all cameras, in the order in which they are served: by name.
type feeds []*feed

// newFeeds makes the feeds of a configuration. wanted says by camera which of
// the model's classes count.
func (d *Daemon) newFeeds(wanted map[string][]bool, announce *announcer) feeds {
	var list feeds
	thumbs := new(preprocess.Thumbnailer)
	for _, name := range d.config.CameraNames() {
		c := d.config.Cameras[name]
		f := &feed{
			name: name, config: c, topics: d.topics.Camera(name), enabled: d.enabled[name], counts: d.counters[name],
			log: d.log.With("camera", name), busy: "a frame of camera " + name,
			motion: gate.NewMotion(c, thumbs), debounce: gate.NewDebounce(c, wanted[name]),
		}
		f.newest.Camera = name
		f.status = &status{timeout: c.Timeout, log: f.log, publish: func(word string) { announce.camera(f.topics, word) }}
		list = append(list, f)
	}
	return list
}

// first is a camera's word at the start, and why.
func (f *feed) first() (word, reason string) {
	if on, why, _ := f.enabled.now(); !on {
		return messages.CameraDisabled, why
	}
	return messages.CameraOffline, notSeen
}

// isStill reports that a frame need not be looked at.
func (f *feed) isStill(frame *camera.Frame, now time.Time) bool {
	return f.motion.IsStill(frame, f.config.Region, f.debounce.Settled(), now)
}

// due reports whether the state was not published for a heartbeat, or never.
func (f *feed) due(now time.Time) bool {
	return now.Sub(f.published) >= f.config.Heartbeat
}

// beats reports whether the state is to be repeated. A camera that does not
// deliver has no present classification; its status says so.
func (f *feed) beats() bool {
	return !f.published.IsZero() && f.status.get().Word == messages.CameraOnline
}

// named is the feed of that name, nil where there is none.
func (l feeds) named(name string) *feed {
	for _, f := range l {
		if f.name == name {
			return f
		}
	}
	return nil
}
