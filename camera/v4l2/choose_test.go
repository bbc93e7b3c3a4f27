package v4l2

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"dynvit/camera/internal/option"
)

// offers makes formats of a notation that is short to read.
func offered(formats ...DeviceFormat) []DeviceFormat {
	for i := range formats {
		format, rank := formatOf(formats[i].code)
		if formats[i].Format = format; format != 0 {
			formats[i].Option = pixels[rank].name
		}
		formats[i].FourCC = formats[i].code.String()
	}
	return formats
}

func at(width, height int, rates ...float64) DeviceSize {
	return DeviceSize{Width: width, Height: height, MaxWidth: width, MaxHeight: height, Rates: rates}
}

func TestV4L2Choose(t *testing.T) {
	usb2 := offered( // what a USB 2 webcam has room for
		DeviceFormat{code: fourccMJPG, Sizes: []DeviceSize{at(320, 240, 30), at(640, 360, 30), at(640, 480, 30), at(1280, 720, 30), at(1920, 1080, 30)}},
		DeviceFormat{code: 0x34363248, Sizes: []DeviceSize{at(640, 480, 60)}}, // H264, not read
		DeviceFormat{code: fourccYUYV, Sizes: []DeviceSize{at(320, 240, 30), at(640, 480, 30, 15), at(1280, 720, 10), at(1920, 1080, 5)}},
	)
	several := offered(
		DeviceFormat{code: fourccGREY, Sizes: []DeviceSize{at(640, 480, 90)}},
		DeviceFormat{code: fourccRGB3, Sizes: []DeviceSize{at(640, 480, 30)}},
		DeviceFormat{code: fourccYUYV, Sizes: []DeviceSize{at(640, 480, 30)}},
		DeviceFormat{code: fourccNV12, Sizes: []DeviceSize{at(640, 480, 30)}},
	)
	sensor := offered(DeviceFormat{code: fourccYUYV, Sizes: []DeviceSize{
		{Width: 32, Height: 32, MaxWidth: 3280, MaxHeight: 2464, StepX: 2, StepY: 2, Rates: []float64{30, 1}}}})
	anySize := offered(DeviceFormat{code: fourccNV12, Sizes: []DeviceSize{
		{Width: 1, Height: 1, MaxWidth: 1919, MaxHeight: 1079, StepX: 1, StepY: 1}}})
	infrared := offered(DeviceFormat{code: fourccGREY, Sizes: []DeviceSize{at(340, 340, 15)}})
	silent := offered(DeviceFormat{code: fourccYUYV}, DeviceFormat{code: fourccMJPG})
	odd := offered(DeviceFormat{code: fourccYUYV, Sizes: []DeviceSize{at(321, 241, 30), at(640, 480, 30)}})
	for _, c := range []struct {
		name    string
		offered []DeviceFormat
		options string
		side    int
		want    string
	}{
		{"raw where its rate suffices", usb2, "", 256, "YUYV 640x480 30"},
		{"smallest that covers", usb2, "", 224, "YUYV 320x240 30"},
		{"raw too slow", usb2, "", 500, "MJPG 1280x720 30"},
		{"raw fast enough for what is asked", usb2, "?fps=10", 500, "YUYV 1280x720 10"},
		{"raw not fast enough for what is asked", usb2, "?fps=25", 500, "MJPG 1280x720 30"},
		{"asked for more than there is", usb2, "?fps=120", 256, "YUYV 640x480 30"},
		{"as fast as it can", usb2, "?fps=0", 256, "YUYV 640x480 30"},
		{"slower rate", usb2, "?fps=12", 256, "YUYV 640x480 15"},
		{"none covers", usb2, "", 2000, "MJPG 1920x1080 30"},
		{"size asked", usb2, "?size=640x360", 500, "MJPG 640x360 30"},
		{"format asked", usb2, "?format=mjpeg", 256, "MJPG 640x360 30"},
		{"both asked", usb2, "?format=yuyv&size=1920x1080", 256, "YUYV 1920x1080 5"},
		{"any side", usb2, "", 0, "YUYV 320x240 30"},
		{"fewest bytes, with colours", several, "", 256, "NV12 640x480 30"},
		{"grey where asked", several, "?format=grey", 256, "GREY 640x480 90"},
		{"grey where nothing else is", infrared, "", 256, "GREY 340x340 15"},
		{"range", sensor, "", 257, "YUYV 344x258 30"},
		{"range, size asked", sensor, "?size=1280x720", 257, "YUYV 1280x720 30"},
		{"range, size between its steps", sensor, "?size=1281x720", 257, ""},
		{"range, none covers", sensor, "", 4000, "YUYV 3280x2464 30"},
		{"range of single pixels, even", anySize, "", 257, "NV12 344x258 0"},
		{"range that ends odd", anySize, "", 1100, ""},
		{"no sizes named", silent, "?fps=7", 256, "YUYV 0x0 7"},
		{"no sizes named, one asked", silent, "?size=640x480&format=mjpeg", 256, "MJPG 640x480 0"},
		{"half a colour sample", odd, "", 200, "YUYV 640x480 30"},
		{"half a colour sample asked", odd, "?size=321x241", 200, ""},
		{"nothing", nil, "", 256, ""},
	} {
		uri, err := parse("v4l2", "/dev/video0", strings.TrimPrefix(c.options, "?"))
		if err != nil {
			t.Fatal(err)
		}
		m, err := choose(c.offered, wish{uri.(*target).asked, c.side})
		got := ""
		if err == nil {
			got = fmt.Sprintf("%v %dx%d %v", m.code, m.width, m.height, m.rate)
		}
		if got != c.want {
			t.Errorf("%s: %q, %v, want %q", c.name, got, err, c.want)
		}
	}
}

