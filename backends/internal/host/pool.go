package host

import (
	"sync"
	"sync/atomic"
)

// task is work in numbered parts that do not depend on each other. lane is the
// number of the thread that does the part, 0 being run's caller: a task keeps
// scratch by it. A part computes the same bits on every lane.
type task interface{ part(lane, i int) }

// pool is a fixed set of workers that share the parts of one task at a time. The
// caller of run works, too, and never waits for a worker that has not started:
// on a loaded machine one may wake up long after the last part is done.
//
// Each thread begins with a share of the parts of its own, the same part of every
// task of as many, and then takes what others have left: rows that it made lie in
// its own caches when the next task reads them. Where two cores have no cache in
// common, DeiT-S keep 0.7 in int8 took 16.6 ms without shares.
type pool struct {
	workers []worker
	ended   sync.WaitGroup

	task   task // written only while the gate is closed and nobody is inside
	shares []share
	used   int // of the shares
	// gate counts the workers inside the task; closed is added while there is none
	// to work on.
	gate    atomic.Int64
	waiting atomic.Bool   // the caller sleeps until the last worker is out
	out     chan struct{} // wakes the caller
}

const closed = 1 << 32

// share is a run of parts, next…end-1, alone on its cache lines.
type share struct {
	next atomic.Int64 // the first part that nobody has taken
	end  int64
	_    [112]byte
}

// spins is how often a thread looks for news before it sleeps, some 60 µs. Waking
// a thread takes as long, and a worker that sleeps between a model's operations
// misses the next: on an EPYC (Zen 4) DeiT-S keep 0.7 on two threads takes 15.8 ms
// in int8 with 4096, 12.3 with 65536 and 12.0 with 262144; f32 34.0, 29.9, 29.6.
const spins = 1 << 16

type worker struct {
	calls  atomic.Uint64 // counts up with each task that wants this worker
	asleep atomic.Bool
	wake   chan struct{} // closed to end the worker
}

// newPool starts threads-1 workers.
func newPool(threads int) *pool {
	p := &pool{workers: make([]worker, threads-1), shares: make([]share, threads), out: make(chan struct{}, 1)}
	p.gate.Store(closed)
	for i := range p.workers {
		p.workers[i].wake = make(chan struct{}, 1)
		p.ended.Go(func() { p.serve(i + 1) })
	}
	return p
}

// threads is how many goroutines work, the caller of run being one.
func (p *pool) threads() int { return len(p.workers) + 1 }

// run does all parts of t and returns when the last is done. It allocates nothing.
func (p *pool) run(t task, parts int) {
	helpers := min(len(p.workers), parts-1)
	if helpers <= 0 {
		for i := range parts {
			t.part(0, i)
		}
		return
	}
	p.task, p.used = t, helpers+1
	for i := range p.used {
		p.shares[i].next.Store(int64(i * parts / p.used))
		p.shares[i].end = int64((i + 1) * parts / p.used)
	}
	p.gate.Add(-closed)
	for i := range helpers {
		p.workers[i].call()
	}
	p.work(0)
	p.gate.Add(closed)
	p.wait()
	p.task = nil
}

// work takes parts until none is left, of the lane's own share first.
func (p *pool) work(lane int) {
	for i := range p.used {
		s := &p.shares[(lane+i)%p.used]
		for part := s.next.Add(1) - 1; part < s.end; part = s.next.Add(1) - 1 {
			p.task.part(lane, int(part))
		}
	}
}

// wait returns when no worker is inside.
func (p *pool) wait() {
	for range spins {
		if p.gate.Load() == closed {
			return
		}
	}
	p.waiting.Swap(true) // as in await
	if p.gate.Load() == closed && p.waiting.CompareAndSwap(true, false) {
		return // the last worker left before it could see that we wait
	}
	<-p.out
}

// serve is the life of a worker.
func (p *pool) serve(lane int) {
	w := &p.workers[lane-1]
	for seen := uint64(0); w.await(seen); {
		seen = w.calls.Load()
		p.help(lane)
	}
}

// help joins the task, unless its last part was taken and the gate closed meanwhile.
func (p *pool) help(lane int) {
	if p.gate.Add(1) < closed {
		p.work(lane)
	}
	if p.gate.Add(-1) == closed && p.waiting.CompareAndSwap(true, false) {
		p.out <- struct{}{}
	}
}

// call wakes the worker where it sleeps.
func (w *worker) call() {
	w.calls.Add(1)
	if w.asleep.CompareAndSwap(true, false) {
		w.wake <- struct{}{}
	}
}

// await returns true at a call newer than seen, false at the end.
func (w *worker) await(seen uint64) bool {
	for range spins {
		if w.calls.Load() != seen {
			return true
		}
	}
	// A Swap, though Go's memory model asks for no more than a Store: QEMU 7.2 lets a Load pass a Store
	// of arm64 ahead of it (STLR, LDAR) where the host is x86, in 5 % of the rounds of a test of just
	// that, never a Swap; then both sides sleep.
	w.asleep.Swap(true)
	if w.calls.Load() != seen && w.asleep.CompareAndSwap(true, false) {
		return true // called between the last look and falling asleep
	}
	_, more := <-w.wake
	return more
}

// close ends the workers and waits for them; it may be called twice, but not
// during run.
func (p *pool) close() {
	for i := range p.workers {
		close(p.workers[i].wake)
	}
	p.ended.Wait()
	p.workers = nil
}
