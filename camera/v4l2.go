package camera

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// v4l2Camera reads a video device of the kernel (Video4Linux): a USB camera, a
// frame grabber, a camera on CSI whose driver gives finished pictures. The driver
// fills buffers in turn; Next copies the newest whole one out and hands it back
// at once, so that the driver never waits for us and no frame is old.
type v4l2Camera struct {
	lifetime
	name  string // for errors
	node  videoNode
	stall time.Duration

	mu        sync.Mutex // held by Next, so that Close can wait for it
	shape     shape
	pacer     pacer
	buffers   [][]byte // mapped, by index
	requested bool     // buffers were, from the driver
	buffer    v4l2Buffer
	held      v4l2Buffer // the newest whole one,
	heldSeq   uint64     // and its number
	event     v4l2Event
	broken    error // what every later Next says

	seq      uint64 // of the last buffer
	sequence uint32 // the same, as the driver counts
	last     time.Time
	damaged  int    // buffers in a row
	odd      int    // of them, those of the same number of bytes in a row,
	oddBytes uint32 // which is this

	watched  <-chan struct{} // Done of the context that wakes the node
	watchEnd func() bool
}

// openV4L2 opens the device, chooses its mode and starts the stream. That takes a
// driver some milliseconds and waits for no frame.
func openV4L2(s Spec, o Options, open func(path string) (videoNode, error)) (Source, error) {
	c := &v4l2Camera{lifetime: newLifetime(), name: "v4l2:" + s.target, stall: o.stall()}
	var err error
	if c.node, err = open(s.target); err != nil {
		return nil, c.explain(err)
	}
	if err := c.setUp(wish{s.options, o.ShortSide}); err != nil {
		c.release()
		return nil, c.explain(err)
	}
	return c, nil
}

// oddOnes is how many frames in a row of one wrong length are another size, not
// damage.
const oddOnes = 3

// errSize says that the frames are not of the size any more that was set up.
var errSize = errors.New("the size of its frames has changed")

// explain makes an error of the kernel one for people.
func (c *v4l2Camera) explain(err error) error {
	return fmt.Errorf("%s: %w", c.name, deviceError(err))
}

// deviceError says what an error of the kernel means with a camera; others stay
// as they are.
func deviceError(err error) error {
	var e unix.Errno
	if !errors.As(err, &e) {
		return err
	}
	switch e {
	case unix.ENOENT:
		return errors.New("no such device: is the camera plugged in? `dynvitd devices` lists what is there")
	case unix.ENODEV, unix.ENXIO:
		return errors.New("the camera is gone")
	case unix.EACCES, unix.EPERM:
		return errors.New("permission denied: the user must be in the group video")
	case unix.EBUSY:
		return errors.New("busy: another program uses it")
	case unix.EIO:
		return errors.New("the device reports an input/output error: unplugged, or a bad cable or hub")
	}
	return err
}

// Next copies the newest frame, waiting for one if need be. Damaged frames and
// those that the driver flags are skipped; their numbers are missing.
func (c *v4l2Camera) Next(ctx context.Context, f *Frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.check(ctx); err != nil {
		return err
	}
	c.watch(ctx)
	if c.broken != nil {
		return c.because(ctx, c.broken)
	}
	err := c.receive(ctx, f)
	if err == nil {
		return nil
	}
	if why := c.check(ctx); why != nil {
		return why // nothing is wrong with the device
	}
	c.broken = err
	return err
}

// watch has ctx's end wake a wait. It does nothing while ctx stays the same, as
// it does from frame to frame.
func (c *v4l2Camera) watch(ctx context.Context) {
	if c.watched == ctx.Done() {
		return
	}
	c.unwatch()
	c.watched, c.watchEnd = ctx.Done(), context.AfterFunc(ctx, c.node.wake)
}

func (c *v4l2Camera) unwatch() {
	if c.watchEnd != nil {
		c.watchEnd()
		c.watched, c.watchEnd = nil, nil
	}
}

// receive waits for a whole frame that is due.
func (c *v4l2Camera) receive(ctx context.Context, f *Frame) error {
	end := time.Now().Add(c.stall)
	for {
		got, err := c.fetch(f)
		if err != nil {
			return c.explain(err)
		}
		if got && !c.pacer.early(f.Captured) {
			return nil
		}
		if got {
			end = time.Now().Add(c.stall) // it works, only nobody wants so many
		}
		if err := c.wait(ctx, time.Until(end)); err != nil {
			return err
		}
	}
}

// wait blocks until something may be there to fetch.
func (c *v4l2Camera) wait(ctx context.Context, d time.Duration) error {
	if why := c.check(ctx); why != nil {
		return why
	}
	if d <= 0 {
		return c.explain(c.silence())
	}
	ready, err := c.node.wait(d)
	if err == nil && ready&readyError != 0 {
		err = c.failure()
	}
	if err == nil && ready&readyEvent != 0 {
		err = c.events()
	}
	if err != nil {
		return c.explain(err)
	}
	return nil
}

