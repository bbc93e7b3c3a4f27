package v4l2

import (
	"dynvit/internal/needs"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unsafe"
)

// kernel is what abi.go says of <linux/videodev2.h>: a C expression and its
// value.
var kernel = []struct {
	expression string
	value      uintptr
}{
	{"sizeof(struct v4l2_capability)", unsafe.Sizeof(v4l2Capability{})},
	{"offsetof(struct v4l2_capability, card)", unsafe.Offsetof(v4l2Capability{}.card)},
	{"offsetof(struct v4l2_capability, capabilities)", unsafe.Offsetof(v4l2Capability{}.capabilities)},
	{"offsetof(struct v4l2_capability, device_caps)", unsafe.Offsetof(v4l2Capability{}.deviceCaps)},
	{"sizeof(struct v4l2_fmtdesc)", unsafe.Sizeof(v4l2Fmtdesc{})},
	{"offsetof(struct v4l2_fmtdesc, description)", unsafe.Offsetof(v4l2Fmtdesc{}.description)},
	{"offsetof(struct v4l2_fmtdesc, pixelformat)", unsafe.Offsetof(v4l2Fmtdesc{}.pixelformat)},
	{"sizeof(struct v4l2_frmsizeenum)", unsafe.Sizeof(v4l2Frmsizeenum{})},
	{"offsetof(struct v4l2_frmsizeenum, discrete.width)", unsafe.Offsetof(v4l2Frmsizeenum{}.minWidth)},
	{"offsetof(struct v4l2_frmsizeenum, discrete.height)", unsafe.Offsetof(v4l2Frmsizeenum{}.maxWidth)},
	{"offsetof(struct v4l2_frmsizeenum, stepwise.min_width)", unsafe.Offsetof(v4l2Frmsizeenum{}.minWidth)},
	{"offsetof(struct v4l2_frmsizeenum, stepwise.max_width)", unsafe.Offsetof(v4l2Frmsizeenum{}.maxWidth)},
	{"offsetof(struct v4l2_frmsizeenum, stepwise.step_width)", unsafe.Offsetof(v4l2Frmsizeenum{}.stepWidth)},
	{"offsetof(struct v4l2_frmsizeenum, stepwise.min_height)", unsafe.Offsetof(v4l2Frmsizeenum{}.minHeight)},
	{"offsetof(struct v4l2_frmsizeenum, stepwise.max_height)", unsafe.Offsetof(v4l2Frmsizeenum{}.maxHeight)},
	{"offsetof(struct v4l2_frmsizeenum, stepwise.step_height)", unsafe.Offsetof(v4l2Frmsizeenum{}.stepHeight)},
	{"sizeof(struct v4l2_frmivalenum)", unsafe.Sizeof(v4l2Frmivalenum{})},
	{"offsetof(struct v4l2_frmivalenum, type)", unsafe.Offsetof(v4l2Frmivalenum{}.intervalType)},
	{"offsetof(struct v4l2_frmivalenum, discrete)", unsafe.Offsetof(v4l2Frmivalenum{}.min)},
	{"offsetof(struct v4l2_frmivalenum, stepwise.min)", unsafe.Offsetof(v4l2Frmivalenum{}.min)},
	{"offsetof(struct v4l2_frmivalenum, stepwise.max)", unsafe.Offsetof(v4l2Frmivalenum{}.max)},
	{"sizeof(struct v4l2_format)", unsafe.Sizeof(v4l2Format{})},
	{"offsetof(struct v4l2_format, fmt.pix.width)", unsafe.Offsetof(v4l2Format{}.width)},
	{"offsetof(struct v4l2_format, fmt.pix.pixelformat)", unsafe.Offsetof(v4l2Format{}.pixelformat)},
	{"offsetof(struct v4l2_format, fmt.pix.field)", unsafe.Offsetof(v4l2Format{}.field)},
	{"offsetof(struct v4l2_format, fmt.pix.bytesperline)", unsafe.Offsetof(v4l2Format{}.bytesperline)},
	{"offsetof(struct v4l2_format, fmt.pix.sizeimage)", unsafe.Offsetof(v4l2Format{}.sizeimage)},
	{"offsetof(struct v4l2_format, fmt.pix.xfer_func)", unsafe.Offsetof(v4l2Format{}.xferFunc)},
	{"sizeof(struct v4l2_streamparm)", unsafe.Sizeof(v4l2Streamparm{})},
	{"offsetof(struct v4l2_streamparm, parm.capture.capability)", unsafe.Offsetof(v4l2Streamparm{}.capability)},
	{"offsetof(struct v4l2_streamparm, parm.capture.timeperframe)", unsafe.Offsetof(v4l2Streamparm{}.timeperframe)},
	{"sizeof(struct v4l2_requestbuffers)", unsafe.Sizeof(v4l2Requestbuffers{})},
	{"offsetof(struct v4l2_requestbuffers, memory)", unsafe.Offsetof(v4l2Requestbuffers{}.memory)},
	{"sizeof(struct v4l2_buffer)", unsafe.Sizeof(v4l2Buffer{})},
	{"offsetof(struct v4l2_buffer, bytesused)", unsafe.Offsetof(v4l2Buffer{}.bytesused)},
	{"offsetof(struct v4l2_buffer, flags)", unsafe.Offsetof(v4l2Buffer{}.flags)},
	{"offsetof(struct v4l2_buffer, timestamp.tv_sec)", unsafe.Offsetof(v4l2Buffer{}.seconds)},
	{"offsetof(struct v4l2_buffer, timestamp.tv_usec)", unsafe.Offsetof(v4l2Buffer{}.micros)},
	{"offsetof(struct v4l2_buffer, sequence)", unsafe.Offsetof(v4l2Buffer{}.sequence)},
	{"offsetof(struct v4l2_buffer, memory)", unsafe.Offsetof(v4l2Buffer{}.memory)},
	{"offsetof(struct v4l2_buffer, m.offset)", unsafe.Offsetof(v4l2Buffer{}.offset)},
	{"offsetof(struct v4l2_buffer, length)", unsafe.Offsetof(v4l2Buffer{}.length)},
	{"sizeof(struct v4l2_event_subscription)", unsafe.Sizeof(v4l2EventSubscription{})},
	{"sizeof(struct v4l2_event)", unsafe.Sizeof(v4l2Event{})},
	{"offsetof(struct v4l2_event, u.src_change.changes)", unsafe.Offsetof(v4l2Event{}.changes)},
	{"offsetof(struct v4l2_event, pending)", unsafe.Offsetof(v4l2Event{}.pending)},
	{"offsetof(struct v4l2_event, timestamp)", unsafe.Offsetof(v4l2Event{}.seconds)},
	{"sizeof(struct v4l2_dv_timings)", unsafe.Sizeof(v4l2DVTimings{})},

	{"VIDIOC_QUERYCAP", vidiocQuerycap}, {"VIDIOC_ENUM_FMT", vidiocEnumFmt},
	{"VIDIOC_G_FMT", vidiocGFmt}, {"VIDIOC_S_FMT", vidiocSFmt},
	{"VIDIOC_REQBUFS", vidiocReqbufs}, {"VIDIOC_QUERYBUF", vidiocQuerybuf},
	{"VIDIOC_QBUF", vidiocQbuf}, {"VIDIOC_DQBUF", vidiocDqbuf},
	{"VIDIOC_STREAMON", vidiocStreamon}, {"VIDIOC_STREAMOFF", vidiocStreamoff},
	{"VIDIOC_G_INPUT", vidiocGInput}, {"offsetof(struct v4l2_event_subscription, id)", unsafe.Offsetof(v4l2EventSubscription{}.id)},
	{"VIDIOC_G_PARM", vidiocGParm}, {"VIDIOC_S_PARM", vidiocSParm},
	{"VIDIOC_ENUM_FRAMESIZES", vidiocEnumFramesizes}, {"VIDIOC_ENUM_FRAMEINTERVALS", vidiocEnumFrameintervals},
	{"VIDIOC_S_DV_TIMINGS", vidiocSDVTimings}, {"VIDIOC_QUERY_DV_TIMINGS", vidiocQueryDVTimings},
	{"VIDIOC_DQEVENT", vidiocDqevent}, {"VIDIOC_SUBSCRIBE_EVENT", vidiocSubscribeEvent},

	{"V4L2_PIX_FMT_MJPEG", uintptr(fourccMJPG)}, {"V4L2_PIX_FMT_JPEG", uintptr(fourccJPEG)},
	{"V4L2_PIX_FMT_YUYV", uintptr(fourccYUYV)}, {"V4L2_PIX_FMT_NV12", uintptr(fourccNV12)},
	{"V4L2_PIX_FMT_YUV420", uintptr(fourccYU12)}, {"V4L2_PIX_FMT_RGB24", uintptr(fourccRGB3)},
	{"V4L2_PIX_FMT_GREY", uintptr(fourccGREY)},
	{"V4L2_BUF_TYPE_VIDEO_CAPTURE", v4l2Capture}, {"V4L2_MEMORY_MMAP", v4l2MMAP},
	{"V4L2_FIELD_NONE", v4l2FieldNone}, {"V4L2_FIELD_SEQ_TB", v4l2FieldTB}, {"V4L2_FIELD_SEQ_BT", v4l2FieldBT},
	{"V4L2_FRMSIZE_TYPE_DISCRETE", v4l2Discrete}, {"V4L2_FRMIVAL_TYPE_DISCRETE", v4l2Discrete},
	{"V4L2_CAP_VIDEO_CAPTURE", v4l2CapCapture}, {"V4L2_CAP_VIDEO_CAPTURE_MPLANE", v4l2CapCapturePlanes},
	{"V4L2_CAP_META_CAPTURE", v4l2CapMetadata}, {"V4L2_CAP_STREAMING", v4l2CapStreaming},
	{"V4L2_CAP_DEVICE_CAPS", v4l2CapDevice}, {"V4L2_CAP_TIMEPERFRAME", v4l2CapTimePerFrame},
	{"V4L2_BUF_FLAG_ERROR", v4l2BufError}, {"V4L2_BUF_FLAG_TIMESTAMP_MASK", v4l2BufTimeMask},
	{"V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC", v4l2BufTimeMonotonic},
	{"V4L2_EVENT_SOURCE_CHANGE", v4l2EventSourceChange}, {"V4L2_EVENT_SRC_CH_RESOLUTION", v4l2ChangeResolution},
}

