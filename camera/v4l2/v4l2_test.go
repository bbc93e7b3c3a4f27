package v4l2

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"dynvit/camera"
)

// fake opens n, and checks at the end that nothing of it is left.
func fake(t *testing.T, n *FakeNode, options string, o camera.Options) *source {
	t.Helper()
	s, err := OpenFake("v4l2:/dev/video0"+options, o, n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if left := n.Leaked(); left != "" {
			t.Errorf("after Close: %s", left)
		}
	})
	return s.(*source)
}

func next(t *testing.T, s camera.Source, f *camera.Frame) {
	t.Helper()
	if err := s.Next(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

// mjpeg is a whole picture as far as a camera can see.
func mjpeg(size int) []byte {
	data := bytes.Repeat([]byte{0x55}, size)
	copy(data, "\xff\xd8\xff\xdb")
	copy(data[size-2:], "\xff\xd9")
	return data
}

// Each raw format comes packed, with and without the driver's padding, also where
// the driver leaves out the padding of the last row.
func TestV4L2Formats(t *testing.T) {
	for _, c := range []struct {
		code     fourcc
		option   string
		format   camera.Format
		permille int // bytes in a thousand pixels
	}{
		{fourccYUYV, "yuyv", camera.YUYV, 2000}, {fourccNV12, "nv12", camera.NV12, 1500}, {fourccYU12, "i420", camera.I420, 1500},
		{fourccRGB3, "rgb24", camera.RGB24, 3000}, {fourccGREY, "grey", camera.GREY, 1000},
	} {
		for _, stride := range []int{0, 64} {
			for _, short := range []int{0, stride / 2} { // no more than I420's last padding
				n := NewFakeNode()
				n.offers = []fakeFormat{{c.code, []v4l2Frmsizeenum{size(64, 32)}, nil}}
				n.stride = stride
				s := fake(t, n, "?format="+c.option, camera.Options{})
				packed := numbered(64 * 32 * c.permille / 1000)
				data := n.padded(packed)
				n.push(data[:len(data)-short], nil)
				f := camera.Frame{Data: make([]byte, 3, 5), Name: "old"}
				next(t, s, &f)
				if f.Format != c.format || f.Width != 64 || f.Height != 32 || f.Name != "" {
					t.Errorf("%s: got %v of %dx%d, %q", c.option, f.Format, f.Width, f.Height, f.Name)
				}
				if !bytes.Equal(f.Data, packed) {
					t.Errorf("%s, padding %d, %d left out: the pixels are not those of the buffer", c.option, stride, short)
				}
			}
		}
	}
}

func TestV4L2MJPEG(t *testing.T) {
	n := NewFakeNode()
	s := fake(t, n, "?format=mjpeg&size=1280x720", camera.Options{})
	picture := append(mjpeg(9000), make([]byte, 100)...) // filled up to a packet
	n.push(picture, nil)
	var f camera.Frame
	next(t, s, &f)
	if f.Format != camera.JPEG || f.Width != 0 || f.Height != 0 || !bytes.Equal(f.Data, picture) {
		t.Errorf("got %v of %dx%d, %d bytes", f.Format, f.Width, f.Height, len(f.Data))
	}
	if n.format.pixelformat != fourccMJPG || n.format.width != 1280 || n.format.field != v4l2FieldNone {
		t.Errorf("the driver was asked for %+v", n.format)
	}
}

// What is damaged is skipped, and its number is missing.
func TestV4L2SkipsTheDamaged(t *testing.T) {
	whole := mjpeg(5000)
	flagged := func(b *v4l2Buffer) { b.flags |= v4l2BufError }
	for _, c := range []struct {
		name  string
		data  []byte
		alter func(b *v4l2Buffer)
	}{
		{"flagged", whole, flagged},
		{"cut short", whole[:4000], nil},
		{"no start", whole[4:], nil},
		{"tiny", mjpeg(8), nil},
		{"empty", nil, nil},
		{"longer than its buffer", whole, func(b *v4l2Buffer) { b.bytesused = 1 << 30 }},
	} {
		n := NewFakeNode()
		s := fake(t, n, "?format=mjpeg", camera.Options{})
		n.push(c.data, c.alter)
		n.push(whole, nil)
		var f camera.Frame
		next(t, s, &f)
		if f.Seq != 2 || !bytes.Equal(f.Data, whole) {
			t.Errorf("%s: got frame %d of %d bytes", c.name, f.Seq, len(f.Data))
		}
		if len(n.queued) != wantedBuffers {
			t.Errorf("%s: the driver has %d buffers back", c.name, len(n.queued))
		}
	}
}

// Where several are there the newest is taken; one that came damaged behind it
// does not count.
func TestV4L2TakesTheNewest(t *testing.T) {
	n := NewFakeNode()
	s := fake(t, n, "?format=mjpeg", camera.Options{})
	for i := range 3 {
		n.push(mjpeg(1000+i), nil)
	}
	n.push(mjpeg(1003)[:500], nil)
	n.push(mjpeg(1004), nil) // no buffer is left for it
	var f camera.Frame
	next(t, s, &f)
	if len(f.Data) != 1002 || f.Seq != 3 {
		t.Errorf("got frame %d of %d bytes", f.Seq, len(f.Data))
	}
	n.push(mjpeg(1005), nil)
	next(t, s, &f)
	if len(f.Data) != 1005 || f.Seq != 6 {
		t.Errorf("got frame %d of %d bytes, want 6: the dropped ones count", f.Seq, len(f.Data))
	}
	slices.Sort(n.queued)
	if !slices.Equal(n.queued, []uint32{0, 1, 2, 3}) {
		t.Errorf("the driver has buffers %v", n.queued)
	}
}

func TestV4L2CountsAsTheDriver(t *testing.T) {
	n := NewFakeNode()
	s := fake(t, n, "?format=mjpeg", camera.Options{})
	for _, c := range []struct {
		driver uint32
		want   uint64
	}{{1<<32 - 2, 1}, {1<<32 - 1, 2}, {1, 4}, {1, 5}, {0, 6}, {9, 15}, {1 << 20, 16}} {
		n.push(mjpeg(100), func(b *v4l2Buffer) { b.sequence = c.driver })
		var f camera.Frame
		next(t, s, &f)
		if f.Seq != c.want {
			t.Errorf("the driver's %d became %d, want %d", c.driver, f.Seq, c.want)
		}
	}
}

func TestV4L2TimeStamps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewFakeNode()
		s := fake(t, n, "?format=mjpeg", camera.Options{Stall: 10 * time.Second})
		start := time.Now()
		shift := func(d int64) func(*v4l2Buffer) { return func(b *v4l2Buffer) { b.seconds += d } }
		for _, c := range []struct {
			name  string
			alter func(b *v4l2Buffer)
			late  time.Duration // between the driver's filling and our fetching
			want  time.Duration // age
		}{
			{"at once", nil, 0, 0},
			{"later", nil, 120 * time.Millisecond, 120 * time.Millisecond},
			{"another clock", func(b *v4l2Buffer) { b.flags = 0 }, 50 * time.Millisecond, 0},
			{"the future", shift(5), 50 * time.Millisecond, 0},
			{"the far past", shift(-60), 50 * time.Millisecond, 0},
			{"nonsense", func(b *v4l2Buffer) { b.seconds = -1 << 63 }, 50 * time.Millisecond, 0},
			{"before the last one", shift(-1), 0, 0},
		} {
			n.push(mjpeg(100), c.alter)
			time.Sleep(c.late) // the bubble's clock
			var f camera.Frame
			next(t, s, &f)
			if age := time.Since(f.Captured); age != c.want {
				t.Errorf("%s: %v old, want %v", c.name, age, c.want)
			}
			if f.Captured.Before(start) {
				t.Errorf("%s: captured at %v", c.name, f.Captured)
			}
		}
	})
}

