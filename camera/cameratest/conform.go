package cameratest

import (
	"context"
	"errors"
	"io"
	"testing"

	"dynvit/camera"
)

// conformFrames is how many frames Conform asks a source for.
const conformFrames = 4

// Conform tests the contract of camera.Source. open makes a new source that has
// at least four frames and no end: it may then stall, but must not return io.EOF.
func Conform(t *testing.T, open func(t *testing.T) camera.Source) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(t *testing.T, s camera.Source)
	}{
		{"Frames", testFrames},
		{"Memory", testMemory},
		{"CloseTwice", testCloseTwice},
		{"CloseBeforeNext", testCloseBeforeNext},
		{"CloseUnblocksNext", testCloseUnblocksNext},
		{"CancelledBefore", testCancelledBefore},
		{"CancelUnblocksNext", testCancelUnblocksNext},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t)
			c.test(t, s)
			mustClose(t, s)
		})
	}
}

// ConformEnd tests a source that ends after n frames: with io.EOF, again and
// again, and with ErrClosed once it is closed.
func ConformEnd(t *testing.T, s camera.Source, n int) {
	t.Helper()
	var f camera.Frame
	for i := range n {
		mustNext(t, s, &f)
		checkFrame(t, &f)
		if f.Seq != uint64(i+1) {
			t.Errorf("frame %d has number %d", i+1, f.Seq)
		}
	}
	for range 2 {
		if err := s.Next(t.Context(), &f); err != io.EOF {
			t.Fatalf("Next after %d frames returned %v, want io.EOF", n, err)
		}
	}
	mustClose(t, s)
	if err := s.Next(t.Context(), &f); !errors.Is(err, camera.ErrClosed) {
		t.Errorf("Next after Close returned %v, want ErrClosed", err)
	}
}

// testFrames checks what a frame says of itself, and the order of several.
func testFrames(t *testing.T, s camera.Source) {
	var last camera.Frame
	for i := range conformFrames {
		var f camera.Frame
		mustNext(t, s, &f)
		checkFrame(t, &f)
		if i > 0 && f.Seq <= last.Seq {
			t.Errorf("number %d comes after %d", f.Seq, last.Seq)
		}
		if i > 0 && f.Captured.Before(last.Captured) {
			t.Errorf("frame %d was captured %v before the last", f.Seq, last.Captured.Sub(f.Captured))
		}
		last = f
	}
}

// checkFrame checks that a frame's fields fit each other.
func checkFrame(t *testing.T, f *camera.Frame) {
	t.Helper()
	if f.Seq == 0 {
		t.Error("frames count from 1")
	}
	// The monotonic reading of a Time shows as m=… (time.Time.String), and goes
	// with Round(0).
	if f.Captured == f.Captured.Round(0) {
		t.Errorf("captured at %v: no monotonic reading", f.Captured)
	}
	if f.Format.String() == "unknown" {
		t.Errorf("format %d is not known", f.Format)
	}
	if want, raw := rawSize(f); raw && (len(f.Data) != want || want == 0) {
		t.Errorf("%v of %d×%d has %d bytes, want %d", f.Format, f.Width, f.Height, len(f.Data), want)
	}
	if len(f.Data) == 0 {
		t.Error("no data")
	}
}

// rawSize is the size in bytes of a frame's pixels; raw is false for JPEG and PNG.
func rawSize(f *camera.Frame) (size int, raw bool) {
	n := f.Width * f.Height
	switch f.Format {
	case camera.RGB24:
		return 3 * n, true
	case camera.YUYV:
		return 2 * n, true
	case camera.NV12, camera.I420:
		return n + 2*((f.Width+1)/2)*((f.Height+1)/2), true
	case camera.GREY:
		return n, true
	}
	return 0, false
}

// testMemory checks that a frame's memory is used again when it is large enough.
func testMemory(t *testing.T, s camera.Source) {
	var f camera.Frame
	mustNext(t, s, &f)
	memory := make([]byte, 4*len(f.Data)+1<<20)
	for range conformFrames - 1 {
		f.Data = memory[:1]
		mustNext(t, s, &f)
		if &f.Data[:1][0] != &memory[0] {
			t.Fatalf("%d bytes of room for a frame of %d were not used", len(memory), len(f.Data))
		}
	}
}

func testCloseTwice(t *testing.T, s camera.Source) {
	var f camera.Frame
	mustNext(t, s, &f)
	mustClose(t, s)
	mustClose(t, s)
	if err := s.Next(t.Context(), &f); !errors.Is(err, camera.ErrClosed) {
		t.Errorf("Next after Close returned %v, want ErrClosed", err)
	}
}

func testCloseBeforeNext(t *testing.T, s camera.Source) {
	mustClose(t, s)
	var f camera.Frame
	if err := s.Next(t.Context(), &f); !errors.Is(err, camera.ErrClosed) {
		t.Errorf("Next after Close returned %v, want ErrClosed", err)
	}
}

// testCloseUnblocksNext closes while another goroutine reads on and on.
func testCloseUnblocksNext(t *testing.T, s camera.Source) {
	first, last := readOn(t.Context(), s)
	<-first
	mustClose(t, s)
	if err := <-last; !errors.Is(err, camera.ErrClosed) {
		t.Errorf("Next during Close returned %v, want ErrClosed", err)
	}
}

func testCancelledBefore(t *testing.T, s camera.Source) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var f camera.Frame
	if err := s.Next(ctx, &f); !errors.Is(err, context.Canceled) {
		t.Errorf("Next returned %v, want context.Canceled", err)
	}
}

func testCancelUnblocksNext(t *testing.T, s camera.Source) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	first, last := readOn(ctx, s)
	<-first
	cancel()
	if err := <-last; !errors.Is(err, context.Canceled) {
		t.Errorf("Next during cancel returned %v, want context.Canceled", err)
	}
}

// readOn reads until an error, which it sends on last; first is closed after the
// first frame, or the error.
func readOn(ctx context.Context, s camera.Source) (first <-chan struct{}, last <-chan error) {
	begun, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		var f camera.Frame
		err := s.Next(ctx, &f)
		close(begun)
		for err == nil {
			err = s.Next(ctx, &f)
		}
		ended <- err
	}()
	return begun, ended
}

func mustNext(t *testing.T, s camera.Source, f *camera.Frame) {
	t.Helper()
	if err := s.Next(t.Context(), f); err != nil {
		t.Fatalf("Next: %v", err)
	}
}

func mustClose(t *testing.T, s camera.Source) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}