// silence is the error of a camera that gives nothing.
func (c *v4l2Camera) silence() error {
	if c.damaged > 0 {
		return fmt.Errorf("no whole frame in %v, %d damaged or cut short", c.stall, c.damaged)
	}
	return fmt.Errorf("no frame in %v", c.stall)
}

// failure finds out why the device cannot be waited for.
func (c *v4l2Camera) failure() error {
	err := c.take()
	if err == nil || err == unix.EAGAIN {
		return errors.New("its stream has broken off")
	}
	return err
}

// events reads what the driver has to tell.
func (c *v4l2Camera) events() error {
	for {
		if err := c.node.ioctl(vidiocDqevent, unsafe.Pointer(&c.event)); err != nil {
			return nil // no more of them
		}
		if c.event.eventType == v4l2EventSourceChange && c.event.changes&v4l2ChangeResolution != 0 {
			return errSize
		}
	}
}

// fetch takes all buffers that are filled and copies the newest whole one to f,
// if there is one.
func (c *v4l2Camera) fetch(f *Frame) (got bool, err error) {
	for range c.buffers { // a driver that is faster than we are must not hold us
		err := c.take()
		if err == unix.EAGAIN {
			break
		}
		if err != nil {
			return false, fmt.Errorf("fetch a frame: %w", err)
		}
		back, second := c.buffer.index, got
		if c.good() {
			back = c.held.index
			c.held, c.heldSeq, got = c.buffer, c.seq, true
			if !second {
				continue
			}
		} else if c.odd >= oddOnes {
			return false, errSize
		}
		if err := c.give(back); err != nil {
			return false, err
		}
	}
	if !got {
		return false, nil
	}
	c.shape.copyTo(f, c.buffers[c.held.index][:c.held.bytesused])
	f.Seq, f.Captured = c.heldSeq, c.captured(&c.held)
	return true, c.give(c.held.index)
}

// take has the driver hand over a filled buffer; unix.EAGAIN: none is.
func (c *v4l2Camera) take() error {
	c.buffer = v4l2Buffer{bufType: v4l2Capture, memory: v4l2MMAP}
	if err := c.node.ioctl(vidiocDqbuf, unsafe.Pointer(&c.buffer)); err != nil {
		return err
	}
	if int64(c.buffer.index) >= int64(len(c.buffers)) {
		return fmt.Errorf("gave buffer %d of %d", c.buffer.index, len(c.buffers))
	}
	c.count(c.buffer.sequence)
	return nil
}

// give hands a buffer to the driver.
func (c *v4l2Camera) give(index uint32) error {
	c.buffer = v4l2Buffer{index: index, bufType: v4l2Capture, memory: v4l2MMAP}
	if err := c.node.ioctl(vidiocQbuf, unsafe.Pointer(&c.buffer)); err != nil {
		return fmt.Errorf("hand a buffer to the driver: %w", err)
	}
	return nil
}

// count goes on to the driver's number of a frame, which wraps around. A number
// that does not go on (some drivers' stays 0), or leaps, counts as the next.
func (c *v4l2Camera) count(sequence uint32) {
	const leap = 1 << 16
	missed := sequence - c.sequence
	if c.seq == 0 || missed == 0 || missed > leap {
		missed = 1
	}
	c.seq, c.sequence = c.seq+uint64(missed), sequence
}

// good judges the buffer just taken.
func (c *v4l2Camera) good() bool {
	b, memory := &c.buffer, c.buffers[c.buffer.index]
	flagged := b.flags&v4l2BufError != 0
	if !flagged && int64(b.bytesused) <= int64(len(memory)) && c.shape.whole(memory[:b.bytesused]) {
		c.damaged, c.odd = 0, 0
		return true
	}
	c.damaged++
	c.suspect(b, flagged)
	return false
}

// suspect counts raw frames that are too short, all alike: another size.
func (c *v4l2Camera) suspect(b *v4l2Buffer, flagged bool) {
	switch {
	case flagged || c.shape.format == JPEG || b.bytesused == 0:
		c.odd = 0
	case c.odd > 0 && c.oddBytes == b.bytesused:
		c.odd++
	default:
		c.odd, c.oddBytes = 1, b.bytesused
	}
}

// captured is when a buffer was filled. Drivers that stamp with another clock, or
// wrongly, get the present.
func (c *v4l2Camera) captured(b *v4l2Buffer) time.Time {
	at := time.Now()
	if b.flags&v4l2BufTimeMask == v4l2BufTimeMonotonic {
		stamp := time.Duration(b.seconds)*time.Second + time.Duration(b.micros)*time.Microsecond
		if age := c.node.monotonic() - stamp; age > 0 && age <= c.stall {
			at = at.Add(-age)
		}
	}
	if at.Before(c.last) {
		at = c.last
	}
	c.last = at
	return at
}

// Close stops the stream, wakes a Next that waits, and waits for it.
func (c *v4l2Camera) Close() error {
	first := c.end()
	c.node.wake()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !first {
		return nil
	}
	c.unwatch()
	return c.release()
}
