package mqtt

import (
	"slices"
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	const s = time.Second
	random := 1.0
	b := backoff{random: func() float64 { return random }}
	take := func(n int) (list []time.Duration) {
		for range n {
			list = append(list, b.next())
		}
		return list
	}
	if got, want := take(6), []time.Duration{s, 2 * s, 4 * s, 8 * s, 10 * s, 10 * s}; !slices.Equal(got, want) {
		t.Errorf("longest pauses %v, want %v", got, want)
	}
	b.reset()
	random = 0.25
	if got, want := take(2), []time.Duration{s / 4, s / 2}; !slices.Equal(got, want) {
		t.Errorf("pauses after a reset %v, want %v", got, want)
	}
}
