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

// TestPoolEnds: close waits for workers that sleep; synctest fails on any left over.
func TestPoolEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(3)
		p.run(&counting{done: make([]atomic.Int32, 5), sum: 1}, 5)
		synctest.Wait() // all asleep
		p.close()
	})
}
