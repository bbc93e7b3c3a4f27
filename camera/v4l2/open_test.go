package v4l2

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"dynvit/camera"
	"dynvit/camera/internal/lifetime"
)

// What a driver may refuse or get wrong while it is set up: one line, and
// everything is closed again.
func TestV4L2OpenRefuses(t *testing.T) {
	for _, c := range []struct {
		options string
		break_  func(n *FakeNode)
		want    string
	}{
		{"", func(n *FakeNode) { n.fail[vidiocQuerycap] = []error{unix.ENOTTY} }, "not a video device"},
		{"", func(n *FakeNode) { n.fail[vidiocQuerycap] = []error{unix.ENODEV} }, "the camera is gone"},
		{"", func(n *FakeNode) { n.caps = v4l2CapMetadata | v4l2CapStreaming }, "not a camera: it gives the metadata of one, try the node before"},
		{"", func(n *FakeNode) { n.caps = 2 | v4l2CapStreaming }, "not a camera: it captures no video"},
		{"", func(n *FakeNode) { n.caps = v4l2CapCapturePlanes | v4l2CapStreaming }, "several planes in memory, which is not supported"},
		{"", func(n *FakeNode) { n.caps = v4l2CapCapture }, "no camera that streams"},
		{"", func(n *FakeNode) { n.fail[vidiocQueryDVTimings] = []error{unix.ENOLINK} }, "no signal at its input"},
		{"", func(n *FakeNode) { n.fail[vidiocEnumFmt] = []error{unix.EIO} }, "the device reports an input/output error"},
		{"?format=nv12", nil, "format nv12 is not offered: want yuyv, mjpeg"},
		{"?size=800x600", nil, "size 800x600 is not offered: want 320x240, 640x480, 1280x720"},
		{"?format=yuyv&size=1280x720", nil, "format yuyv of 1280x720 is not offered: want 320x240, 640x480"},
		{"", func(n *FakeNode) { n.offers = nil }, "want another camera, this one names no format"},
		{"", func(n *FakeNode) { n.offers = []fakeFormat{{code: 0x34363248}, {code: 'B' | 1<<31}} }, "this one has only H264, B-BE"},
		{"", func(n *FakeNode) { n.endless = true }, "and 248 more"},
		{"", func(n *FakeNode) { n.fail[vidiocSFmt] = []error{unix.EBUSY} }, "busy: another program uses it"},
		{"", answerFormat(func(f *v4l2Format) { f.pixelformat = fourccNV12 }), "gave format NV12 when asked for YUYV"},
		{"?size=640x480", answerFormat(func(f *v4l2Format) { f.width = 632 }), "640x480 is not offered: 632x480 is nearest"},
		{"", answerFormat(func(f *v4l2Format) { f.width = 633 }), "gave frames of 633x480, of which yuyv has half a colour sample"},
		{"", answerFormat(func(f *v4l2Format) { f.width = 0 }), "gave frames of 0x480"},
		{"", answerFormat(func(f *v4l2Format) { f.height = 1 << 31 }), "gave frames of 640x2147483648"},
		{"", answerFormat(func(f *v4l2Format) { f.bytesperline = 640 }), "gave rows of 640 bytes for 640 pixels of yuyv"},
		{"", answerFormat(func(f *v4l2Format) { f.bytesperline = 1 << 31 }), "gave rows of 2147483648 bytes"},
		{"", answerFormat(func(f *v4l2Format) { f.field = v4l2FieldTB }), "one field below the other"},
		{"", func(n *FakeNode) { n.fail[vidiocReqbufs] = []error{unix.EBUSY} }, "busy: another program uses it"},
		{"", answerBuffers(0), "gave 0 buffers when asked for 4"},
		{"", answerBuffers(33), "gave 33 buffers"},
		{"", answerLength(0), "gave a buffer of 0 bytes"},
		{"", answerLength(640*480*2 - 1), "gave a buffer of 614399 bytes for frames of 614400"},
		{"", answerLength(1 << 31), "gave a buffer of 2147483648 bytes"},
		{"", func(n *FakeNode) { n.fail[vidiocQuerybuf] = []error{nil, unix.EINVAL} }, "look at a buffer: invalid argument"},
		{"", func(n *FakeNode) { n.fail[^uintptr(0)] = []error{nil, unix.ENOMEM} }, "map a buffer of"},
		{"", func(n *FakeNode) { n.fail[vidiocQbuf] = []error{nil, nil, unix.EINVAL} }, "hand a buffer to the driver: invalid argument"},
		{"", func(n *FakeNode) { n.fail[vidiocStreamon] = []error{unix.ENOSPC} }, "the USB bus has no room for its frames: ask for a smaller size"},
		{"", func(n *FakeNode) { n.fail[vidiocStreamon] = []error{unix.EPIPE} }, "start the stream: broken pipe"},
	} {
		n := NewFakeNode()
		if c.break_ != nil {
			c.break_(n)
		}
		_, err := OpenFake("v4l2:/dev/video3"+c.options, camera.Options{ShortSide: 400}, n)
		if err == nil || !strings.HasPrefix(err.Error(), "v4l2:/dev/video3: ") || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, want %s", err, c.want)
		}
		if left := n.Leaked(); left != "" {
			t.Errorf("%s: %s", c.want, left)
		}
	}
}

func answerFormat(f func(*v4l2Format)) func(*FakeNode) {
	return func(n *FakeNode) { n.twist[vidiocSFmt] = func(a any) { f(a.(*v4l2Format)) } }
}

func answerBuffers(count uint32) func(*FakeNode) {
	return func(n *FakeNode) {
		n.twist[vidiocReqbufs] = func(a any) { a.(*v4l2Requestbuffers).count = count }
	}
}

