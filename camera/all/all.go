// Package all is the list of schemes, in the order in which errors name them.
// Only cmd/dynvitd (and tests) import it; everybody else is handed the list, a
// parsed Spec or an open Source.
package all

import (
	"dynvit/camera"
	"dynvit/camera/command"
	"dynvit/camera/drawn"
	"dynvit/camera/files"
	"dynvit/camera/rtsp"
	"dynvit/camera/sensor"
	"dynvit/camera/v4l2"
	"dynvit/camera/web"
)

// List returns every scheme that this program knows.
func List() camera.Schemes {
	return camera.Schemes{
		drawn.Scheme(),
		files.Scheme(),
		v4l2.Scheme(),
		web.Scheme(),
		rtsp.Scheme(),
		sensor.Scheme(),
		command.Scheme(),
	}
}
