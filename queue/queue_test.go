package queue

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"dynvit/camera"
)

// TestQueue does what a script says: "a1" puts frame 1 of camera a, "?" takes one
// and gives it back, "-a0" takes a's lane away. It holds what was taken, and what was lost (in brackets), to
// the wish.
func TestQueue(t *testing.T) {
	for _, c := range []struct{ script, want string }{
		{"?", "-"},
		{"a1 ? ?", "a1 -"},
		{"a1 a2 a3 ?", "(a1) (a2) a3"},
		{"a1 b1 c1 ? ? ? ?", "a1 b1 c1 -"},
		{"a1 b1 ? a2 a3 ? ? ?", "a1 (a2) b1 a3 -"},
		{"a1 b1 c1 ? -b0 ? ? ?", "a1 c1 - -"},
		{"a1 b1 ? ? -a0 -a0 c1 a2 b2 ? ? ?", "a1 b1 c1 b2 -"},
		{"a1 b1 c1 ? ? -a0 c2 ? b2 ? ?", "a1 b1 (c1) c2 b2 -"},
		{"c1 ? c2 a1 b1 ? ? ?", "c1 a1 b1 c2"},
	} {
		t.Run(c.script, func(t *testing.T) {
			q := New()
			lanes := []*Lane{q.Add(), q.Add(), q.Add()}
			held := []*camera.Frame{{}, {}, {}}
			var got []string
			for _, step := range strings.Fields(c.script) {
				if step == "?" {
					l, f := q.Take()
					if f == nil {
						got = append(got, "-")
						continue
					}
					got = append(got, f.Name)
					l.GiveBack(f)
					continue
				}
				i := int(step[len(step)-2] - 'a')
				if step[0] == '-' {
					lanes[i].Remove()
					continue
				}
				held[i].Name = step
				next, lost := lanes[i].Put(held[i])
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
	q := New()
	var lanes []*Lane
	for range cameras {
		lanes = append(lanes, q.Add())
	}
	var readers sync.WaitGroup
	lost := make([]int, cameras)
	for i := range cameras {
		readers.Go(func() {
			f := &camera.Frame{}
			for n := range puts {
				f.Seq, f.Name = uint64(n+1), fmt.Sprint(i) // the race detector sees a frame in two hands
				var was bool
				if f, was = lanes[i].Put(f); was {
					lost[i]++
				}
			}
		})
	}
	taken, last := make([]int, cameras), make([]uint64, cameras)
	done := make(chan struct{})
	go func() { readers.Wait(); q.End(); close(done) }()
	for ended := false; !ended; {
		l, f := q.Take()
		if f == nil {
			select {
			case <-q.ready:
			case <-q.ended:
				ended = q.empty()
			}
			continue
		}
		i := slices.Index(lanes, l)
		if f.Name != fmt.Sprint(i) || f.Seq <= last[i] {
			t.Fatalf("camera %d: frame %d of camera %s after %d", i, f.Seq, f.Name, last[i])
		}
		last[i] = f.Seq
		taken[i]++
		l.GiveBack(f)
	}
	<-done
	for i := range cameras {
		if taken[i]+lost[i] != puts || last[i] != puts {
			t.Errorf("camera %d: %d taken, %d lost, last %d", i, taken[i], lost[i], last[i])
		}
	}
}