func answerLength(length uint32) func(*FakeNode) {
	return func(n *FakeNode) { n.twist[vidiocQuerybuf] = func(a any) { a.(*v4l2Buffer).length = length } }
}

// Drivers that lack what they may lack are taken as they are.
func TestV4L2OldDrivers(t *testing.T) {
	never := make([]error, 1000)
	for i := range never {
		never[i] = unix.ENOTTY
	}
	n := NewFakeNode()
	for _, request := range []uintptr{vidiocGInput, vidiocEnumFramesizes, vidiocEnumFrameintervals, vidiocGParm, vidiocSParm, vidiocSubscribeEvent, vidiocQueryDVTimings} {
		n.fail[request] = never
	}
	n.format = v4l2Format{width: 352, height: 288}
	n.twist[vidiocSFmt] = func(a any) { a.(*v4l2Format).bytesperline = 0 }
	n.twist[vidiocReqbufs] = func(a any) { a.(*v4l2Requestbuffers).count = 2 }
	s := fake(t, n, "?fps=5", camera.Options{ShortSide: 256})
	if s.pacer != lifetime.NewPacer(5) {
		t.Errorf("thinned by %+v", s.pacer)
	}
	packed := numbered(352 * 288 * 2)
	n.push(packed, nil)
	var f camera.Frame
	next(t, s, &f)
	if f.Format != camera.YUYV || f.Width != 352 || f.Height != 288 || string(f.Data) != string(packed) {
		t.Errorf("got %v of %dx%d", f.Format, f.Width, f.Height)
	}
}

// A driver that refuses a rate is thinned out, one that does not say its size is
// asked for the smallest.
func TestV4L2RefusedRate(t *testing.T) {
	n := NewFakeNode()
	n.fail[vidiocSParm] = []error{unix.EBUSY}
	n.fail[vidiocGFmt] = []error{unix.EINVAL}
	s := fake(t, n, "?fps=5", camera.Options{})
	if s.pacer != lifetime.NewPacer(5) || s.shape.width != 320 {
		t.Errorf("thinned by %+v, %d pixels", s.pacer, s.shape.width)
	}
	n = NewFakeNode()
	n.format = v4l2Format{width: 640, height: 480}
	if s := fake(t, n, "", camera.Options{}); s.shape.width != 640 || n.interval != (v4l2Fract{1000, 30000}) {
		t.Errorf("%d pixels, interval %v: want what the device has set, at its usual rate", s.shape.width, n.interval)
	}
}

// Events are of an input; only those of the one in use are wanted.
func TestV4L2Subscribes(t *testing.T) {
	n := NewFakeNode()
	n.input = 3
	fake(t, n, "", camera.Options{})
	want := v4l2EventSubscription{eventType: v4l2EventSourceChange, id: 3}
	if len(n.subscribed) != 1 || n.subscribed[0] != want {
		t.Errorf("subscribed to %+v", n.subscribed)
	}
}

// What the kernel says of a device that cannot be opened.
func TestV4L2DeviceErrors(t *testing.T) {
	for e, want := range map[error]string{
		unix.ENOENT:                           "no such device: is the camera plugged in?",
		unix.ENXIO:                            "the camera is gone",
		unix.EACCES:                           "permission denied: the user must be in the group video",
		unix.EPERM:                            "permission denied: the user must be in the group video",
		unix.EBUSY:                            "busy: another program uses it",
		unix.ENOMEM:                           "cannot allocate memory",
		fmt.Errorf("wrapped: %w", unix.EBUSY): "busy: another program uses it",
	} {
		if got := deviceError(e).Error(); !strings.HasPrefix(got, want) {
			t.Errorf("%v became %q, want %q", e, got, want)
		}
	}
}

// Only video devices are opened at all.
func TestV4L2OpenNode(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo") // opening it would wait for a writer
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "video0")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		fifo: "not a video device", file: "not a video device", "/dev/null": "not a video device",
		filepath.Join(fifo, "x"): "not a directory", "/dev/video-none": "no such device",
	} {
		_, err := (&target{path: path}).Open(camera.Options{})
		if err == nil || !strings.HasPrefix(err.Error(), "v4l2:"+path+": "+want) {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
}

// The kernel's side of waiting, on a pipe in place of a device.
func TestV4L2NodeWaits(t *testing.T) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[1])
	n, err := newNode(pipe[0])
	if err != nil {
		t.Fatal(err)
	}
	expect := func(what string, d time.Duration, want readiness) {
		t.Helper()
		got, err := n.wait(d)
		for err == nil && got == 0 && want != 0 {
			got, err = n.wait(d) // a signal came, or an old wake
		}
		if err != nil || got != want {
			t.Errorf("%s: %v, %v, want %v", what, got, err, want)
		}
	}
	expect("nothing", 0, 0)
	n.wake()
	n.wake()
	expect("woken", time.Minute, 0)
	woken := make(chan struct{})
	go func() {
		defer close(woken)
		expect("woken while it waits", time.Minute, 0)
	}()
	n.wake()
	<-woken
	if _, err := unix.Write(pipe[1], []byte("x")); err != nil {
		t.Fatal(err)
	}
	expect("data", time.Minute, readyBuffer)
	if err := n.ioctl(vidiocQuerycap, nil); err != unix.ENOTTY && err != unix.ENOSYS { // an emulated kernel's
		t.Errorf("ioctl: %v", err)
	}
	before := n.monotonic()
	if after := n.monotonic(); before <= 0 || after < before {
		t.Errorf("the clock went from %v to %v", before, after)
	}
	if err := n.close(); err != nil {
		t.Error(err)
	}
	n.wake() // must not write to a number that another file may have
	if got := readinessOf(unix.POLLHUP | unix.POLLPRI); got != readyError|readyEvent {
		t.Errorf("hang-up and event are %v", got)
	}
}
