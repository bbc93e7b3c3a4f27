package v4l2

import "unsafe"

// What <linux/videodev2.h> defines, for 64-bit little-endian Linux: amd64 and
// arm64 lay these structures out alike. TestKernelHeaders compares with a C
// compiler's view of the header.

// fourcc is a pixel format's code.
type fourcc uint32

const (
	fourccMJPG fourcc = 'M' | 'J'<<8 | 'P'<<16 | 'G'<<24
	fourccJPEG fourcc = 'J' | 'P'<<8 | 'E'<<16 | 'G'<<24
	fourccYUYV fourcc = 'Y' | 'U'<<8 | 'Y'<<16 | 'V'<<24
	fourccNV12 fourcc = 'N' | 'V'<<8 | '1'<<16 | '2'<<24
	fourccYU12 fourcc = 'Y' | 'U'<<8 | '1'<<16 | '2'<<24
	fourccRGB3 fourcc = 'R' | 'G'<<8 | 'B'<<16 | '3'<<24
	fourccGREY fourcc = 'G' | 'R'<<8 | 'E'<<16 | 'Y'<<24
)

const (
	v4l2Capture   = 1 // V4L2_BUF_TYPE_VIDEO_CAPTURE
	v4l2MMAP      = 1 // V4L2_MEMORY_MMAP
	v4l2FieldNone = 1 // V4L2_FIELD_NONE
	v4l2FieldTB   = 5 // V4L2_FIELD_SEQ_TB: one field below the other
	v4l2FieldBT   = 6 // V4L2_FIELD_SEQ_BT
	v4l2Discrete  = 1 // V4L2_FRMSIZE_TYPE_DISCRETE, V4L2_FRMIVAL_TYPE_DISCRETE

	v4l2CapCapture       = 0x00000001 // V4L2_CAP_VIDEO_CAPTURE
	v4l2CapCapturePlanes = 0x00001000 // V4L2_CAP_VIDEO_CAPTURE_MPLANE
	v4l2CapMetadata      = 0x00800000 // V4L2_CAP_META_CAPTURE
	v4l2CapStreaming     = 0x04000000 // V4L2_CAP_STREAMING
	v4l2CapDevice        = 0x80000000 // V4L2_CAP_DEVICE_CAPS

	v4l2CapTimePerFrame = 0x1000 // V4L2_CAP_TIMEPERFRAME

	v4l2BufError         = 0x00000040 // V4L2_BUF_FLAG_ERROR
	v4l2BufTimeMask      = 0x0000e000 // V4L2_BUF_FLAG_TIMESTAMP_MASK
	v4l2BufTimeMonotonic = 0x00002000 // V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC

	v4l2EventSourceChange = 5 // V4L2_EVENT_SOURCE_CHANGE
	v4l2ChangeResolution  = 1 // V4L2_EVENT_SRC_CH_RESOLUTION
)

type v4l2Capability struct {
	driver       [16]byte
	card         [32]byte
	busInfo      [32]byte
	version      uint32
	capabilities uint32
	deviceCaps   uint32
	_            [3]uint32
}

type v4l2Fmtdesc struct {
	index       uint32
	bufType     uint32
	flags       uint32
	description [32]byte
	pixelformat fourcc
	mbusCode    uint32
	_           [3]uint32
}

// v4l2Frmsizeenum holds the union's larger member; a discrete size stands in its
// first two words.
type v4l2Frmsizeenum struct {
	index       uint32
	pixelFormat fourcc
	sizeType    uint32
	minWidth    uint32 // discrete: width
	maxWidth    uint32 // discrete: height
	stepWidth   uint32
	minHeight   uint32
	maxHeight   uint32
	stepHeight  uint32
	_           [2]uint32
}

type v4l2Fract struct{ numerator, denominator uint32 }

// v4l2Frmivalenum holds the union's larger member; a discrete interval is min.
type v4l2Frmivalenum struct {
	index         uint32
	pixelFormat   fourcc
	width, height uint32
	intervalType  uint32
	min, max      v4l2Fract
	step          v4l2Fract
	_             [2]uint32
}

// v4l2Format holds struct v4l2_pix_format of the union.
type v4l2Format struct {
	bufType      uint32
	_            uint32 // the union has pointers in it
	width        uint32
	height       uint32
	pixelformat  fourcc
	field        uint32
	bytesperline uint32
	sizeimage    uint32
	colorspace   uint32
	priv         uint32
	flags        uint32
	ycbcrEnc     uint32
	quantization uint32
	xferFunc     uint32
	_            [152]byte
}

