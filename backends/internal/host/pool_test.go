package host

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// counting notes how often each part was done, and by which lanes.
type counting struct {
	done  []atomic.Int32
	lanes [8]atomic.Int32
	sum   int // written by the caller alone between runs: the race detector watches
}

func (c *counting) part(lane, i int) {
	c.done[i].Add(int32(c.sum))
	c.lanes[lane].Add(1)
}

// TestPool: every part of every task is done once, before run returns, whatever the
// numbers of threads and parts.
func TestPool(t *testing.T) {
	for _, threads := range []int{1, 2, 3, 8} {
		p := newPool(threads)
		for round := range 300 {
			parts := round % 20
			c := &counting{done: make([]atomic.Int32, parts)}
			for c.sum = 1; c.sum <= 3; c.sum++ {
				p.run(c, parts)
			}
			for i := range c.done {
				if n := c.done[i].Load(); n != 1+2+3 {
					t.Fatalf("%d threads, part %d of %d: done %d, want 6", threads, i, parts, n)
				}
			}
		}
		p.close()
		p.close()
	}
}

// TestPoolShares: workers asleep are woken, and work on lanes of their own. Each part
// waits until all four threads hold one.
func TestPoolShares(t *testing.T) {
	p := newPool(4)
	defer p.close()
	for range 3 {
		m := &meeting{all: make(chan struct{})}
		p.run(m, 4)
		for lane := range m.lanes {
			if n := m.lanes[lane].Load(); n != 1 {
				t.Fatalf("lane %d did %d parts of 4, want 1", lane, n)
			}
		}
	}
}

type meeting struct {
	here  atomic.Int32
	lanes [4]atomic.Int32
	all   chan struct{}
}

func (m *meeting) part(lane, _ int) {
	m.lanes[lane].Add(1)
	if m.here.Add(1) == 4 {
		close(m.all)
	}
	<-m.all
}

// slow is a task whose lane 1 is a core so slow that all other parts are done before its
// first is.
type slow struct {
	parts  int
	done   atomic.Int32
	begun  chan struct{} // closed when lane 1 has a part
	others chan struct{} // closed when the others are done
	taken  atomic.Int32  // by lane 1
}

func (s *slow) part(lane, _ int) {
	if lane == 1 {
		if s.taken.Add(1) == 1 {
			close(s.begun)
			<-s.others
		}
		return
	}
	<-s.begun
	if int(s.done.Add(1)) == s.parts-1 {
		close(s.others)
	}
}

// TestPoolSlowLane: a slow core holds a task up by one part, the first that it took: the
// others do all the rest of its share. With shares that nobody else may touch this waits
// for ever.
func TestPoolSlowLane(t *testing.T) {
	for _, threads := range []int{2, 4, 8} {
		p := newPool(threads)
		for range 20 {
			s := &slow{parts: 8 * threads, begun: make(chan struct{}), others: make(chan struct{})}
			p.run(s, s.parts)
			if n := s.taken.Load(); n != 1 {
				t.Errorf("%d threads: the slow lane did %d parts of %d, want 1", threads, n, s.parts)
			}
		}
		p.close()
	}
}

// TestPoolEnds: close waits for workers that sleep; synctest fails on any left over.
func TestPoolEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(3)
		p.run(&counting{done: make([]atomic.Int32, 5), sum: 1}, 5)
		synctest.Wait() // all asleep
		p.close()
	})
}
