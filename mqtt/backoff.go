package mqtt

import "time"

const (
	backoffFirst = time.Second
	backoffMax   = 10 * time.Second
)

// backoff gives the pauses between attempts to connect: exponential with full
// jitter, so that the boxes of a site do not all come back to a restarted
// broker in the same instant
// (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
type backoff struct {
	ceiling time.Duration
	random  func() float64 // in [0, 1)
}

// next returns the pause before the next attempt, at most one second at first.
func (b *backoff) next() time.Duration {
	b.ceiling = min(max(2*b.ceiling, backoffFirst), backoffMax)
	return time.Duration(b.random() * float64(b.ceiling))
}

// reset makes the next pause a first one.
func (b *backoff) reset() { b.ceiling = 0 }
