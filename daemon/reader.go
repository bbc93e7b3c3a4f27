package daemon

import (
	"context"
	"errors"
	"io"

	"dynvit/backoff"
	"dynvit/camera"
	"dynvit/config"
	"dynvit/gate"
)

// reader keeps one camera's source open and puts its frames into the queue. Its
// run method is the only user of the source.
type reader struct {
	*feed
	open  func(config.Camera) (camera.Source, error)
	pulse endingPulse

	ended func() // told when the source has shown all it has
	again func() // told when it is opened once more after that

	frame *camera.Frame // to be filled next
	pace  gate.Pace
	retry backoff.Backoff
	seq   uint64 // of the last frame, over all times the source was opened

	// Of who started it.
	stop context.CancelFunc
	done <-chan struct{}
}

// endingPulse is of a goroutine that may end before the others.
type endingPulse interface {
	pulse
	Done()
}

// run keeps the camera open as long as it is wanted, until ctx ends.
func (r *reader) run(ctx context.Context) {
	defer r.status.stopped()
	for ctx.Err() == nil {
		on, why, period := r.enabled.Now()
		during, stop := context.WithCancel(ctx)
		undo := context.AfterFunc(period, stop)
		if on {
			r.attend(during)
		} else {
			r.pulse.Idle("camera disabled")
			r.status.disabled(why)
			<-during.Done()
		}
		undo()
		stop()
	}
}

// attend reads until ctx ends. A source that has shown all it has is not opened
// again before that.
func (r *reader) attend(ctx context.Context) {
	r.status.enabled()
	r.retry.Reset()
	for ctx.Err() == nil {
		err := r.session(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, io.EOF):
			r.status.closed("the source has ended")
			r.pulse.Idle("the source has ended")
			r.ended()
			<-ctx.Done()
			r.again()
			return
		}
		r.status.closed(err.Error())
		r.pulse.Idle("camera away")
		backoff.Wait(ctx, r.retry.Next())
	}
}

// session opens the source and reads it until it fails.
func (r *reader) session(ctx context.Context) error {
	r.pulse.Idle("opening the camera")
	c := r.config.Load()
	source, err := r.open(*c)
	if err != nil {
		return err
	}
	r.status.opened(c.Timeout)
	err = r.read(ctx, source)
	if closing := source.Close(); closing != nil {
		r.log.Debug("camera not closed cleanly", "err", closing)
	}
	return err
}

// read passes frames on until the source fails. A source may count anew each
// time that it is opened; its camera's frames count on.
func (r *reader) read(ctx context.Context, source camera.Source) error {
	before, last := r.seq, uint64(0)
	for {
		r.pulse.Idle("no frame came")
		if err := source.Next(ctx, r.frame); err != nil {
			if lost := new(camera.LostError); errors.As(err, &lost) {
				r.counts.missed.Add(lost.Frames)
			}
			return err
		}
		r.retry.Reset()
		r.status.frame()
		if missed := r.frame.Seq - last - 1; r.frame.Seq > last {
			r.counts.missed.Add(missed)
		}
		last = r.frame.Seq
		r.seq = before + last
		r.frame.Seq = r.seq
		r.pass()
	}
}

// pass puts the frame into the queue unless it came too fast.
func (r *reader) pass() {
	r.pace.Limit(r.config.Load().MaxFPS)
	if !r.pace.Pass(r.frame.Captured) {
		r.counts.tooFast.Add(1)
		return
	}
	next, lost := r.lane.Put(r.frame)
	r.frame = next
	if lost {
		r.counts.busy.Add(1)
	}
}
