package daemon

import (
	"log/slog"
	"sync/atomic"
	"time"

	"dynvit/camera"
	"dynvit/mqtt"
)

// unit is one camera: what its reader, the inference and the stats share.
type unit struct {
	name   string
	config Camera
	topics cameraTopics
	status *status
	toggle *toggle
	counts counts
	log    *slog.Logger
}

func (d *Daemon) newUnit(name string) *unit {
	u := &unit{
		name: name, config: d.config.Cameras[name], topics: d.topics.camera(name),
		log: d.log.With("camera", name), toggle: d.toggles[name],
	}
	u.status = &status{
		timeout: u.config.Timeout, log: u.log,
		publish: func(word string) {
			d.publish(mqtt.Message{Topic: u.topics.status, Payload: []byte(word), QoS: 1, Retain: true})
		},
	}
	return u
}

// first is a camera's word at the start, and why.
func (u *unit) first() (word, reason string) {
	if on, why, _ := u.toggle.now(); !on {
		return cameraDisabled, why
	}
	return cameraOffline, notSeen
}

func (d *Daemon) newReader(i int, u *unit) *reader {
	return &reader{
		unit: u, index: i, queue: d.queue,
		open:  func() (camera.Source, error) { return d.openCamera(u.config, u.log) },
		pulse: d.loops.Loop("camera "+u.name, readerLimit),
		frame: new(camera.Frame), pace: newPace(u.config.MaxFPS), retry: newBackoff(),
	}
}

// counts are of one camera's frames since the start of the daemon.
type counts struct {
	looked  atomic.Uint64 // classified
	still   atomic.Uint64 // hardly different from the last one looked at
	missed  atomic.Uint64 // the source saw it and did not hand it over
	tooFast atomic.Uint64 // over max_fps
	slowed  atomic.Uint64 // the budget cannot be held at the full rate
	busy    atomic.Uint64 // a newer one came while it waited
	failed  atomic.Uint64 // damaged, or the model could not be run on it

	drained uint64 // looked, at the last stats; used by stats alone
}

func (c *counts) drops() drops {
	return drops{Busy: c.busy.Load(), Slowed: c.slowed.Load(), TooFast: c.tooFast.Load(), Failed: c.failed.Load(), Missed: c.missed.Load(), Still: c.still.Load()}
}

// stats ends a period of the given length.
func (u *unit) stats(period time.Duration) cameraStats {
	looked := u.counts.looked.Load()
	fps := float64(looked-u.counts.drained) / period.Seconds()
	u.counts.drained = looked
	return cameraStats{FPS: fps, Frames: looked, Status: u.status.get().Word, Drops: u.counts.drops()}
}