// TestKernelNumbers holds the values that TestKernelHeaders found, on every
// machine: the same for amd64 and arm64.
func TestKernelNumbers(t *testing.T) {
	for name, want := range map[string]uintptr{
		"VIDIOC_QUERYCAP": 0x80685600, "VIDIOC_ENUM_FMT": 0xc0405602, "VIDIOC_G_FMT": 0xc0d05604, "VIDIOC_S_FMT": 0xc0d05605,
		"VIDIOC_REQBUFS": 0xc0145608, "VIDIOC_QUERYBUF": 0xc0585609, "VIDIOC_QBUF": 0xc058560f, "VIDIOC_DQBUF": 0xc0585611,
		"VIDIOC_G_INPUT": 0x80045626, "VIDIOC_STREAMON": 0x40045612, "VIDIOC_STREAMOFF": 0x40045613, "VIDIOC_G_PARM": 0xc0cc5615, "VIDIOC_S_PARM": 0xc0cc5616,
		"VIDIOC_ENUM_FRAMESIZES": 0xc02c564a, "VIDIOC_ENUM_FRAMEINTERVALS": 0xc034564b, "VIDIOC_S_DV_TIMINGS": 0xc0845657,
		"VIDIOC_DQEVENT": 0x80885659, "VIDIOC_SUBSCRIBE_EVENT": 0x4020565a, "VIDIOC_QUERY_DV_TIMINGS": 0x80845663,
		"offsetof(struct v4l2_buffer, timestamp.tv_sec)": 24, "offsetof(struct v4l2_buffer, sequence)": 56,
		"offsetof(struct v4l2_buffer, m.offset)": 64, "offsetof(struct v4l2_buffer, length)": 72,
		"offsetof(struct v4l2_format, fmt.pix.width)": 8, "offsetof(struct v4l2_event, pending)": 72,
	} {
		found := false
		for _, k := range kernel {
			if k.expression == name {
				found = true
				if k.value != want {
					t.Errorf("%s is %#x, want %#x", name, k.value, want)
				}
			}
		}
		if !found {
			t.Errorf("%s is not in the list", name)
		}
	}
}

