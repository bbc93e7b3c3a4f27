package rtsp

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"dynvit/camera"
	"dynvit/camera/rtsp/rtsptest"
	"dynvit/internal/needs"
)

// isKey reports whether an access unit of H.264 is a keyframe.
func isKey(unit [][]byte) bool {
	for _, nal := range unit {
		if kindH264(nal) == 5 {
			return true
		}
	}
	return false
}

// TestFaultPacketsLost: keyframes of which a packet is missing are shown to nobody,
// counted, and said once.
func TestFaultPacketsLost(t *testing.T) {
	path := needs.Shared(t, "data", "video", persons)
	want := stillsOf(t, path)
	keys := 0
	s := serve(t, path, false, func(s *rtsptest.Server) {
		s.Lose = func(unit [][]byte, packet int) bool {
			if isKey(unit) && packet == 0 {
				keys++
			}
			return isKey(unit) && keys%3 != 0 && packet == keys%3
		}
	})
	var said bytes.Buffer
	source := open(t, s.URL(), camera.Options{ShortSide: 128, Log: slog.New(slog.NewTextHandler(&said, nil))})
	var f camera.Frame
	const shown = 8
	for range shown {
		if err := source.Next(t.Context(), &f); err != nil {
			t.Fatal(err)
		}
		if n := nearest(want, f.Data); n > 1 {
			t.Errorf("frame %d differs from every keyframe, by %.1f levels at least", f.Seq, n)
		}
	}
	if least := uint64(3*shown - 2); f.Seq < least {
		t.Errorf("%d keyframes counted, want %d or more", f.Seq, least)
	}
	if n := strings.Count(said.String(), "keyframe given up"); n != 1 {
		t.Errorf("said %d times: %s", n, said.String())
	}
	t.Logf("%d shown of %d keyframes, two of three torn", shown, f.Seq)
}

// TestFaultEveryKeyframeTorn: then there is no picture, and the reason is said with
// how many there were.
func TestFaultEveryKeyframeTorn(t *testing.T) {
	s := serve(t, needs.Shared(t, "data", "video", persons), false, func(s *rtsptest.Server) {
		s.Lose = func(unit [][]byte, packet int) bool { return isKey(unit) && packet == 1 }
	})
	err := open(t, s.URL(), camera.Options{Stall: 5 * time.Second}).Next(t.Context(), new(camera.Frame))
	lost := new(camera.LostError)
	if !errors.As(err, &lost) || lost.Frames == 0 || !strings.Contains(err.Error(), "no whole keyframe in 5s: packets of ") {
		t.Errorf("%v", err)
	}
}
