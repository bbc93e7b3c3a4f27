package v4l2

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"dynvit/camera"
)

// FakeNode is a video device that does as a test says: a driver's side of the
// requests that a source makes. Its exported names are for tests outside the
// package. It works inside a testing/synctest bubble if it was made there.
type FakeNode struct {
	card, driver, bus string
	caps              uint32
	offers            []fakeFormat
	stride            int                                    // bytes of padding behind each row
	endless           bool                                   // enumerations never end
	fail              map[uintptr][]error                    // answers to a request, before it is obeyed
	twist             map[uintptr]func(any)                  // changes an answer: of S_FMT, say
	fill              func(n *FakeNode, index uint32) []byte // what each buffer gets when nobody pushes
	lateness          time.Duration                          // of the clock of time stamps

	mu         sync.Mutex
	format     v4l2Format
	interval   v4l2Fract
	buffers    [][]byte
	queued     []uint32
	filled     []v4l2Buffer
	events     []v4l2Event
	sequence   uint32 // of the next frame
	input      int32
	subscribed []v4l2EventSubscription
	on, gone   bool
	calls      map[uintptr]int
	mapped     int
	closed     bool
	changed    chan struct{} // holds one: look again
	start      time.Time
}

type fakeFormat struct {
	code      fourcc
	sizes     []v4l2Frmsizeenum
	intervals []v4l2Fract // of every size
}

func size(width, height uint32) v4l2Frmsizeenum {
	return v4l2Frmsizeenum{sizeType: v4l2Discrete, minWidth: width, maxWidth: height}
}

func sizeRange(minW, maxW, stepW, minH, maxH, stepH uint32) v4l2Frmsizeenum {
	return v4l2Frmsizeenum{sizeType: 3, minWidth: minW, maxWidth: maxW, stepWidth: stepW, minHeight: minH, maxHeight: maxH, stepHeight: stepH}
}

// NewFakeNode is a USB camera: YUYV slow when large, MJPEG fast.
func NewFakeNode() *FakeNode {
	return &FakeNode{
		card: "Fake Camera", driver: "fakevideo", bus: "usb-1.2",
		caps: v4l2CapCapture | v4l2CapStreaming,
		offers: []fakeFormat{
			{fourccYUYV, []v4l2Frmsizeenum{size(320, 240), size(640, 480)}, []v4l2Fract{{1, 30}, {1, 15}}},
			{fourccMJPG, []v4l2Frmsizeenum{size(320, 240), size(640, 480), size(1280, 720)}, []v4l2Fract{{1, 30}}},
		},
		fail: map[uintptr][]error{}, twist: map[uintptr]func(any){},
		calls:   map[uintptr]int{},
		changed: make(chan struct{}, 1),
		start:   time.Now(),
	}
}

// NewFakeCamera gives frames of its own, as fast as they are taken; with limit not
// 0 so many, and then stalls.
func NewFakeCamera(limit int) *FakeNode {
	n := NewFakeNode()
	n.fill = func(n *FakeNode, index uint32) []byte {
		if limit > 0 && int(n.sequence) >= limit {
			return nil
		}
		return n.buffers[index][:n.format.sizeimage]
	}
	return n
}

// onNode is a target whose device is a test's.
type onNode struct {
	*target
	node videoNode
}

func (t onNode) Open(o camera.Options) (camera.Source, error) {
	return t.openOn(o, func(string) (videoNode, error) { return t.node, nil })
}

// fakeScheme is Scheme with n in place of every device.
func fakeScheme(n videoNode) camera.Scheme {
	s := Scheme()
	s.Parse = func(name, text, options string) (camera.Target, error) {
		t, err := parse(name, text, options)
		if err != nil {
			return nil, err
		}
		return onNode{t.(*target), n}, nil
	}
	return s
}

// OpenFake opens a v4l2: URI with n in place of the kernel's device.
func OpenFake(uri string, o camera.Options, n *FakeNode) (camera.Source, error) {
	return camera.Schemes{fakeScheme(n)}.Open(uri, o)
}

// Leaked says what a closed device still has; "" if nothing.
func (n *FakeNode) Leaked() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case !n.closed:
		return "not closed"
	case n.mapped != 0:
		return fmt.Sprintf("%d buffers still mapped", n.mapped)
	case n.on && !n.gone:
		return "still streaming"
	}
	return ""
}

// push has the driver fill the next queued buffer, or drop the frame where it has
// none. alter, if any, changes what goes with it.
func (n *FakeNode) push(data []byte, alter func(b *v4l2Buffer)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.put(data, alter)
	n.signal()
}

