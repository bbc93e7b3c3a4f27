// Package cameratest helps to test what reads cameras, and cameras themselves: a
// scripted [Source] that does as it is told, [Conform], the contract of
// camera.Source as a test that every source passes, and what the schemes' tests
// share (a film, a port that stays ours, a daemon that is killed).
package cameratest

import (
	"context"
	"io"
	"sync"
	"time"

	"dynvit/camera"
)

// Source is a camera.Source that a test leads: Next hands over what was pushed,
// in order, and otherwise stalls until more is pushed, ctx ends or Close comes.
// All methods may be called from any goroutine. It works inside a
// testing/synctest bubble if it was made there.
type Source struct {
	mu     sync.Mutex
	steps  []step
	more   chan struct{} // closed and replaced at each push
	end    error         // what Next returns when the steps are done; nil: stall
	seq    uint64
	closed chan struct{}
	calls  int
}

type step struct {
	frame camera.Frame
	err   error
}

// New makes a source with these frames in it; see Push.
func New(frames ...camera.Frame) *Source {
	s := &Source{more: make(chan struct{}), closed: make(chan struct{})}
	s.Push(frames...)
	return s
}

// Push adds frames. Seq and Captured are set when Next hands them over; Data is
// copied then, and must not change before.
func (s *Source) Push(frames ...camera.Frame) {
	steps := make([]step, len(frames))
	for i, f := range frames {
		steps[i].frame = f
	}
	s.add(steps, nil)
}

// Skip counts frames as seen by the source but not handed over: the next Seq
// jumps by n.
func (s *Source) Skip(n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seq += n
}

// Fail adds an error, which one Next returns after what was pushed before.
func (s *Source) Fail(err error) { s.add([]step{{err: err}}, nil) }

// End makes every Next return io.EOF once what was pushed is done.
func (s *Source) End() { s.add(nil, io.EOF) }

func (s *Source) add(steps []step, end error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steps = append(s.steps, steps...)
	if end != nil {
		s.end = end
	}
	close(s.more)
	s.more = make(chan struct{})
}

// Next is camera.Source's.
func (s *Source) Next(ctx context.Context, f *camera.Frame) error {
	s.mu.Lock()
	s.calls++
	s.mu.Unlock()
	for {
		if s.IsClosed() {
			return camera.ErrClosed
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		done, more, err := s.take(f)
		if done {
			return err
		}
		select {
		case <-more:
		case <-ctx.Done():
		case <-s.closed:
		}
	}
}

// take does the next step, if there is one; else it says what to wait for.
func (s *Source) take(f *camera.Frame) (done bool, more <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case len(s.steps) == 0:
		return s.end != nil, s.more, s.end
	case s.steps[0].err != nil:
		err = s.steps[0].err
	default:
		s.deliver(f, s.steps[0].frame)
	}
	s.steps = s.steps[1:]
	return true, nil, err
}

// deliver copies a scripted frame into the caller's.
func (s *Source) deliver(f *camera.Frame, scripted camera.Frame) {
	s.seq++
	data := append(f.Data[:0], scripted.Data...)
	*f = scripted
	f.Data, f.Seq, f.Captured = data, s.seq, time.Now()
}

// Close is camera.Source's.
func (s *Source) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.IsClosed() {
		close(s.closed)
	}
	return nil
}

// IsClosed reports whether Close was called.
func (s *Source) IsClosed() bool {
	select {
	case <-s.closed:
		return true
	default:
		return false
	}
}

// Closed is closed by Close.
func (s *Source) Closed() <-chan struct{} { return s.closed }

// Calls is how often Next was called.
func (s *Source) Calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// Left is how many frames and errors have not been handed over.
func (s *Source) Left() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.steps)
}

// Grey is a frame of one grey level, small and legal.
func Grey(width, height int, level byte) camera.Frame {
	data := make([]byte, width*height)
	for i := range data {
		data[i] = level
	}
	return camera.Frame{Format: camera.GREY, Width: width, Height: height, Data: data}
}