// v4l2Streamparm holds struct v4l2_captureparm of the union.
type v4l2Streamparm struct {
	bufType      uint32
	capability   uint32
	capturemode  uint32
	timeperframe v4l2Fract
	extendedmode uint32
	readbuffers  uint32
	_            [176]byte
}

type v4l2Requestbuffers struct {
	count        uint32
	bufType      uint32
	memory       uint32
	capabilities uint32
	flags        uint8
	_            [3]uint8
}

type v4l2Buffer struct {
	index     uint32
	bufType   uint32
	bytesused uint32
	flags     uint32
	field     uint32
	_         uint32
	seconds   int64 // of the time stamp
	micros    int64
	timecode  [16]byte
	sequence  uint32
	memory    uint32
	offset    uint32 // of the union m, which has pointers in it
	_         uint32
	length    uint32
	_         [3]uint32
}

type v4l2EventSubscription struct {
	eventType uint32
	id        uint32
	flags     uint32
	_         [5]uint32
}

type v4l2Event struct {
	eventType uint32
	_         uint32 // the union has 64-bit numbers in it
	changes   uint32 // of the union u: struct v4l2_event_src_change
	_         [60]byte
	pending   uint32
	sequence  uint32
	seconds   int64
	nanos     int64
	id        uint32
	_         [9]uint32
}

// v4l2DVTimings is passed on as it came. The header packs it.
type v4l2DVTimings [132]byte

// Requests, by _IOR, _IOW and _IOWR of <asm-generic/ioctl.h>.
const (
	iocWrite = 1 << 30
	iocRead  = 2 << 30
	iocV     = 'V' << 8

	vidiocQuerycap           = iocRead | iocV | unsafe.Sizeof(v4l2Capability{})<<16
	vidiocEnumFmt            = iocRead | iocWrite | iocV | 2 | unsafe.Sizeof(v4l2Fmtdesc{})<<16
	vidiocGFmt               = iocRead | iocWrite | iocV | 4 | unsafe.Sizeof(v4l2Format{})<<16
	vidiocSFmt               = iocRead | iocWrite | iocV | 5 | unsafe.Sizeof(v4l2Format{})<<16
	vidiocReqbufs            = iocRead | iocWrite | iocV | 8 | unsafe.Sizeof(v4l2Requestbuffers{})<<16
	vidiocQuerybuf           = iocRead | iocWrite | iocV | 9 | unsafe.Sizeof(v4l2Buffer{})<<16
	vidiocQbuf               = iocRead | iocWrite | iocV | 15 | unsafe.Sizeof(v4l2Buffer{})<<16
	vidiocDqbuf              = iocRead | iocWrite | iocV | 17 | unsafe.Sizeof(v4l2Buffer{})<<16
	vidiocStreamon           = iocWrite | iocV | 18 | unsafe.Sizeof(int32(0))<<16
	vidiocStreamoff          = iocWrite | iocV | 19 | unsafe.Sizeof(int32(0))<<16
	vidiocGParm              = iocRead | iocWrite | iocV | 21 | unsafe.Sizeof(v4l2Streamparm{})<<16
	vidiocSParm              = iocRead | iocWrite | iocV | 22 | unsafe.Sizeof(v4l2Streamparm{})<<16
	vidiocGInput             = iocRead | iocV | 38 | unsafe.Sizeof(int32(0))<<16
	vidiocEnumFramesizes     = iocRead | iocWrite | iocV | 74 | unsafe.Sizeof(v4l2Frmsizeenum{})<<16
	vidiocEnumFrameintervals = iocRead | iocWrite | iocV | 75 | unsafe.Sizeof(v4l2Frmivalenum{})<<16
	vidiocSDVTimings         = iocRead | iocWrite | iocV | 87 | unsafe.Sizeof(v4l2DVTimings{})<<16
	vidiocDqevent            = iocRead | iocV | 89 | unsafe.Sizeof(v4l2Event{})<<16
	vidiocSubscribeEvent     = iocWrite | iocV | 90 | unsafe.Sizeof(v4l2EventSubscription{})<<16
	vidiocQueryDVTimings     = iocRead | iocV | 99 | unsafe.Sizeof(v4l2DVTimings{})<<16
)

// A machine that lays the structures out otherwise must not compile this.
var (
	_ = [1]int{}[unsafe.Sizeof(v4l2Format{})-208]
	_ = [1]int{}[unsafe.Sizeof(v4l2Buffer{})-88]
	_ = [1]int{}[unsafe.Sizeof(v4l2Event{})-136]
)
