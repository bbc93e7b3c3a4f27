package v4l2_test

import (
	"testing"

	"dynvit/camera"
	"dynvit/camera/cameratest"
	"dynvit/camera/v4l2"
)

func TestV4L2Conforms(t *testing.T) {
	for _, c := range []struct {
		name  string
		limit int // frames before it stalls; 0: none
	}{{"streaming", 0}, {"stalling", 4}} {
		t.Run(c.name, func(t *testing.T) {
			cameratest.Conform(t, func(t *testing.T) camera.Source {
				n := v4l2.NewFakeCamera(c.limit)
				s, err := v4l2.OpenFake("v4l2:/dev/video0?format=yuyv", camera.Options{}, n)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					if left := n.Leaked(); left != "" {
						t.Errorf("after Close: %s", left)
					}
				})
				return s
			})
		})
	}
}
