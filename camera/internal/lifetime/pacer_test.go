package lifetime

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"dynvit/camera"
)

// In a synctest bubble time stands still but for waiting, so what passes between
// two frames is what the pacer waited.
func TestPacerKeepsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, p := New(), NewPacer(4)
		start := time.Now()
		for i, late := range []time.Duration{0, 0, 100, 0, 600, 0, 0} {
			if err := p.Wait(t.Context(), &l); err != nil {
				t.Fatal(err)
			}
			want := []time.Duration{0, 250, 500, 750, 1000, 1600, 1850}[i] * time.Millisecond
			if got := time.Since(start); got != want {
				t.Errorf("frame %d at %v, want %v", i, got, want)
			}
			time.Sleep(late * time.Millisecond)
		}
	})
}

func TestPacerWithoutRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, p := New(), NewPacer(0)
		start := time.Now()
		for range 3 {
			if err := p.Wait(t.Context(), &l); err != nil {
				t.Fatal(err)
			}
		}
		if time.Since(start) != 0 || p.Early(time.Now()) {
			t.Error("it waited")
		}
	})
}

func TestPacerIsInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			name string
			end  func(l *Lifetime, cancel context.CancelFunc)
			want error
		}{
			{"close", func(l *Lifetime, _ context.CancelFunc) { l.End() }, camera.ErrClosed},
			{"cancel", func(_ *Lifetime, cancel context.CancelFunc) { cancel() }, context.Canceled},
		} {
			l, p := New(), NewPacer(0.001)
			ctx, cancel := context.WithCancel(t.Context())
			got := make(chan error)
			go func() {
				p.Wait(ctx, &l)
				got <- p.Wait(ctx, &l)
			}()
			synctest.Wait()
			c.end(&l, cancel)
			if err := <-got; !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", c.name, err, c.want)
			}
			cancel()
		}
	})
}

func TestPacerThins(t *testing.T) {
	p := NewPacer(5)
	start := time.Now()
	var taken []int
	for ms := 0; ms < 1000; ms += 40 { // a camera of 25 frames a second
		if !p.Early(start.Add(time.Duration(ms) * time.Millisecond)) {
			taken = append(taken, ms)
		}
	}
	if len(taken) != 5 {
		t.Errorf("taken at %v ms, want five in a second", taken)
	}
	if p.Early(start.Add(time.Minute)) || !p.Early(start.Add(time.Minute+40*time.Millisecond)) {
		t.Error("a gap is made up for")
	}
}
