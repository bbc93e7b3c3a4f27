package backoff

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestPauses(t *testing.T) {
	const s = time.Second
	random := 1.0
	b := Backoff{First: s, Max: 10 * s, random: func() float64 { return random }}
	take := func(n int) (list []time.Duration) {
		for range n {
			list = append(list, b.Next())
		}
		return list
	}
	if got, want := take(6), []time.Duration{s, 2 * s, 4 * s, 8 * s, 10 * s, 10 * s}; !slices.Equal(got, want) {
		t.Errorf("longest pauses %v, want %v", got, want)
	}
	b.Reset()
	random = 0.25
	if got, want := take(2), []time.Duration{s / 4, s / 2}; !slices.Equal(got, want) {
		t.Errorf("pauses after a reset %v, want %v", got, want)
	}
	b.Reset()
	random, b.Least = 0, 0.5
	if got, want := take(5), []time.Duration{s / 2, s, 2 * s, 4 * s, 5 * s}; !slices.Equal(got, want) {
		t.Errorf("shortest pauses %v, want %v", got, want)
	}
}

// TestPausesDiffer: without a source of its own it takes the program's.
func TestPausesDiffer(t *testing.T) {
	b, seen := Backoff{First: time.Hour, Max: time.Hour}, map[time.Duration]bool{}
	for range 10 {
		seen[b.Next()] = true
	}
	if len(seen) < 5 {
		t.Errorf("only %d different pauses of 10", len(seen))
	}
}

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if err := Wait(t.Context(), time.Minute); err != nil || time.Since(start) != time.Minute {
			t.Errorf("%v after %v, want a minute", err, time.Since(start))
		}
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		if err := Wait(ctx, time.Minute); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Minute+time.Second {
			t.Errorf("%v after %v, want its context's end a second later", err, time.Since(start))
		}
	})
}
