package daemon

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"dynvit/camera"
)

// TestQueue does what a script says: "a1" puts frame 1 of camera a, "?" takes one
// and gives it back. It holds what was taken, and what was lost (in brackets), to
// the wish.
func TestQueue(t *testing.T) {
	for _, c := range []struct{ script, want string }{
		{"?", "-"},
		{"a1 ? ?", "a1 -"},
		{"a1 a2 a3 ?", "(a1) (a2) a3"},
		{"a1 b1 c1 ? ? ? ?", "a1 b1 c1 -"},
		{"a1 b1 ? a2 a3 ? ? ?", "a1 (a2) b1 a3 -"},
		{"c1 ? c2 a1 b1 ? ? ?", "c1 a1 b1 c2"},
	} {
		t.Run(c.script, func(t *testing.T) {
			q := newQueue(3)
			held := []*camera.Frame{{}, {}, {}}
			var got []string
			for _, step := range strings.Fields(c.script) {
				if step == "?" {
					i, f := q.take()
					if f == nil {
						got = append(got, "-")
						continue
					}
					got = append(got, f.Name)
					q.giveBack(i, f)
					continue
				}
				i := int(step[0] - 'a')
				held[i].Name = step
				next, lost := q.put(i, held[i])
				if lost {
					got = append(got, "("+next.Name+")")
				}
				held[i] = next
			}
			if got := strings.Join(got, " "); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// TestQueueCircle: under concurrent use no frame is ever in two hands, and each
// is either taken or lost.
func TestQueueCircle(t *testing.T) {
	const cameras, puts = 3, 2000
	q := newQueue(cameras)
	var readers sync.WaitGroup
	lost := make([]int, cameras)
	for i := range cameras {
		readers.Go(func() {
			f := &camera.Frame{}
			for n := range puts {
				f.Seq, f.Name = uint64(n+1), fmt.Sprint(i) // the race detector sees a frame in two hands
				var was bool
				if f, was = q.put(i, f); was {
					lost[i]++
				}
			}
		})
	}
	taken, last := make([]int, cameras), make([]uint64, cameras)
	done := make(chan struct{})
	go func() { readers.Wait(); q.end(); close(done) }()
	for ended := false; !ended; {
		i, f := q.take()
		if f == nil {
			select {
			case <-q.ready:
			case <-q.ended:
				ended = q.empty()
			}
			continue
		}
		if f.Name != fmt.Sprint(i) || f.Seq <= last[i] {
			t.Fatalf("camera %d: frame %d of camera %s after %d", i, f.Seq, f.Name, last[i])
		}
		last[i] = f.Seq
		taken[i]++
		q.giveBack(i, f)
	}
	<-done
	for i := range cameras {
		if taken[i]+lost[i] != puts || last[i] != puts {
			t.Errorf("camera %d: %d taken, %d lost, last %d", i, taken[i], lost[i], last[i])
		}
	}
}
