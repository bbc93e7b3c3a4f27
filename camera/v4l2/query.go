package v4l2

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"dynvit/camera"
	"dynvit/camera/internal/option"
	"dynvit/printable"
)

// Bounds on what a driver may enumerate. The kernel's own test driver, the most
// talkative one, has 90 formats, six sizes and ten rates.
const (
	maxFormats = 256
	maxSizes   = 128
	maxRates   = 64
)

// DeviceFormat is a pixel format that a device offers.
type DeviceFormat struct {
	FourCC      string        // the kernel's code, such as YUYV
	Description string        // the driver's words
	Format      camera.Format // what frames of it are; 0: not read by this program
	Option      string        // the same as the URI's option format has it, such as yuyv; "": not read
	Sizes       []DeviceSize  // where the device says them, for formats that are read

	code fourcc
}

// DeviceSize is a frame size in pixels, or a range of them.
type DeviceSize struct {
	Width, Height       int       // of a range: the smallest
	MaxWidth, MaxHeight int       // of a range: the largest; else as above
	StepX, StepY        int       // of a range: Width, Width+StepX, …; else 0
	Rates               []float64 // frames a second, falling; of a range: those at its largest size
}

// deviceInfo is what a device says of itself.
type deviceInfo struct {
	name, driver, bus string
	capabilities      uint32
}

// pixels are the formats that are read, in the order of preference among raw
// ones of one size: fewer bytes first. GREY is last: it has no colours.
var pixels = []struct {
	code   fourcc
	format camera.Format
	name   string // as in the option format
}{
	{fourccNV12, camera.NV12, "nv12"},
	{fourccYU12, camera.I420, "i420"},
	{fourccYUYV, camera.YUYV, "yuyv"},
	{fourccRGB3, camera.RGB24, "rgb24"},
	{fourccMJPG, camera.JPEG, "mjpeg"},
	{fourccJPEG, camera.JPEG, "mjpeg"},
	{fourccGREY, camera.GREY, "grey"},
}

// formatOf is the frame format of a pixel format, and its place in the order of
// preference; 0 where it is not read.
func formatOf(code fourcc) (format camera.Format, rank int) {
	for i, p := range pixels {
		if p.code == code {
			return p.format, i
		}
	}
	return 0, len(pixels)
}

func (c fourcc) String() string {
	const bigEndian = 1 << 31
	text := printableText([]byte{byte(c), byte(c >> 8), byte(c >> 16), byte(c >> 24 & 0x7f)})
	if c&bigEndian != 0 {
		text += "-BE"
	}
	return text
}

// printableText is a driver's string up to its end, with a question mark for each
// character that does not show.
func printableText(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if printable.Hidden(r) {
			return '?'
		}
		return r
	}, string(b)))
}

// queryInfo asks what the device is. It is an error where frames cannot be had
// of it.
func queryInfo(n videoNode) (deviceInfo, error) {
	var c v4l2Capability
	if err := n.ioctl(vidiocQuerycap, unsafe.Pointer(&c)); err != nil {
		if err == unix.ENOTTY || err == unix.EINVAL {
			return deviceInfo{}, errors.New("not a video device")
		}
		return deviceInfo{}, err
	}
	info := deviceInfo{
		name: printableText(c.card[:]), driver: printableText(c.driver[:]), bus: printableText(c.busInfo[:]),
		capabilities: c.capabilities,
	}
	if c.capabilities&v4l2CapDevice != 0 {
		info.capabilities = c.deviceCaps // of this node, not of all the device's
	}
	return info, info.check()
}

func (i deviceInfo) check() error {
	switch has := i.capabilities; {
	case has&v4l2CapCapture != 0 && has&v4l2CapStreaming != 0:
		return nil
	case has&v4l2CapCapture != 0:
		return errors.New("no camera that streams: it can only be read byte by byte")
	case has&v4l2CapCapturePlanes != 0:
		return errors.New("its frames have several planes in memory, which is not supported")
	case has&v4l2CapMetadata != 0:
		return errors.New("not a camera: it gives the metadata of one, try the node before")
	}
	return errors.New("not a camera: it captures no video")
}

