package host

import (
	"sync"
	"sync/atomic"
)

// task is work in numbered parts that do not depend on each other.
type task interface{ part(i int) }

// pool is a fixed set of workers. run hands them the parts of one task; the
// caller works, too. Nothing is allocated by run.
type pool struct {
	wake  []chan struct{} // one a worker; closed to end it
	ended sync.WaitGroup

	current task
	parts   int64
	next    atomic.Int64
	working sync.WaitGroup
}

// newPool starts threads-1 workers: the caller of run is the last.
func newPool(threads int) *pool {
	p := &pool{wake: make([]chan struct{}, threads-1)}
	for i := range p.wake {
		p.wake[i] = make(chan struct{}, 1)
		p.ended.Add(1)
		go p.worker(p.wake[i])
	}
	return p
}

func (p *pool) worker(wake chan struct{}) {
	defer p.ended.Done()
	for range wake {
		p.work()
		p.working.Done()
	}
}

func (p *pool) work() {
	for {
		i := p.next.Add(1) - 1
		if i >= p.parts {
			return
		}
		p.current.part(int(i))
	}
}

// run does all parts of t and returns when the last is done.
func (p *pool) run(t task, parts int) {
	helpers := min(len(p.wake), parts-1)
	if helpers <= 0 {
		for i := range parts {
			t.part(i)
		}
		return
	}
	p.current, p.parts = t, int64(parts)
	p.next.Store(0)
	p.working.Add(helpers)
	for _, w := range p.wake[:helpers] {
		w <- struct{}{}
	}
	p.work()
	p.working.Wait()
	p.current = nil
}

// close ends the workers and waits for them; it may be called twice.
func (p *pool) close() {
	for _, w := range p.wake {
		close(w)
	}
	p.wake = nil
	p.ended.Wait()
}
