package daemon

import (
	"log/slog"
	"sync"
	"time"

	"dynvit/messages"
)

// CameraStatus is the condition of a camera.
type CameraStatus struct {
	Word   string    `json:"status"` // online, offline, stalled or disabled
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since"` // of the word
}

// status is the condition of one camera. Its reader reports what happens; each
// change of the word is published, each new reason logged. It is safe for
// concurrent use.
type status struct {
	publish func(word string)
	log     *slog.Logger

	mu      sync.Mutex
	retired bool          // nothing is told any more
	timeout time.Duration // without a frame for so long the camera is stalled
	now     CameraStatus
	last    time.Time   // of the last frame, or of opening
	timer   *time.Timer // runs out timeout after last; nil while the source is closed
	stalled bool        // the timer ran out, and no frame came since

	failing    time.Time // when the first of the frames came that could not be read, with none between that could; zero: the last one could
	unreadable string    // why none could for timeout: until one can the camera is not online; "": it may be
}

// start sets the first word. It is not news: nothing is wrong with a camera
// that has not been looked for yet.
func (s *status) start(word, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = CameraStatus{word, reason, time.Now()}
	s.publish(word)
}

// notSeen is why a camera is offline that nothing is known of yet.
const notSeen = "not seen yet"

// disabled reports that the camera is not wanted, and by whom.
func (s *status) disabled(why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unwatch()
	s.failing, s.unreadable = time.Time{}, ""
	if s.now.Word != messages.CameraDisabled {
		s.log.Info("camera disabled", "why", why)
	}
	s.turn(messages.CameraDisabled, why)
}

// enabled reports that a camera that was not wanted now is.
func (s *status) enabled() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now.Word == messages.CameraDisabled {
		s.log.Info("camera enabled")
		s.turn(messages.CameraOffline, notSeen)
	}
}

// get returns the present condition.
func (s *status) get() CameraStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// opened starts to watch for a stall, which no frame for timeout is. Whether frames
// come is not known yet, so the word stays.
func (s *status) opened(timeout time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unwatch() // the last one may have been left without a word
	s.timeout = timeout
	s.last, s.stalled = time.Now(), false
	s.timer = time.AfterFunc(s.timeout, s.check)
}

// frame reports that a frame came. Whether it can be read is known later.
func (s *status) frame() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last, s.stalled = time.Now(), false
	s.timer.Reset(s.timeout)
	s.came()
}

// came needs s.mu.
func (s *status) came() {
	if s.unreadable != "" {
		s.set(messages.CameraStalled, s.unreadable)
		return
	}
	s.set(messages.CameraOnline, "")
}

// read reports that a frame could be read: all is well again.
func (s *status) read() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing = time.Time{}
	if s.unreadable == "" {
		return
	}
	s.unreadable = ""
	if s.timer != nil && !s.stalled {
		s.came()
	}
}

// unread reports that a frame could not be read, and why. One is damage; where
// none can be read for timeout the camera shows nothing, whatever it sends.
func (s *status) unread(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failing.IsZero() {
		s.failing = time.Now()
	}
	if s.unreadable != "" || time.Since(s.failing) < s.timeout {
		return
	}
	s.unreadable = "no frame could be read for " + s.timeout.String() + ": " + why.Error()
	if s.timer != nil && !s.stalled {
		s.came()
	}
}

// check runs when the timer does. A frame that came in between is no stall.
func (s *status) check() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer == nil || time.Since(s.last) < s.timeout {
		return
	}
	s.stalled = true
	s.set(messages.CameraStalled, "no frame for "+s.timeout.String())
}

// closed reports that the source is not open any more, or could not be opened. A
// camera that stalled stays so until something else is known: giving up on a
// silent source says nothing new about it.
func (s *status) closed(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	word := messages.CameraOffline
	if s.timer != nil && s.stalled {
		word = messages.CameraStalled
	}
	s.unwatch()
	s.set(word, reason)
}

// stopped reports that the daemon does not look at the camera any more, which is
// no news of the camera and not logged.
func (s *status) stopped() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unwatch()
	if s.now.Word != messages.CameraDisabled {
		s.turn(messages.CameraOffline, "daemon stopped")
	}
}

// retire ends all publishing and logging: the camera is configured no more, though
// it may be read for a moment yet.
func (s *status) retire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retired = true
}

// unwatch needs s.mu.
func (s *status) unwatch() {
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
}

// set needs s.mu.
func (s *status) set(word, reason string) {
	if s.retired || word == s.now.Word && reason == s.now.Reason {
		return
	}
	s.turn(word, reason)
	if word == messages.CameraOnline {
		s.log.Info("camera online")
		return
	}
	s.log.Warn("camera "+word, "why", reason)
}

// turn needs s.mu.
func (s *status) turn(word, reason string) {
	s.now.Reason = reason
	if s.retired || word == s.now.Word {
		return
	}
	s.now.Word, s.now.Since = word, time.Now()
	s.publish(word)
}
