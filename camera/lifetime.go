package camera

import (
	"context"
	"sync"
	"time"
)

// lifetime is what every source knows about its end.
type lifetime struct {
	once   sync.Once
	closed chan struct{}
}

func newLifetime() lifetime { return lifetime{closed: make(chan struct{})} }

// end marks the source closed and reports whether this call did it.
func (l *lifetime) end() (first bool) {
	l.once.Do(func() {
		close(l.closed)
		first = true
	})
	return first
}

// check is why Next must not go on: ErrClosed, ctx's error, or nil.
func (l *lifetime) check(ctx context.Context) error {
	select {
	case <-l.closed:
		return ErrClosed
	default:
		return ctx.Err()
	}
}

// because is err, unless the source was closed or ctx ended, which explain any
// error that came of it.
func (l *lifetime) because(ctx context.Context, err error) error {
	if why := l.check(ctx); why != nil {
		return why
	}
	return err
}

// pacer spaces frames evenly. One goroutine uses it.
type pacer struct {
	every time.Duration // 0: no waiting
	due   time.Time     // of the next frame; zero before the first
	timer *time.Timer
}

// newPacer makes one for so many frames a second; 0 does not wait.
func newPacer(fps float64) pacer {
	if fps == 0 {
		return pacer{}
	}
	return pacer{every: time.Duration(float64(time.Second) / fps)}
}

// wait blocks until the next frame is due. The first is due at once. A frame
// that comes late by less than one interval does not delay the ones after it;
// one that is later shifts them, rather than a burst making up for it.
func (p *pacer) wait(ctx context.Context, l *lifetime) error {
	if err := l.check(ctx); err != nil || p.every == 0 {
		return err
	}
	now := time.Now()
	if ahead := p.due.Sub(now); ahead > 0 {
		if err := p.sleep(ctx, l, ahead); err != nil {
			return err
		}
	} else if ahead < -p.every {
		p.due = now
	}
	p.due = p.due.Add(p.every)
	return nil
}

func (p *pacer) sleep(ctx context.Context, l *lifetime, d time.Duration) error {
	if p.timer == nil {
		p.timer = time.NewTimer(d)
	} else {
		p.timer.Reset(d)
	}
	select {
	case <-p.timer.C:
		return nil
	case <-l.closed:
	case <-ctx.Done():
	}
	p.timer.Stop()
	return l.check(ctx)
}

// early reports whether a frame that is there now comes before it is due, and
// otherwise counts it.
func (p *pacer) early(now time.Time) bool {
	if p.every == 0 {
		return false
	}
	if now.Before(p.due) {
		return true
	}
	if now.Sub(p.due) > p.every {
		p.due = now
	}
	p.due = p.due.Add(p.every)
	return false
}
