package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"dynvit/camera"
	"dynvit/camera/v4l2"
)

func someCameras() []v4l2.Device {
	at := func(w, h int, rates ...float64) v4l2.DeviceSize {
		return v4l2.DeviceSize{Width: w, Height: h, MaxWidth: w, MaxHeight: h, Rates: rates}
	}
	return []v4l2.Device{
		{
			Path: "/dev/video0", Links: []string{"/dev/v4l/by-id/usb-C-index0"}, Name: "C", Driver: "uvcvideo", Bus: "usb-1",
			Formats: []v4l2.DeviceFormat{
				{FourCC: "H264"},
				{FourCC: "RGB3", Description: "24-bit RGB", Format: camera.RGB24, Option: "rgb24", Sizes: []v4l2.DeviceSize{
					at(320, 240, 30, 7.5), at(640, 480, 30, 7.5), at(1280, 720, 10),
				}},
				{FourCC: "GREY", Format: camera.GREY, Option: "grey", Sizes: []v4l2.DeviceSize{
					{Width: 16, Height: 16, MaxWidth: 4096, MaxHeight: 2160, StepX: 2, StepY: 4},
				}},
				{FourCC: "HEVC"},
			},
		},
		{Path: "/dev/video1", Name: "C", Driver: "uvcvideo", Bus: "usb-1", Err: errors.New("not a camera")},
		{Path: "/dev/video2", Err: errors.New("permission denied")},
	}
}

func TestPrintCameras(t *testing.T) {
	var b strings.Builder
	printCameras(&b, someCameras())
	want := `/dev/video0  C (uvcvideo, usb-1)
  = /dev/v4l/by-id/usb-C-index0
  rgb24  320x240 640x480 at 30 7.5 fps, 1280x720 at 10 fps
  grey   16x16-4096x2160
  not read: H264 HEVC
/dev/video1  C (uvcvideo, usb-1)
  no: not a camera
/dev/video2
  no: permission denied
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	b.Reset()
	if printCameras(&b, nil); b.String() != "no cameras: there is no /dev/video*\n" {
		t.Errorf("got %q", b.String())
	}
}

func TestCameraJSON(t *testing.T) {
	text, err := json.Marshal(cameraJSON(someCameras()))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`[{"path":"/dev/video0","links":["/dev/v4l/by-id/usb-C-index0"],"name":"C","driver":"uvcvideo","bus":"usb-1","available":true,"why":"",`,
		`{"format":"","fourcc":"H264","description":"","sizes":[]}`,
		`{"format":"rgb24","fourcc":"RGB3","description":"24-bit RGB","sizes":[{"width":320,"height":240,"fps":[30,7.5]},`,
		`{"width":16,"height":16,"fps":[],"max_width":4096,"max_height":2160,"step_x":2,"step_y":4}`,
		`{"path":"/dev/video2","links":[],"name":"","driver":"","bus":"","available":false,"why":"permission denied","formats":[]}]`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is not in\n%s", want, text)
		}
	}
	if text, err := json.Marshal(cameraJSON(nil)); err != nil || string(text) != "[]" {
		t.Errorf("none is %s, %v", text, err)
	}
}
