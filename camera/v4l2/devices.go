package v4l2

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Device is a video device of this machine.
type Device struct {
	Path    string         // /dev/video0; another one after the next start, maybe
	Links   []string       // paths that stay the same, by the camera first, then by the port
	Name    string         // the driver's name of the camera
	Driver  string         // of the kernel
	Bus     string         // where it is plugged in
	Formats []DeviceFormat // as the driver lists them
	Err     error          // why no frames can be had of it; nil: none is known
}

// Devices lists the video devices of this machine, without disturbing a program that uses one.
func Devices() []Device { return listDevices("/dev", openNode) }

// linkFolders are where udev links devices, the steadier name first.
var linkFolders = []string{"v4l/by-id", "v4l/by-path"}

func listDevices(dev string, open func(path string) (videoNode, error)) []Device {
	links := linksOf(dev)
	paths, _ := filepath.Glob(filepath.Join(dev, "video*")) // fails on bad patterns alone
	paths = slices.DeleteFunc(paths, func(p string) bool { return videoNumber(p) < 0 })
	slices.SortFunc(paths, func(a, b string) int { return cmp.Compare(videoNumber(a), videoNumber(b)) })
	var list []Device
	for _, path := range paths {
		d := Device{Path: path, Links: links[path]}
		d.query(open)
		list = append(list, d)
	}
	return list
}

// videoNumber is N of videoN; -1 for other names.
func videoNumber(path string) int {
	digits, _ := strings.CutPrefix(filepath.Base(path), "video")
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil {
		return -1
	}
	return int(n)
}

// linksOf is what leads to each device.
func linksOf(dev string) map[string][]string {
	links := map[string][]string{}
	for _, folder := range linkFolders {
		entries, _ := os.ReadDir(filepath.Join(dev, folder)) // there is none without cameras
		for _, e := range entries {
			link := filepath.Join(dev, folder, e.Name())
			if to, err := filepath.EvalSymlinks(link); err == nil {
				links[to] = append(links[to], link)
			}
		}
	}
	return links
}

// query fills in what the device says of itself.
func (d *Device) query(open func(path string) (videoNode, error)) {
	n, err := open(d.Path)
	if err != nil {
		d.Err = deviceError(err)
		return
	}
	defer n.close()
	info, err := queryInfo(n)
	d.Name, d.Driver, d.Bus = info.name, info.driver, info.bus
	if err == nil {
		d.Formats, err = queryFormats(n)
	}
	if err == nil {
		_, err = choose(d.Formats, wish{})
	}
	if err != nil {
		d.Err = deviceError(err)
	}
}
