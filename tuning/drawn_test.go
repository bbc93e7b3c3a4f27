package tuning

import (
	"context"
	"errors"
	"testing"
)

func TestDrawnFramesEndWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if frames, err := DrawnFrames(ctx, 3); !errors.Is(err, context.Canceled) || frames != nil {
		t.Errorf("%d frames, %v", len(frames), err)
	}
}

// TestDrawnFrames: they are what a calibration says that it was measured on, and
// no two alike.
func TestDrawnFrames(t *testing.T) {
	frames, err := DrawnFrames(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	for i := range frames {
		if got := Describe(&frames[i]); got != "1280x720 jpeg" {
			t.Errorf("frame %d is %s", i, got)
		}
		if i > 0 && string(frames[i].Data) == string(frames[i-1].Data) {
			t.Errorf("frames %d and %d are equal", i-1, i)
		}
	}
}
