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

	last  time.Time // when one was looked at; zero: never
	seen  preprocess.Thumbnail
	now   preprocess.Thumbnail // of the frame in hand
	told  bool                 // now is of the frame in hand
	moved bool                 // the last frame that was compared had changed: the next one likely has

	watching bool // the decoder is to show the frame in hand
	may      bool // it may be passed over
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
// without a thumbnail is looked at. To read a JPEG's codes here and again in the
// decoder takes 1.6 to 1.9 times as long as the decoder alone: what is looked at
// whatever it shows, and what likely moves, as the last frame did, the decoder is to
// show (Watching); so it is with PNG and progressive JPEG, of which only it can tell.
// every says that no frame but the still ones will be left out, so that it makes no
// difference who finds them.
func (m *Motion) IsStill(f *camera.Frame, region preprocess.Region, settled, every bool, now time.Time) bool {
	m.watching, m.told = false, false
	if m.share == 0 {
		return false
	}
	m.may = settled && !m.last.IsZero() && now.Sub(m.last) < m.heartbeat
	coded := f.Format == camera.JPEG || f.Format == camera.PNG
	if coded && (!m.may || m.moved && every) {
		m.watching = true
		return false
	}
	m.told = m.thumbs.Make(&m.now, f, region) == nil
	m.watching = coded && !m.told
	return m.told && m.still() && m.may
}

// still compares the frame in hand with the last one that was looked at.
func (m *Motion) still() bool {
	m.moved = !m.last.IsZero() && m.now.Differs(&m.seen) >= m.share
	return !m.moved
}

// Watching reports whether the decoder is to show the frame in hand, by Thumbnail and
// Looks.
func (m *Motion) Watching() bool { return m.watching }

// Thumbnail is where the decoder puts the frame in small.
func (m *Motion) Thumbnail() *preprocess.Thumbnail { return &m.now }

// Looks reports whether the frame that was decoded is to be looked at; seen says that its
// thumbnail is there.
func (m *Motion) Looks(seen bool) bool {
	m.told = seen
	return !seen || !m.still() || !m.may
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
