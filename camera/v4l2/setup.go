package v4l2

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"dynvit/camera"
	"dynvit/camera/internal/lifetime"
)

const (
	// wantedBuffers are asked of the driver: one being filled, one waiting, and two
	// for when nobody looks for two frames.
	wantedBuffers = 4
	maxBuffers    = 32
	// maxBufferBytes bounds a frame's memory: 8192×8192 of RGB24, with padding.
	maxBufferBytes = 256 << 20
)

// setUp chooses a mode and makes the device deliver it.
func (c *source) setUp(w wish) error {
	if _, err := queryInfo(c.node); err != nil {
		return err
	}
	c.subscribe()
	if err := c.followSignal(); err != nil {
		return err
	}
	formats, err := queryFormats(c.node)
	if err != nil {
		return err
	}
	if w.size.Width == 0 && w.side == 0 {
		w.side = c.presentSide()
	}
	m, err := choose(formats, w)
	if err != nil {
		return err
	}
	if err := c.setFormat(m, w); err != nil {
		return err
	}
	c.setRate(m, w)
	if err := c.getBuffers(); err != nil {
		return err
	}
	return c.start()
}

// subscribe asks to be told when another signal comes to the input. A device that
// has one input, or no such events, says so, and then nothing changes.
func (c *source) subscribe() {
	var input int32
	if err := c.node.ioctl(vidiocGInput, unsafe.Pointer(&input)); err != nil {
		input = 0
	}
	c.node.ioctl(vidiocSubscribeEvent, unsafe.Pointer(&v4l2EventSubscription{eventType: v4l2EventSourceChange, id: uint32(input)}))
}

// followSignal sets what receives a signal, of HDMI say, to the size that comes
// in. Other devices do not know the question.
func (c *source) followSignal() error {
	var timings v4l2DVTimings
	switch err := c.node.ioctl(vidiocQueryDVTimings, unsafe.Pointer(&timings)); err {
	case nil:
		return c.node.ioctl(vidiocSDVTimings, unsafe.Pointer(&timings))
	case unix.ENOLINK, unix.ENOLCK, unix.ERANGE:
		return errors.New("no signal at its input, or one that it cannot follow")
	}
	return nil
}

// presentSide is the short side of the size that the device has set; 0: unknown.
func (c *source) presentSide() int {
	f := v4l2Format{bufType: v4l2Capture}
	if err := c.node.ioctl(vidiocGFmt, unsafe.Pointer(&f)); err != nil {
		return 0
	}
	return int(min(f.width, f.height, camera.MaxSide))
}

// setFormat asks for a mode and takes what the driver makes of it, as long as it
// is no other format, nor another size than the one that was asked for by name.
func (c *source) setFormat(m mode, w wish) error {
	f := v4l2Format{bufType: v4l2Capture}
	if m.width == 0 {
		if err := c.node.ioctl(vidiocGFmt, unsafe.Pointer(&f)); err != nil {
			return err
		}
	} else {
		f.width, f.height = uint32(m.width), uint32(m.height)
	}
	f.pixelformat, f.field, f.bytesperline, f.sizeimage = m.code, v4l2FieldNone, 0, 0
	if err := c.node.ioctl(vidiocSFmt, unsafe.Pointer(&f)); err != nil {
		return fmt.Errorf("set the format: %w", err)
	}
	switch {
	case f.pixelformat != m.code:
		return fmt.Errorf("gave format %v when asked for %v", f.pixelformat, m.code)
	case w.size.Width != 0 && (int(f.width) != w.size.Width || int(f.height) != w.size.Height):
		return fmt.Errorf("%v is not offered: %dx%d is nearest", w, f.width, f.height)
	case f.field == v4l2FieldTB || f.field == v4l2FieldBT:
		return errors.New("its frames hold one field below the other, which is not supported")
	}
	var err error
	c.shape, err = newShape(m.format, f.width, f.height, f.bytesperline)
	return err
}

// setRate asks for a rate. What the driver makes of it is thinned out where it is
// too much, and taken where it is too little.
func (c *source) setRate(m mode, w wish) {
	p := v4l2Streamparm{bufType: v4l2Capture}
	if err := c.node.ioctl(vidiocGParm, unsafe.Pointer(&p)); err == nil && m.rate != 0 && p.capability&v4l2CapTimePerFrame != 0 {
		p.timeperframe = interval(m.rate)
		if err := c.node.ioctl(vidiocSParm, unsafe.Pointer(&p)); err != nil {
			p.timeperframe = v4l2Fract{}
		}
	}
	const slack = 1.1 // a rate that is about right needs no thinning
	if got := p.timeperframe.rate(); w.rate.FPS > 0 && (got == 0 || got > slack*w.rate.FPS) {
		c.pacer = lifetime.NewPacer(w.rate.FPS)
	}
}

// getBuffers has the driver make buffers and maps them.
func (c *source) getBuffers() error {
	r := v4l2Requestbuffers{count: wantedBuffers, bufType: v4l2Capture, memory: v4l2MMAP}
	if err := c.node.ioctl(vidiocReqbufs, unsafe.Pointer(&r)); err != nil {
		return fmt.Errorf("get buffers: %w", err)
	}
	c.requested = true
	if r.count < 2 || r.count > maxBuffers {
		return fmt.Errorf("gave %d buffers when asked for %d", r.count, wantedBuffers)
	}
	for i := range r.count {
		b := v4l2Buffer{index: i, bufType: v4l2Capture, memory: v4l2MMAP}
		if err := c.node.ioctl(vidiocQuerybuf, unsafe.Pointer(&b)); err != nil {
			return fmt.Errorf("look at a buffer: %w", err)
		}
		if b.length == 0 || b.length > maxBufferBytes || int64(b.length) < int64(c.shape.need) {
			return fmt.Errorf("gave a buffer of %d bytes for frames of %d", b.length, c.shape.need)
		}
		memory, err := c.node.mmap(int64(b.offset), int(b.length))
		if err != nil {
			return fmt.Errorf("map a buffer of %d bytes: %w", b.length, err)
		}
		c.buffers = append(c.buffers, memory)
	}
	return nil
}

// start hands all buffers to the driver and starts the stream.
func (c *source) start() error {
	for i := range c.buffers {
		if err := c.give(uint32(i)); err != nil {
			return err
		}
	}
	on := int32(v4l2Capture)
	switch err := c.node.ioctl(vidiocStreamon, unsafe.Pointer(&on)); err {
	case nil:
		return nil
	case unix.ENOSPC:
		return errors.New("the USB bus has no room for its frames: ask for a smaller size, a lower rate or format=mjpeg")
	default:
		return fmt.Errorf("start the stream: %w", err)
	}
}

// release undoes setUp, as far as it came, and closes the device.
func (c *source) release() error {
	// The device may be gone: what fails here is of no use to anybody.
	off := int32(v4l2Capture)
	c.node.ioctl(vidiocStreamoff, unsafe.Pointer(&off))
	for _, memory := range c.buffers {
		c.node.munmap(memory)
	}
	c.buffers = nil
	if c.requested {
		c.node.ioctl(vidiocReqbufs, unsafe.Pointer(&v4l2Requestbuffers{bufType: v4l2Capture, memory: v4l2MMAP}))
	}
	return c.node.close()
}
