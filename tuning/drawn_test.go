package tuning

import (
	"context"
	"errors"
	"testing"
)

func TestDrawnFramesEndWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if frames, err := DrawnFrames(ctx, 3, nil); !errors.Is(err, context.Canceled) || frames != nil {
		t.Errorf("%d frames, %v", len(frames), err)
	}
}

// TestDrawnFrames: they are what a calibration says that it was measured on, and
// no two alike.
func TestDrawnFrames(t *testing.T) {
	frames, err := DrawnFrames(t.Context(), 3, nil)
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

// TestDrawnFramesEnough: a slow box draws as many as there is time for, and one at least.
func TestDrawnFramesEnough(t *testing.T) {
	for after, want := range map[int]int{0: 1, 1: 1, 2: 2, 9: 4} {
		asked := 0
		frames, err := DrawnFrames(t.Context(), 4, func() bool { asked++; return asked >= after })
		if err != nil || len(frames) != want {
			t.Errorf("enough after %d: %d frames, %v, want %d", after, len(frames), err, want)
		}
		for i := range frames {
			if len(frames[i].Data) == 0 {
				t.Errorf("enough after %d: frame %d is empty", after, i)
			}
		}
	}
}
