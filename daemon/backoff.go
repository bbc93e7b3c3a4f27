package daemon

import (
	"math/rand/v2"
	"time"
)

const (
	retryFirst = 500 * time.Millisecond
	retryMax   = 10 * time.Second // a camera plugged in again is seen within this
)

// backoff gives the pauses before a source is opened again: they double from
// retryFirst to retryMax, each shortened by up to half at random so that cameras
// behind one switch do not all come back at once.
type backoff struct {
	ceiling time.Duration
	random  func() float64 // in [0, 1)
}

func newBackoff() backoff { return backoff{random: rand.Float64} }

func (b *backoff) next() time.Duration {
	b.ceiling = min(max(2*b.ceiling, retryFirst), retryMax)
	return time.Duration((1 - b.random()/2) * float64(b.ceiling))
}

func (b *backoff) reset() { b.ceiling = 0 }
