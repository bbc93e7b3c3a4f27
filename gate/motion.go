package gate

import (
	"time"

	"dynvit/camera"
	"dynvit/config"
	"dynvit/preprocess"
)

// Motion spares the model frames that hardly differ from the last one that it
// looked at.
type Motion struct {
	thumbs    *preprocess.Thumbnailer // shared: one goroutine looks
	share     float64                 // of the picture that must differ; 0: off
	heartbeat time.Duration           // a frame is looked at this often even so

	last time.Time // when one was looked at; zero: never
	seen preprocess.Thumbnail
	now  preprocess.Thumbnail // of the frame in hand
	told bool                 // now is of the frame in hand
}

// NewMotion is of a camera. thumbs may be shared by those that one goroutine
// looks at.
func NewMotion(c config.Camera, thumbs *preprocess.Thumbnailer) Motion {
	m := Motion{thumbs: thumbs}
	m.Limit(c)
	return m
}

// Limit goes by another configuration from now on. The next frame is looked at.
func (m *Motion) Limit(c config.Camera) {
	m.share, m.heartbeat, m.last = c.Motion, c.Heartbeat, time.Time{}
}

// IsStill reports that a frame need not be looked at: it shows what the last one
// did, and the label that this one has is the one that holds (settled). A frame
// without a thumbnail is looked at.
func (m *Motion) IsStill(f *camera.Frame, region preprocess.Region, settled bool, now time.Time) bool {
	if m.share == 0 {
		return false
	}
	m.told = m.thumbs.Make(&m.now, f, region) == nil
	return m.told && settled && !m.last.IsZero() && now.Sub(m.last) < m.heartbeat && m.now.Differs(&m.seen) < m.share
}

// Looked says that the frame in hand was looked at.
func (m *Motion) Looked(now time.Time) {
	if m.share == 0 {
		return
	}
	m.last = now
	if m.told {
		m.seen = m.now
	} else {
		m.last = time.Time{} // there is nothing to compare the next one with
	}
}
