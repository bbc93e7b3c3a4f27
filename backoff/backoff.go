// Package backoff gives the pauses between attempts at what failed.
package backoff

import (
	"context"
	"math/rand/v2"
	"time"
)

// Backoff gives pauses that double from First to Max, each a random share of
// that from Least on, so that the cameras behind one switch or the boxes of a site
// do not all come back in the same instant
// (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). One
// goroutine uses it at a time.
type Backoff struct {
	First, Max time.Duration
	Least      float64 // share of a pause that is never left out, 0 to 1

	ceiling time.Duration
	random  func() float64 // in [0, 1); nil: math/rand's, but in tests
}

// Next is the pause before the next attempt.
func (b *Backoff) Next() time.Duration {
	random := b.random
	if random == nil {
		random = rand.Float64
	}
	b.ceiling = min(max(2*b.ceiling, b.First), b.Max)
	return time.Duration((b.Least + (1-b.Least)*random()) * float64(b.ceiling))
}

// Reset makes the next pause a first one.
func (b *Backoff) Reset() { b.ceiling = 0 }

// Wait waits for d, or until ctx ends, whose error it returns then.
func Wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