func TestV4L2Stalls(t *testing.T) {
	for _, c := range []struct {
		name string
		fill func(n *FakeNode, index uint32) []byte
		want string
	}{
		{"silent", nil, "v4l2:/dev/video0: no frame in 3s"},
		{"damaged", func(n *FakeNode, _ uint32) []byte {
			time.Sleep(time.Second) // the bubble's clock
			return []byte("no jpeg")
		}, "v4l2:/dev/video0: no whole frame in 3s, 3 damaged or cut short"},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := NewFakeNode()
			n.fill = c.fill
			s := fake(t, n, "?format=mjpeg", camera.Options{Stall: 3 * time.Second})
			start := time.Now()
			var f camera.Frame
			err := s.Next(t.Context(), &f)
			if err == nil || err.Error() != c.want {
				t.Errorf("%s: %v, want %s", c.name, err, c.want)
			}
			if took := time.Since(start); took != 3*time.Second {
				t.Errorf("%s: after %v", c.name, took)
			}
			if again := s.Next(t.Context(), &f); again == nil || again.Error() != c.want {
				t.Errorf("%s: then %v", c.name, again)
			}
		})
	}
}

// A device that fails while a Next waits, or between two, is an error that names
// the reason.
func TestV4L2Fails(t *testing.T) {
	resolution := v4l2Event{eventType: v4l2EventSourceChange, changes: v4l2ChangeResolution}
	for _, c := range []struct {
		name string
		do   func(n *FakeNode)
		want string
	}{
		{"unplugged", (*FakeNode).unplug, "the camera is gone"},
		{"queue fails", func(n *FakeNode) { n.fail[vidiocDqbuf] = []error{unix.EIO}; n.signal() }, "input/output error"},
		{"poll fails alone", func(n *FakeNode) { n.gone = true; n.fail[vidiocDqbuf] = []error{unix.EAGAIN, unix.EAGAIN}; n.signal() },
			"its stream has broken off"},
		{"signal changes", func(n *FakeNode) { n.happen(v4l2Event{eventType: 1}); n.happen(resolution) }, "the size of its frames has changed"},
		{"buffer of another", func(n *FakeNode) { n.push(nil, func(b *v4l2Buffer) { b.index = 77 }) }, "gave buffer 77 of 4"},
		{"cannot hand back", func(n *FakeNode) {
			n.fail[vidiocQbuf] = []error{unix.EINVAL}
			n.push(make([]byte, 320*240*2), nil)
		}, "invalid argument"},
		{"frames of another size", func(n *FakeNode) {
			for range oddOnes {
				n.push(make([]byte, 160*120*2), nil)
			}
		}, "the size of its frames has changed"},
	} {
		for _, waiting := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				n := NewFakeNode()
				s := fake(t, n, "?format=yuyv", camera.Options{ShortSide: 200})
				done := make(chan error, 1)
				run := func() { var f camera.Frame; done <- s.Next(t.Context(), &f) }
				if waiting {
					go run()
					synctest.Wait()
				}
				c.do(n)
				if !waiting {
					go run()
				}
				err := <-done
				if err == nil || !strings.HasPrefix(err.Error(), "v4l2:/dev/video0: ") || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%s: %v, want %s", c.name, err, c.want)
				}
				if strings.Contains(fmt.Sprint(err), "\n") {
					t.Errorf("%s: more than a line", c.name)
				}
			})
		}
	}
}

