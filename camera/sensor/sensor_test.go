package sensor_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dynvit/camera"
	"dynvit/camera/cameratest"
	"dynvit/camera/sensor"
)

// open opens a source that the test closes.
func open(t testing.TB, uri string, o camera.Options) camera.Source {
	t.Helper()
	return cameratest.Open(t, sensor.Scheme(), uri, o)
}

// programs makes a folder of shell scripts the only PATH, but for what they need
// themselves.
func programs(t *testing.T, scripts map[string]string) (folder string) {
	t.Helper()
	folder = t.TempDir()
	for name, script := range scripts {
		text := "#!/bin/sh\nPATH=/usr/bin:/bin\n" + script + "\n"
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", folder)
	return folder
}

// fourFrames is a camera program that shows frames of 384×288, each of one byte,
// and then waits.
const fourFrames = `for c in a b c d; do head -c 165888 /dev/zero | tr '\0' $c; done; exec sleep 1000`

func TestSensorConforms(t *testing.T) {
	programs(t, map[string]string{"rpicam-vid": fourFrames})
	cameratest.Conform(t, func(t *testing.T) camera.Source { return open(t, "csi://0", camera.Options{ShortSide: 256}) })
}

// TestSensorPrograms: each board's program is asked for raw frames of a size that
// serves the model and has no padding.
func TestSensorPrograms(t *testing.T) {
	for _, c := range []struct{ program, uri, want string }{
		{"rpicam-vid", "csi://1", "--nopreview --timeout 0 --verbose 0 --camera 1 --codec yuv420 --flush --width 384 --height 288 --output - --framerate 15"},
		{"libcamera-vid", "csi://0?size=640x480&fps=30", "--nopreview --timeout 0 --verbose 0 --camera 0 --codec yuv420 --flush --width 640 --height 480 --output - --framerate 30"},
		{"gst-launch-1.0", "csi://0?fps=7.5", "-q nvarguscamerasrc sensor-id=0 ! video/x-raw(memory:NVMM),framerate=7500/1000 ! nvvidconv ! video/x-raw,format=I420,width=384,height=288 ! fdsink fd=1 sync=false"},
	} {
		folder := programs(t, map[string]string{c.program: `echo "$@" >$(dirname $0)/args; head -c 1000000 /dev/zero; exec sleep 1000`})
		var f camera.Frame
		if err := open(t, c.uri, camera.Options{ShortSide: 256}).Next(t.Context(), &f); err != nil {
			t.Errorf("%s: %v", c.program, err)
		}
		args, err := os.ReadFile(filepath.Join(folder, "args"))
		if got := strings.TrimSpace(string(args)); err != nil || got != c.want {
			t.Errorf("%s\n got %s\nwant %s\n%v", c.program, got, c.want, err)
		}
		if f.Format != camera.I420 || len(f.Data) != f.Width*f.Height*3/2 || f.Width%64 != 0 || f.Height < 256 {
			t.Errorf("%s: %v %d×%d of %d bytes", c.program, f.Format, f.Width, f.Height, len(f.Data))
		}
	}
}

func TestSensorErrors(t *testing.T) {
	programs(t, nil)
	fails := func(uri, want string) {
		t.Helper()
		o := camera.Options{}
		if strings.Contains(want, " in 3s") {
			o.Stall = 3 * time.Second // long enough for a shell to start beside other work
		}
		s, err := camera.Schemes{sensor.Scheme()}.Open(uri, o)
		if err == nil {
			err = s.Next(t.Context(), new(camera.Frame))
			defer s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", uri, err, want)
		}
	}
	fails("csi://0", "source csi://0: neither rpicam-vid (Raspberry Pi: package rpicam-apps) nor gst-launch-1.0 with nvarguscamerasrc (Jetson")
	programs(t, map[string]string{"gst-launch-1.0": `echo 'ERROR: pipeline could not be constructed: no element "nvarguscamerasrc".' >&2; exit 1`})
	fails("csi://0", `csi://0: exit status 1: ERROR: pipeline could not be constructed: no element "nvarguscamerasrc".`)
	programs(t, map[string]string{"rpicam-vid": "head -c 100 /dev/zero; exit 0"})
	fails("csi://0", "csi://0: the camera program ended")
	programs(t, map[string]string{"rpicam-vid": "echo starting >&2; exec sleep 1000"})
	fails("csi://0", "csi://0: no frame in 3s: starting")
	for _, size := range []string{"650x480", "640x481"} {
		fails("csi://0?size="+size, fmt.Sprintf("size %s: want a width that 64 divides", size))
	}
}
