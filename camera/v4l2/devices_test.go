package v4l2

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestListDevices(t *testing.T) {
	dev := t.TempDir()
	for _, name := range []string{"video10", "video2", "video3", "video4", "videodev", "video"} {
		if err := os.WriteFile(filepath.Join(dev, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range []struct{ folder, name, to string }{
		{"by-path", "pci-0-usb-1-video-index0", "video2"}, {"by-id", "usb-Fake_Camera-video-index0", "video2"},
		{"by-id", "usb-Gone-video-index0", "video7"},
	} {
		folder := filepath.Join(dev, "v4l", l.folder)
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("../../"+l.to, filepath.Join(folder, l.name)); err != nil {
			t.Fatal(err)
		}
	}
	nodes := map[string]*FakeNode{"video2": NewFakeNode(), "video3": NewFakeNode(), "video10": NewFakeNode()}
	nodes["video3"].caps = v4l2CapMetadata
	nodes["video10"].offers = []fakeFormat{{code: 0x34363248}}
	list := listDevices(dev, func(path string) (videoNode, error) {
		if n := nodes[filepath.Base(path)]; n != nil {
			return n, nil
		}
		return nil, unix.EACCES
	})
	var got []string
	for _, d := range list {
		links := make([]string, len(d.Links))
		for i, l := range d.Links {
			links[i], _ = filepath.Rel(dev, l)
		}
		got = append(got, fmt.Sprint(filepath.Base(d.Path), " ", links, " ", d.Name, " ", len(d.Formats), " ", d.Err))
	}
	want := []string{
		"video2 [v4l/by-id/usb-Fake_Camera-video-index0 v4l/by-path/pci-0-usb-1-video-index0] Fake Camera 2 <nil>",
		"video3 [] Fake Camera 0 not a camera: it gives the metadata of one, try the node before",
		"video4 []  0 permission denied: the user must be in the group video",
		"video10 [] Fake Camera 1 a format that is read is not offered: want another camera, this one has only H264",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	for name, n := range nodes {
		if !n.closed || n.calls[vidiocReqbufs]+n.calls[vidiocSFmt] > 0 {
			t.Errorf("%s was left open, or disturbed", name)
		}
	}
	if option := list[0].Formats[1].Option; option != "mjpeg" {
		t.Errorf("MJPG is option %q", option)
	}
	if option := list[3].Formats[0].Option; option != "" {
		t.Errorf("H264 is option %q", option)
	}
}