// put needs n.mu.
func (n *FakeNode) put(data []byte, alter func(b *v4l2Buffer)) {
	n.sequence++
	if len(n.queued) == 0 {
		return
	}
	now := n.monotonic()
	b := v4l2Buffer{
		index: n.queued[0], bytesused: uint32(len(data)), sequence: n.sequence - 1, flags: v4l2BufTimeMonotonic,
		seconds: int64(now / time.Second), micros: int64(now % time.Second / time.Microsecond),
	}
	n.queued = n.queued[:copy(n.queued, n.queued[1:])]
	copy(n.buffers[b.index], data)
	n.filled = append(n.filled, b)
	if alter != nil {
		alter(&n.filled[len(n.filled)-1])
	}
}

// signal ends a wait.
func (n *FakeNode) signal() {
	select {
	case n.changed <- struct{}{}:
	default:
	}
}

func (n *FakeNode) unplug() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.gone, n.filled = true, nil
	n.signal()
}

func (n *FakeNode) happen(e v4l2Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.events = append(n.events, e)
	n.signal()
}

func (n *FakeNode) wake() { n.signal() }

func (n *FakeNode) monotonic() time.Duration { return time.Hour + time.Since(n.start) - n.lateness }

func (n *FakeNode) wait(d time.Duration) (readiness, error) {
	if r := n.look(); r != 0 {
		return r, nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-n.changed:
	case <-timer.C:
	}
	return n.look(), nil
}

func (n *FakeNode) look() (r readiness) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.gone {
		return readyError
	}
	if n.fill != nil && n.on && len(n.filled) == 0 && len(n.queued) > 0 {
		if data := n.fill(n, n.queued[0]); data != nil {
			n.put(data, nil)
		}
	}
	if len(n.filled) > 0 {
		r |= readyBuffer
	}
	if len(n.events) > 0 {
		r |= readyEvent
	}
	return r
}

func (n *FakeNode) mmap(offset int64, length int) ([]byte, error) {
	if err := n.failure(^uintptr(0)); err != nil {
		return nil, err
	}
	n.mapped++
	return n.buffers[offset/pageSize][:length], nil
}

func (n *FakeNode) munmap([]byte) error {
	n.mapped--
	return nil
}

func (n *FakeNode) close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	return nil
}

const pageSize = 4096

// failure is the next scripted answer to a request.
func (n *FakeNode) failure(request uintptr) error {
	list := n.fail[request]
	if len(list) == 0 {
		return nil
	}
	n.fail[request] = list[1:]
	return list[0]
}

func (n *FakeNode) ioctl(request uintptr, arg unsafe.Pointer) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calls[request]++
	if err := n.failure(request); err != nil {
		return err
	}
	if n.gone || n.closed {
		return unix.ENODEV
	}
	return n.obey(request, arg)
}

func (n *FakeNode) obey(request uintptr, arg unsafe.Pointer) error {
	switch request {
	case vidiocQuerycap:
		c := (*v4l2Capability)(arg)
		copy(c.card[:], n.card)
		copy(c.driver[:], n.driver)
		copy(c.busInfo[:], n.bus)
		c.capabilities, c.deviceCaps = v4l2CapDevice|v4l2CapMetadata, n.caps
	case vidiocEnumFmt:
		return n.enumFormat((*v4l2Fmtdesc)(arg))
	case vidiocEnumFramesizes:
		return n.enumSize((*v4l2Frmsizeenum)(arg))
	case vidiocEnumFrameintervals:
		return n.enumInterval((*v4l2Frmivalenum)(arg))
	case vidiocGFmt:
		*(*v4l2Format)(arg) = n.format
	case vidiocSFmt:
		n.setFormat((*v4l2Format)(arg))
	case vidiocGParm, vidiocSParm:
		p := (*v4l2Streamparm)(arg)
		if request == vidiocSParm {
			n.interval = p.timeperframe
		}
		p.capability, p.timeperframe = v4l2CapTimePerFrame, n.interval
	case vidiocReqbufs:
		n.request((*v4l2Requestbuffers)(arg))
	case vidiocQuerybuf:
		b := (*v4l2Buffer)(arg)
		if int(b.index) >= len(n.buffers) {
			return unix.EINVAL
		}
		b.length, b.offset = uint32(len(n.buffers[b.index])), b.index*pageSize
		n.bend(request, b)
	case vidiocQbuf:
		b := (*v4l2Buffer)(arg)
		if int(b.index) >= len(n.buffers) || slices.Contains(n.queued, b.index) {
			return unix.EINVAL
		}
		n.queued = append(n.queued, b.index)
	case vidiocDqbuf:
		return n.dequeue((*v4l2Buffer)(arg))
	case vidiocStreamon:
		n.on = true
	case vidiocStreamoff:
		n.on = false
	case vidiocGInput:
		*(*int32)(arg) = n.input
	case vidiocSubscribeEvent:
		n.subscribed = append(n.subscribed, *(*v4l2EventSubscription)(arg))
	case vidiocDqevent:
		if len(n.events) == 0 {
			return unix.ENOENT
		}
		*(*v4l2Event)(arg) = n.events[0]
		n.events = n.events[1:]
	default:
		return unix.ENOTTY
	}
	return nil
}