// TestKernelHeaders has a C compiler evaluate the header.
func TestKernelHeaders(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the C compiler's machine is another")
	}
	cc, err := exec.LookPath("cc")
	if _, headers := os.Stat("/usr/include/linux/videodev2.h"); err != nil || headers != nil {
		needs.Missing(t, "a C compiler and <linux/videodev2.h>: Debian packages gcc and linux-libc-dev")
	}
	var source strings.Builder
	source.WriteString("#include <stddef.h>\n#include <stdio.h>\n#include <linux/videodev2.h>\nint main(void) {\n")
	for _, k := range kernel {
		fmt.Fprintf(&source, "printf(\"%%llu\\n\", (unsigned long long)(unsigned)(%s));\n", k.expression)
	}
	source.WriteString("}\n")
	program := filepath.Join(t.TempDir(), "kernel")
	compile := exec.Command(cc, "-x", "c", "-o", program, "-")
	compile.Stdin = strings.NewReader(source.String())
	if out, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command(program).Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(string(out))
	if len(lines) != len(kernel) {
		t.Fatalf("%d answers to %d questions", len(lines), len(kernel))
	}
	for i, k := range kernel {
		if lines[i] != fmt.Sprint(k.value) {
			t.Errorf("%s is %s in the header, %d here", k.expression, lines[i], k.value)
		}
	}
}
