package vit

import (
	"slices"

	"dynvit/backends"
)

// mostRecordings bounds what a session keeps recorded: a calibration moves among 7 plans.
const mostRecordings = 16

// recording is forward under a plan.
type recording struct {
	keep []int
	backends.Recording
}

// recording returns that of a plan, made where there is none. Where there are too many
// it takes the place of the one that was not used for longest.
func (s *Session) recording(p Plan) backends.Recording {
	list := s.recordings
	i := slices.IndexFunc(list, func(have recording) bool { return slices.Equal(have.keep, p.Keep) })
	if i < 0 {
		list = s.recordAlso(p)
		i = len(list) - 1
	}
	found := list[i]
	copy(list[1:i+1], list[:i])
	list[0] = found
	return found.Recording
}

// recordAlso records a plan and returns the list that ends with it.
func (s *Session) recordAlso(p Plan) []recording {
	if n := len(s.recordings); n == mostRecordings {
		s.recordings[n-1].Close()
		s.recordings = s.recordings[:n-1]
	}
	own := Plan{slices.Clone(p.Keep)} // the caller may change its own
	s.recordings = append(s.recordings, recording{own.Keep, s.recorder.Record(func() { s.forward(own) })})
	return s.recordings
}