// bend applies the test's twist to an answer.
func (n *FakeNode) bend(request uintptr, answer any) {
	if f := n.twist[request]; f != nil {
		f(answer)
	}
}

func (n *FakeNode) enumFormat(d *v4l2Fmtdesc) error {
	i := int(d.index)
	if n.endless {
		d.pixelformat = fourcc(0x41414141 + i)
		return nil
	}
	if i >= len(n.offers) {
		return unix.EINVAL
	}
	d.pixelformat = n.offers[i].code
	copy(d.description[:], "the "+d.pixelformat.String())
	return nil
}

func (n *FakeNode) offer(code fourcc) *fakeFormat {
	for i := range n.offers {
		if n.offers[i].code == code {
			return &n.offers[i]
		}
	}
	return &fakeFormat{}
}

func (n *FakeNode) enumSize(d *v4l2Frmsizeenum) error {
	list := n.offer(d.pixelFormat).sizes
	if int(d.index) >= len(list) {
		return unix.EINVAL
	}
	index, code := d.index, d.pixelFormat
	*d = list[index]
	d.index, d.pixelFormat = index, code
	return nil
}

func (n *FakeNode) enumInterval(d *v4l2Frmivalenum) error {
	list := n.offer(d.pixelFormat).intervals
	if int(d.index) >= len(list) {
		return unix.EINVAL
	}
	d.intervalType, d.min = v4l2Discrete, list[d.index]
	return nil
}

// setFormat lays frames out, with the stride that the test wants.
func (n *FakeNode) setFormat(f *v4l2Format) {
	format, _ := formatOf(f.pixelformat)
	if format == camera.JPEG {
		f.sizeimage = f.width * f.height
	} else {
		f.bytesperline = f.width*uint32(bytesPerPixel(format)) + uint32(n.stride)
		f.sizeimage = f.bytesperline * f.height
		if format == camera.NV12 || format == camera.I420 {
			f.sizeimage += f.sizeimage / 2
		}
	}
	n.bend(vidiocSFmt, f)
	n.format = *f
}

func (n *FakeNode) request(r *v4l2Requestbuffers) {
	n.bend(vidiocReqbufs, r)
	n.buffers, n.queued, n.filled = nil, nil, nil
	for range r.count {
		n.buffers = append(n.buffers, bytes.Repeat([]byte{0xee}, int(min(n.format.sizeimage, 8<<20))+64))
	}
	n.queued = make([]uint32, 0, 64) // so that a test of allocations sees none of ours
	n.filled = make([]v4l2Buffer, 0, 64)
}

func (n *FakeNode) dequeue(b *v4l2Buffer) error {
	if len(n.filled) == 0 {
		return unix.EAGAIN
	}
	*b = n.filled[0]
	n.filled = n.filled[:copy(n.filled, n.filled[1:])]
	return nil
}

// padded is a raw frame as the fake's driver lays it out: packed rows with the
// padding behind each.
func (n *FakeNode) padded(packed []byte) []byte {
	w, h := int(n.format.width), int(n.format.height)
	format, _ := formatOf(n.format.pixelformat)
	var out []byte
	row := func(count, size, pad int) {
		for range count {
			out = append(out, packed[:size]...)
			out = append(out, bytes.Repeat([]byte{0xdd}, pad)...)
			packed = packed[size:]
		}
	}
	row(h, w*bytesPerPixel(format), n.stride)
	switch format {
	case camera.NV12:
		row(h/2, w, n.stride)
	case camera.I420:
		row(h, w/2, n.stride/2)
	}
	return out
}

// numbered is bytes that are not alike.
func numbered(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(binary.LittleEndian.Uint32([]byte{byte(i), byte(i >> 8), byte(i >> 16), 0}) * 2654435761 >> 24)
	}
	return b
}