// queryFormats lists what the device offers. A driver that cannot say its sizes
// or rates leaves these lists empty.
func queryFormats(n videoNode) ([]DeviceFormat, error) {
	var list []DeviceFormat
	for i := range uint32(maxFormats) {
		d := v4l2Fmtdesc{index: i, bufType: v4l2Capture}
		if err := n.ioctl(vidiocEnumFmt, unsafe.Pointer(&d)); err == unix.EINVAL || err == unix.ENOTTY {
			break
		} else if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(list, func(f DeviceFormat) bool { return f.code == d.pixelformat }) {
			continue
		}
		f := DeviceFormat{
			FourCC: d.pixelformat.String(), Description: printableText(d.description[:]),
			code: d.pixelformat,
		}
		if format, rank := formatOf(d.pixelformat); format != 0 {
			f.Format, f.Option, f.Sizes = format, pixels[rank].name, querySizes(n, f.code)
		}
		list = append(list, f)
	}
	return list, nil
}

func querySizes(n videoNode, code fourcc) []DeviceSize {
	var list []DeviceSize
	for i := range uint32(maxSizes) {
		d := v4l2Frmsizeenum{index: i, pixelFormat: code}
		if err := n.ioctl(vidiocEnumFramesizes, unsafe.Pointer(&d)); err != nil {
			break
		}
		if s, ok := d.size(); ok {
			s.Rates = queryRates(n, code, s.MaxWidth, s.MaxHeight)
			list = append(list, s)
		}
		if d.sizeType != v4l2Discrete {
			break // a range is all there is
		}
	}
	return list
}

// size is what the answer says; ok is false where it makes no sense.
func (d *v4l2Frmsizeenum) size() (s DeviceSize, ok bool) {
	if d.sizeType == v4l2Discrete {
		d.minHeight, d.maxHeight = d.maxWidth, d.maxWidth // the union's other member
		d.maxWidth, d.stepWidth, d.stepHeight = d.minWidth, 0, 0
	} else {
		d.minWidth, d.stepWidth = max(1, d.minWidth), max(1, d.stepWidth)
		d.minHeight, d.stepHeight = max(1, d.minHeight), max(1, d.stepHeight)
	}
	if min(d.minWidth, d.minHeight) < 1 || d.minWidth > d.maxWidth || d.minHeight > d.maxHeight ||
		max(d.stepWidth, d.stepHeight) > math.MaxInt32 || max(d.minWidth, d.minHeight) > camera.MaxSide {
		return DeviceSize{}, false
	}
	return DeviceSize{
		Width: int(d.minWidth), Height: int(d.minHeight),
		MaxWidth: int(min(d.maxWidth, camera.MaxSide)), MaxHeight: int(min(d.maxHeight, camera.MaxSide)),
		StepX: int(d.stepWidth), StepY: int(d.stepHeight),
	}, true
}

// queryRates lists rates, falling; of a range the two ends.
func queryRates(n videoNode, code fourcc, width, height int) []float64 {
	var list []float64
	for i := range uint32(maxRates) {
		d := v4l2Frmivalenum{index: i, pixelFormat: code, width: uint32(width), height: uint32(height)}
		if err := n.ioctl(vidiocEnumFrameintervals, unsafe.Pointer(&d)); err != nil {
			break
		}
		list = appendRate(list, d.min)
		if d.intervalType != v4l2Discrete {
			list = appendRate(list, d.max)
			break
		}
	}
	slices.SortFunc(list, func(a, b float64) int { return cmp.Compare(b, a) })
	return slices.Compact(list)
}

func appendRate(list []float64, interval v4l2Fract) []float64 {
	if r := interval.rate(); r != 0 {
		return append(list, r)
	}
	return list
}

// rate is frames a second to three places; 0 where the interval makes no sense.
func (f v4l2Fract) rate() float64 {
	if f.numerator == 0 {
		return 0
	}
	r := float64(f.denominator) / float64(f.numerator)
	if r > option.MaxRate {
		return 0
	}
	return math.Round(r*1000) / 1000
}

// String is 640x480, or 16x16-4096x2160 for a range.
func (s DeviceSize) String() string {
	if s.StepX == 0 && s.StepY == 0 {
		return fmt.Sprintf("%dx%d", s.Width, s.Height)
	}
	return fmt.Sprintf("%dx%d-%dx%d", s.Width, s.Height, s.MaxWidth, s.MaxHeight)
}
