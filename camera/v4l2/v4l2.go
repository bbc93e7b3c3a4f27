// Package v4l2 is scheme v4l2: the video devices of the kernel (Video4Linux), a USB
// camera, a frame grabber, a camera on CSI whose driver gives finished pictures. It
// speaks to them by its own ioctl layer.
//
// The way of a frame: query.go asks what a device offers, choose.go picks a mode,
// setup.go has the device deliver it, v4l2.go takes buffers and gives them back,
// and shape.go copies one out. What a device is to all of these is videoNode
// (node.go), so that a test's stands in for the kernel; the kernel's structures,
// under its own names, are in abi.go. devices.go lists what is plugged in.
package v4l2

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"dynvit/camera"
	"dynvit/camera/internal/address"
	"dynvit/camera/internal/lifetime"
	"dynvit/camera/internal/option"
)

// Scheme is v4l2:/dev/video0?size=1280x720&format=mjpeg&fps=30 and /dev/…
func Scheme() camera.Scheme {
	return camera.Scheme{Names: []string{"v4l2"}, Marks: "?#", Parse: parse}
}

// target is a parsed URI.
type target struct {
	given option.Given
	path  string
	asked
}

// asked is what a URI asks of a device.
type asked struct {
	format string // by its option's name; "": any
	rate   option.Rate
	size   option.Size
}

func parse(_, text, options string) (camera.Target, error) {
	path, err := address.Path(text)
	if err != nil {
		return nil, err
	}
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("%q: want a device such as /dev/video0", path)
	}
	t := &target{path: path}
	t.given, err = option.Parse(options, option.OneOf("format", &t.format, "mjpeg", "yuyv", "nv12", "i420", "rgb24", "grey"),
		option.FPS(&t.rate), option.Pixels(&t.size))
	return t, err
}

func (t *target) String() string { return "v4l2:" + t.path + t.given.After("?") }

func (t *target) Open(o camera.Options) (camera.Source, error) { return t.openOn(o, openNode) }

// openOn opens the device, chooses its mode and starts the stream. That takes a
// driver some milliseconds and waits for no frame.
func (t *target) openOn(o camera.Options, open func(path string) (videoNode, error)) (camera.Source, error) {
	c := &source{Lifetime: lifetime.New(), name: "v4l2:" + t.path, stall: o.StallLimit()}
	var err error
	if c.node, err = open(t.path); err != nil {
		return nil, c.explain(err)
	}
	if err := c.setUp(wish{t.asked, o.ShortSide}); err != nil {
		c.release()
		return nil, c.explain(err)
	}
	return c, nil
}

// source reads a device. The driver fills buffers in turn; Next copies the newest
// whole one out and hands it back at once, so that the driver never waits for us
// and no frame is old.
type source struct {
	lifetime.Lifetime
	name  string // for errors
	node  videoNode
	stall time.Duration

	mu        sync.Mutex // held by Next, so that Close can wait for it
	shape     shape
	pacer     lifetime.Pacer
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

// oddOnes is how many frames in a row of one wrong length are another size, not
// damage.
const oddOnes = 3

// errSize says that the frames are not of the size any more that was set up.
var errSize = errors.New("the size of its frames has changed")

// explain makes an error of the kernel one for people.
func (c *source) explain(err error) error {
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
func (c *source) Next(ctx context.Context, f *camera.Frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.Check(ctx); err != nil {
		return err
	}
	c.watch(ctx)
	if c.broken != nil {
		return c.Because(ctx, c.broken)
	}
	err := c.receive(ctx, f)
	if err == nil {
		return nil
	}
	if why := c.Check(ctx); why != nil {
		return why // nothing is wrong with the device
	}
	c.broken = err
	return err
}

// watch has ctx's end wake a wait. It does nothing while ctx stays the same, as
// it does from frame to frame.
func (c *source) watch(ctx context.Context) {
	if c.watched == ctx.Done() {
		return
	}
	c.unwatch()
	c.watched, c.watchEnd = ctx.Done(), context.AfterFunc(ctx, c.node.wake)
}

func (c *source) unwatch() {
	if c.watchEnd != nil {
		c.watchEnd()
		c.watched, c.watchEnd = nil, nil
	}
}

// receive waits for a whole frame that is due.
func (c *source) receive(ctx context.Context, f *camera.Frame) error {
	end := time.Now().Add(c.stall)
	for {
		got, err := c.fetch(f)
		if err != nil {
			return c.explain(err)
		}
		if got && !c.pacer.Early(f.Captured) {
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
func (c *source) wait(ctx context.Context, d time.Duration) error {
	if why := c.Check(ctx); why != nil {
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
func (c *source) silence() error {
	if c.damaged > 0 {
		return fmt.Errorf("no whole frame in %v, %d damaged or cut short", c.stall, c.damaged)
	}
	return fmt.Errorf("no frame in %v", c.stall)
}

// failure finds out why the device cannot be waited for.
func (c *source) failure() error {
	err := c.take()
	if err == nil || err == unix.EAGAIN {
		return errors.New("its stream has broken off")
	}
	return err
}

// events reads what the driver has to tell.
func (c *source) events() error {
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
func (c *source) fetch(f *camera.Frame) (got bool, err error) {
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
func (c *source) take() error {
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
func (c *source) give(index uint32) error {
	c.buffer = v4l2Buffer{index: index, bufType: v4l2Capture, memory: v4l2MMAP}
	if err := c.node.ioctl(vidiocQbuf, unsafe.Pointer(&c.buffer)); err != nil {
		return fmt.Errorf("hand a buffer to the driver: %w", err)
	}
	return nil
}

// count goes on to the driver's number of a frame, which wraps around. A number
// that does not go on (some drivers' stays 0), or leaps, counts as the next.
func (c *source) count(sequence uint32) {
	const leap = 1 << 16
	missed := sequence - c.sequence
	if c.seq == 0 || missed == 0 || missed > leap {
		missed = 1
	}
	c.seq, c.sequence = c.seq+uint64(missed), sequence
}

// good judges the buffer just taken.
func (c *source) good() bool {
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
func (c *source) suspect(b *v4l2Buffer, flagged bool) {
	switch {
	case flagged || c.shape.format == camera.JPEG || b.bytesused == 0:
		c.odd = 0
	case c.odd > 0 && c.oddBytes == b.bytesused:
		c.odd++
	default:
		c.odd, c.oddBytes = 1, b.bytesused
	}
}

// captured is when a buffer was filled. Drivers that stamp with another clock, or
// wrongly, get the present.
func (c *source) captured(b *v4l2Buffer) time.Time {
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
func (c *source) Close() error {
	first := c.End()
	c.node.wake()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !first {
		return nil
	}
	c.unwatch()
	return c.release()
}
