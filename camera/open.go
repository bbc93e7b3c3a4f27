package camera

import (
	"errors"
	"time"
)

// defaultStall is Options.Stall where none is set.
const defaultStall = 10 * time.Second

// stall is how long to wait for a peer.
func (o Options) stall() time.Duration {
	if o.Stall > 0 {
		return o.Stall
	}
	return defaultStall
}

// Open makes a source. It does not wait for a peer (a server, a child process):
// the first Next does. What can be told at once is an error here: a missing
// file or folder, a folder without pictures, a camera that is not there, in use or
// has not what is asked for, and a program that is not installed.
func Open(s Spec, o Options) (Source, error) {
	switch s.scheme {
	case "":
		return nil, errors.New("no source named")
	case "test":
		return openDrawn(s), nil
	case "file":
		return openFile(s, o)
	case "v4l2":
		return openV4L2(s, o, openNode)
	case "http", "https":
		return openHTTP(s, o), nil
	case "rtsp", "rtsps":
		return openRTSP(s, o)
	case "csi":
		return openSensor(s, o)
	case "exec":
		return openCommand(s, o)
	}
	panic("camera: Open: a scheme that ParseSpec does not know: " + s.scheme)
}
