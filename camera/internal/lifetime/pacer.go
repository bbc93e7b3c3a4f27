package lifetime

import (
	"context"
	"time"
)

// Pacer spaces frames evenly; the zero Pacer does not wait. One goroutine uses it.
type Pacer struct {
	every time.Duration // 0: no waiting
	due   time.Time     // of the next frame; zero before the first
	timer *time.Timer
}

// NewPacer makes one for so many frames a second; 0 does not wait.
func NewPacer(fps float64) Pacer {
	if fps == 0 {
		return Pacer{}
	}
	return Pacer{every: time.Duration(float64(time.Second) / fps)}
}

// Wait blocks until the next frame is due. The first is due at once. A frame
// that comes late by less than one interval does not delay the ones after it;
// one that is later shifts them, rather than a burst making up for it.
func (p *Pacer) Wait(ctx context.Context, l *Lifetime) error {
	if err := l.Check(ctx); err != nil || p.every == 0 {
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

func (p *Pacer) sleep(ctx context.Context, l *Lifetime, d time.Duration) error {
	if p.timer == nil {
		p.timer = time.NewTimer(d)
	} else {
		p.timer.Reset(d)
	}
	select {
	case <-p.timer.C:
		return nil
	case <-l.base.Done():
	case <-ctx.Done():
	}
	p.timer.Stop()
	return l.Check(ctx)
}

// Early reports whether a frame that is there now comes before it is due, and
// otherwise counts it.
func (p *Pacer) Early(now time.Time) bool {
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