// Frames of several lengths in a row, or flagged ones, are damage, not another
// size.
func TestV4L2OddFrames(t *testing.T) {
	n := NewFakeNode()
	s := fake(t, n, "?format=yuyv", camera.Options{ShortSide: 200})
	short := func(i int, alter func(*v4l2Buffer)) { n.push(make([]byte, 10000+i), alter) }
	var f camera.Frame
	for i := range 3 { // one after another, as four buffers hold no more
		short(i, nil)
		short(i, nil)
		short(9, func(b *v4l2Buffer) { b.flags |= v4l2BufError })
		n.push(make([]byte, 320*240*2), nil)
		next(t, s, &f)
	}
	if f.Seq != 12 {
		t.Errorf("frame %d, want 12", f.Seq)
	}
}

// A Next that ctx ended leaves the camera as it was.
func TestV4L2GoesOnAfterCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewFakeNode()
		s := fake(t, n, "?format=mjpeg", camera.Options{})
		var f camera.Frame
		for i := range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if err := s.Next(ctx, &f); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("round %d: %v", i, err)
			}
			cancel()
			n.push(mjpeg(100), nil)
			next(t, s, &f)
			if f.Seq != uint64(i+1) {
				t.Errorf("frame %d", f.Seq)
			}
		}
	})
}

// A camera that cannot be as slow as it should is thinned out.
func TestV4L2Thins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewFakeNode()
		n.fill = func(*FakeNode, uint32) []byte {
			time.Sleep(time.Second / 15) // the bubble's clock
			return mjpeg(100)
		}
		n.offers[1].intervals = []v4l2Fract{{1, 15}}
		s := fake(t, n, "?format=mjpeg&fps=5", camera.Options{})
		if n.interval != (v4l2Fract{1000, 15000}) {
			t.Errorf("the driver was asked for an interval of %v", n.interval)
		}
		start := time.Now()
		var f camera.Frame
		for range 11 {
			next(t, s, &f)
		}
		if took := time.Since(start); took < 2*time.Second || took > 2200*time.Millisecond || f.Seq < 30 {
			t.Errorf("11 frames at 5 a second took %v, the last is number %d", took, f.Seq)
		}
	})
}

func TestV4L2DoesNotAllocate(t *testing.T) {
	for _, options := range []string{"?format=mjpeg", "?format=yuyv"} {
		n := NewFakeCamera(0)
		n.stride = 32
		picture := mjpeg(3000)
		if options == "?format=mjpeg" {
			n.fill = func(*FakeNode, uint32) []byte { return picture }
		}
		s := fake(t, n, options, camera.Options{})
		ctx := t.Context()
		var f camera.Frame
		var err error
		if allocated := testing.AllocsPerRun(100, func() { err = errors.Join(err, s.Next(ctx, &f)) }); allocated != 0 {
			t.Errorf("%s: %v allocations a frame", options, allocated)
		}
		if err != nil {
			t.Error(err)
		}
	}
}
