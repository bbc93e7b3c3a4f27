package daemon

import (
	"slices"
	"sync"

	"dynvit/camera"
)

// framesPerCamera circulate: one being read, one waiting, one being looked at.
const framesPerCamera = 3

// queue holds at most one waiting frame a camera, the newest, and hands them out
// round robin over the cameras that have one. Readers put, the inference takes;
// put never waits.
type queue struct {
	ready chan struct{} // holds one: look for frames
	ended chan struct{} // closed by end

	mu    sync.Mutex
	slots []slot
	turn  int // the camera whose frame is looked for first
	once  sync.Once
}

// slot is one camera's share. A reader holds one frame; the others are here, or
// one of them is being looked at.
type slot struct {
	waiting *camera.Frame
	spare   []*camera.Frame
}

func newQueue(cameras int) *queue {
	q := &queue{
		ready: make(chan struct{}, 1),
		ended: make(chan struct{}),
		slots: make([]slot, cameras),
	}
	for i := range q.slots {
		q.slots[i].spare = make([]*camera.Frame, 0, framesPerCamera)
		for range framesPerCamera - 1 {
			q.slots[i].spare = append(q.slots[i].spare, new(camera.Frame))
		}
	}
	return q
}

// put makes f the waiting frame of a camera and returns another to fill. Where a
// frame was waiting already it is that one, lost.
func (q *queue) put(i int, f *camera.Frame) (next *camera.Frame, lost bool) {
	q.mu.Lock()
	s := &q.slots[i]
	if lost = s.waiting != nil; lost {
		next = s.waiting
	} else {
		last := len(s.spare) - 1
		next, s.spare = s.spare[last], s.spare[:last]
	}
	s.waiting = f
	q.mu.Unlock()
	select {
	case q.ready <- struct{}{}:
	default: // the inference has not yet looked since the last one
	}
	return next, lost
}

// take returns the frame whose camera's turn it is, to be given back; nil when
// none waits.
func (q *queue) take() (i int, f *camera.Frame) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for n := range q.slots {
		i = (q.turn + n) % len(q.slots)
		if f = q.slots[i].waiting; f != nil {
			q.slots[i].waiting = nil
			q.turn = i + 1
			return i, f
		}
	}
	return 0, nil
}

// giveBack returns a taken frame to its camera's circle.
func (q *queue) giveBack(i int, f *camera.Frame) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.slots[i].spare = append(q.slots[i].spare, f)
}

// empty reports whether no frame waits.
func (q *queue) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return !slices.ContainsFunc(q.slots, func(s slot) bool { return s.waiting != nil })
}

// over reports whether the queue has ended and no frame waits.
func (q *queue) over() bool {
	select {
	case <-q.ended:
		return q.empty()
	default:
		return false
	}
}

// end says that nothing more will be put.
func (q *queue) end() { q.once.Do(func() { close(q.ended) }) }
