package daemon

import (
	"time"

	"dynvit/camera"
	"dynvit/preprocess"
)

// gate spares the model frames that hardly differ from the last one that it
// looked at.
type gate struct {
	share     float64       // of the picture that must differ; 0: off
	heartbeat time.Duration // a frame is looked at this often even so

	last time.Time // when one was looked at; zero: never
	seen preprocess.Thumbnail
	now  preprocess.Thumbnail // of the frame in hand
	told bool                 // now is of the frame in hand
}

func newGate(c Camera) gate { return gate{share: c.Motion, heartbeat: c.Heartbeat} }

// isStill reports that a frame need not be looked at: it shows what the last one
// did, and the label that this one has is the one that holds. A frame without a
// thumbnail is looked at.
func (w *inference) isStill(v *view, f *camera.Frame) bool {
	g := &v.gate
	if g.share == 0 {
		return false
	}
	g.told = w.thumbs.Make(&g.now, f, v.config.Region) == nil
	return g.told && !g.last.IsZero() && v.judge.settled() && w.now().Sub(g.last) < g.heartbeat && g.now.Differs(&g.seen) < g.share
}

// looked says that the frame in hand was looked at.
func (g *gate) looked(now time.Time) {
	if g.share == 0 {
		return
	}
	g.last = now
	if g.told {
		g.seen = g.now
	} else {
		g.last = time.Time{} // there is nothing to compare the next one with
	}
}
