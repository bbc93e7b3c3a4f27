// Package queue holds at most one waiting frame a camera, the newest, and hands
// them out round robin over the cameras that have one. Readers put, one goroutine
// takes; neither waits for the other. Cameras come and go meanwhile.
package queue

import (
	"slices"
	"sync"

	"dynvit/camera"
)

// framesPerLane circulate: one being read, one waiting, one being looked at.
const framesPerLane = 3

// Queue is of all cameras. It is safe for concurrent use.
type Queue struct {
	ready chan struct{} // holds one: look for frames
	ended chan struct{} // closed by End
	once  sync.Once

	mu    sync.Mutex
	lanes []*Lane
	turn  int // the lane whose frame is looked for first
}

// Lane is one camera's share. Its reader holds one frame; the others are here, or
// one of them is being looked at.
type Lane struct {
	queue   *Queue
	waiting *camera.Frame
	spare   []*camera.Frame
}

// New is a queue without lanes.
func New() *Queue {
	return &Queue{ready: make(chan struct{}, 1), ended: make(chan struct{})}
}

// Add makes a lane for a camera, whose turn is after all others'.
func (q *Queue) Add() *Lane {
	l := &Lane{queue: q, spare: make([]*camera.Frame, 0, framesPerLane)}
	for range framesPerLane - 1 {
		l.spare = append(l.spare, new(camera.Frame))
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lanes = append(q.lanes, l)
	return l
}

// Remove takes a lane away: what waits in it, or is put into it from now on, is
// not handed out.
func (l *Lane) Remove() {
	q := l.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	if i := slices.Index(q.lanes, l); i >= 0 {
		q.lanes = slices.Delete(q.lanes, i, i+1)
		if i < q.turn {
			q.turn--
		}
	}
}

// Put makes f the waiting frame of a camera and returns another to fill. Where a
// frame was waiting already it is that one, lost.
func (l *Lane) Put(f *camera.Frame) (next *camera.Frame, lost bool) {
	l.queue.mu.Lock()
	if lost = l.waiting != nil; lost {
		next = l.waiting
	} else {
		last := len(l.spare) - 1
		next, l.spare = l.spare[last], l.spare[:last]
	}
	l.waiting = f
	l.queue.mu.Unlock()
	select {
	case l.queue.ready <- struct{}{}:
	default: // nobody has looked since the last one
	}
	return next, lost
}

// Take returns the frame whose camera's turn it is, to be given back; nil when
// none waits.
func (q *Queue) Take() (*Lane, *camera.Frame) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for n := range q.lanes {
		i := (q.turn + n) % len(q.lanes)
		if l := q.lanes[i]; l.waiting != nil {
			f := l.waiting
			l.waiting = nil
			q.turn = i + 1
			return l, f
		}
	}
	return nil, nil
}

// GiveBack returns a taken frame to its camera's circle.
func (l *Lane) GiveBack(f *camera.Frame) {
	l.queue.mu.Lock()
	defer l.queue.mu.Unlock()
	l.spare = append(l.spare, f)
}

// Ready gives a value when there may be frames.
func (q *Queue) Ready() <-chan struct{} { return q.ready }

// empty reports whether no frame waits.
func (q *Queue) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return !slices.ContainsFunc(q.lanes, func(l *Lane) bool { return l.waiting != nil })
}

// Over reports whether the queue has ended and no frame waits.
func (q *Queue) Over() bool {
	select {
	case <-q.ended:
		return q.empty()
	default:
		return false
	}
}

// Ended is closed by End.
func (q *Queue) Ended() <-chan struct{} { return q.ended }

// End says that nothing more will be put.
func (q *Queue) End() { q.once.Do(func() { close(q.ended) }) }
