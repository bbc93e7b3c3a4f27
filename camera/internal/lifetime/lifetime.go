// Package lifetime holds what every source knows of time: its own end, and when
// the next frame is due.
package lifetime

import (
	"context"
	"sync"

	"dynvit/camera"
)

// Lifetime is what a source knows about its end. Any goroutine may use it.
type Lifetime struct {
	once sync.Once
	base context.Context
	end  context.CancelFunc
}

// New is that of a source that is open.
func New() Lifetime {
	base, end := context.WithCancel(context.Background())
	return Lifetime{base: base, end: end}
}

// Base is a context that ends with the source, for what lasts longer than one Next.
func (l *Lifetime) Base() context.Context { return l.base }

// End marks the source closed and reports whether this call did it.
func (l *Lifetime) End() (first bool) {
	l.once.Do(func() {
		l.end()
		first = true
	})
	return first
}

// Check is why Next must not go on: camera.ErrClosed, ctx's error, or nil.
func (l *Lifetime) Check(ctx context.Context) error {
	if l.base.Err() != nil {
		return camera.ErrClosed
	}
	return ctx.Err()
}

// Because is err, unless the source was closed or ctx ended, which explain any
// error that came of it.
func (l *Lifetime) Because(ctx context.Context, err error) error {
	if why := l.Check(ctx); why != nil {
		return why
	}
	return err
}
