package v4l2

import (
	"context"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"dynvit/camera"
)

// hostileNode answers as a FakeNode, with what the fuzzer makes of each answer.
// When the fuzzer's data end, the device is gone.
type hostileNode struct {
	*FakeNode
	data  []byte
	asked int
}

func (n *hostileNode) byte() byte {
	if len(n.data) == 0 {
		return 0
	}
	b := n.data[0]
	n.data = n.data[1:]
	return b
}

var hostileErrors = []error{unix.EINVAL, unix.ENOTTY, unix.EIO, unix.EAGAIN, unix.EBUSY, unix.ENODEV, unix.ENOLINK, unix.ENOSPC}

func (n *hostileNode) ioctl(request uintptr, arg unsafe.Pointer) error {
	n.asked++
	err := n.FakeNode.ioctl(request, arg)
	answer := unsafe.Slice((*byte)(arg), request>>16&0x3fff)
	switch op := n.byte(); {
	case op < 0xa0: // honest
	case op < 0xb0:
		return hostileErrors[int(op)%len(hostileErrors)]
	case op < 0xf0: // a few bytes of it are others
		at := int(n.byte()) % len(answer)
		copied := copy(answer[at:], n.data[:min(len(n.data), int(op-0xb0)%8+1)])
		n.data = n.data[copied:]
		return nil
	default: // all of it is, up to where the data end
		n.data = n.data[copy(answer, n.data):]
		return nil
	}
	return err
}

func (n *hostileNode) mmap(offset int64, length int) ([]byte, error) {
	if length > 1<<20 {
		return nil, unix.ENOMEM // for the fuzzer's sake
	}
	n.mapped++
	if i := offset / pageSize; i < int64(len(n.buffers)) && length <= len(n.buffers[i]) {
		return n.buffers[i][:length], nil
	}
	return make([]byte, length), nil
}

func (n *hostileNode) wait(time.Duration) (readiness, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.data) == 0 {
		n.gone = true
		return readyError, nil
	}
	op := n.byte()
	if op&8 != 0 {
		n.put(mjpeg(4+int(n.byte())), nil)
	}
	return readiness(op & 7), nil
}

// newHostile is small, to be quick.
func newHostile(data []byte) *hostileNode {
	n := &hostileNode{FakeNode: NewFakeNode(), data: data}
	n.offers = []fakeFormat{
		{fourccYUYV, []v4l2Frmsizeenum{size(32, 24), size(64, 48)}, []v4l2Fract{{1, 30}, {1, 15}}},
		{fourccMJPG, []v4l2Frmsizeenum{size(32, 24), size(128, 72)}, []v4l2Fract{{1, 30}}},
	}
	return n
}

// FuzzV4L2 opens and reads a camera whose driver says anything.
func FuzzV4L2(f *testing.F) {
	// Honest, an error, the whole of an answer, bytes in the midst of one; each at
	// several steps of the setting up.
	f.Add([]byte{}, "")
	f.Add([]byte("\x00\xa0"), "?format=mjpeg")
	f.Add([]byte("\x00\x00\xf0\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00everything"), "?size=64x48")
	f.Add([]byte("\x00\x00\x00\xb7\x0c\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\xb3\x14\x00\x00\x00\x00"), "?fps=5")
	f.Add([]byte("\x00\x00\x00\xf1\x00\x00\x00\x00YUYV\x03\x00\x00\x00\x10\x00\x00\x00\x00\x10\x00\x00\x02\x00\x00\x00\x10\x00\x00\x00\x00\x10\x00\x00\x02\x00\x00\x00"), "")
	f.Add(append(make([]byte, 40), []byte("\x09\x80\x00\x09\x40\x00\xb3\x04\x00\x00\x00\x7f\x0f\x0f\x09\xff\x00\x00")...), "?format=mjpeg")
	f.Add(append(make([]byte, 33), 0xb1, 0x10, 0, 4, 0, 0, 0, 0, 9, 90, 0xb0, 0, 3), "?format=yuyv&size=32x24")
	f.Fuzz(func(t *testing.T, data []byte, options string) {
		if len(data) > 4096 || options != "" && options[0] != '?' {
			return
		}
		n := newHostile(data)
		spec, err := camera.Schemes{fakeScheme(n)}.Parse("v4l2:/dev/video0" + options)
		if err != nil {
			return
		}
		readHostile(t, n, spec)
		n = newHostile(data)
		d := Device{Path: "/dev/video0"}
		d.query(func(string) (videoNode, error) { return n, nil })
		text := []string{d.Name, d.Driver, d.Bus}
		for _, f := range d.Formats {
			text = append(text, f.FourCC, f.Description)
		}
		if s := strings.Join(text, " "); strings.ContainsAny(s, "\n\r\x00\x1b") || len(d.Formats) > maxFormats || !n.closed {
			t.Errorf("%q, closed %v", s, n.closed)
		}
	})
}

func readHostile(t *testing.T, n *hostileNode, spec camera.Spec) {
	s, err := spec.Open(camera.Options{ShortSide: 20, Stall: time.Hour})
	if err == nil {
		var f camera.Frame
		last := uint64(0)
		for range 32 {
			if err = s.Next(context.Background(), &f); err != nil {
				break
			}
			shape := s.(*source).shape
			if f.Seq <= last || len(f.Data) < shape.need && f.Format == camera.JPEG || f.Format != camera.JPEG && len(f.Data) != shape.packed {
				t.Fatalf("frame %d after %d, %v of %dx%d with %d bytes", f.Seq, last, f.Format, f.Width, f.Height, len(f.Data))
			}
			last = f.Seq
		}
		s.Close()
	}
	if err != nil && (strings.ContainsAny(err.Error(), "\n\r\x1b") || !strings.HasPrefix(err.Error(), "v4l2:/dev/video0: ")) {
		t.Errorf("%q", err)
	}
	n.gone = false // what Leaked asks of a device that was there to the end
	if left := n.Leaked(); left != "" && left != "still streaming" {
		t.Errorf("%v: %s", err, left)
	}
	most := 1000 + maxFormats + len(pixels)*maxSizes*(maxRates+1)
	if n.asked > most {
		t.Errorf("%d questions", n.asked)
	}
}