func TestV4L2Query(t *testing.T) {
	n := NewFakeNode()
	n.offers = []fakeFormat{
		{fourccYUYV, []v4l2Frmsizeenum{
			size(640, 480), size(0, 480), size(1<<31, 1<<31), size(320, 240),
		}, []v4l2Fract{{1, 15}, {1001, 30000}, {0, 1}, {1, 0}, {1, 1 << 31}, {1, 15}}},
		{fourccMJPG, []v4l2Frmsizeenum{sizeRange(16, 1<<31, 0, 16, 4096, 8), size(1, 1)}, nil},
		{fourccNV12, []v4l2Frmsizeenum{sizeRange(640, 320, 2, 16, 480, 2)}, nil},
		{fourccGREY, []v4l2Frmsizeenum{sizeRange(0, 100, 1<<31, 16, 480, 2)}, nil},
		{fourccYUYV, nil, nil}, // again
		{'A' | 27<<8 | '['<<16, nil, nil},
	}
	list, err := queryFormats(n)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"YUYV yuyv the YUYV [{640 480 640 480 0 0 [29.97 15]} {320 240 320 240 0 0 [29.97 15]}]",
		"MJPG jpeg the MJPG [{16 16 8192 4096 1 8 []}]",
		"NV12 nv12 the NV12 []",
		"GREY grey the GREY []",
		"A?[ unknown the A?[ []",
	}
	var got []string
	type plain DeviceSize // without its String
	for _, f := range list {
		var sizes []plain
		for _, s := range f.Sizes {
			sizes = append(sizes, plain(s))
		}
		got = append(got, fmt.Sprint(f.FourCC, " ", f.Format, " ", f.Description, " ", sizes))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// A driver that never ends its lists does not hold us for ever.
func TestV4L2QueryIsBounded(t *testing.T) {
	n := NewFakeNode()
	n.endless = true
	list, err := queryFormats(n)
	if err != nil || len(list) != maxFormats || n.calls[vidiocEnumFmt] != maxFormats {
		t.Errorf("%d formats in %d questions, %v", len(list), n.calls[vidiocEnumFmt], err)
	}
	n = NewFakeNode()
	n.offers[0].sizes = make([]v4l2Frmsizeenum, 1000)
	n.offers[0].intervals = make([]v4l2Fract, 1000)
	for i := range 1000 {
		n.offers[0].sizes[i], n.offers[0].intervals[i] = size(16, 16), v4l2Fract{1, 1 + uint32(i)%200}
	}
	if sizes := querySizes(n, fourccYUYV); len(sizes) != maxSizes || len(sizes[0].Rates) != maxRates {
		t.Errorf("%d sizes", len(sizes))
	}
}

func TestV4L2Info(t *testing.T) {
	n := NewFakeNode()
	n.card = "Cam\x1b[31mera\xff 9"
	info, err := queryInfo(n)
	if err != nil || info.name != "Cam?[31mera\ufffd 9" || info.driver != "fakevideo" || info.bus != "usb-1.2" {
		t.Errorf("%+v, %v", info, err)
	}
	n.fail[vidiocQuerycap] = []error{unix.EINVAL}
	if _, err := queryInfo(n); err == nil {
		t.Error("no error")
	}
}

func TestParse(t *testing.T) {
	got, err := parse("v4l2", "///dev/v4l/by-id/usb-x", "format=yuyv&size=64x48")
	if err != nil {
		t.Fatal(err)
	}
	u := got.(*target)
	if u.path != "/dev/v4l/by-id/usb-x" || u.format != "yuyv" || u.size != (option.Size{Width: 64, Height: 48}) || u.rate.Or(9) != 9 {
		t.Errorf("got %+v", u)
	}
}
