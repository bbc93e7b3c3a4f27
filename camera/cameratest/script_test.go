package cameratest_test

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"

	"dynvit/camera"
	"dynvit/camera/cameratest"
)

func TestScriptConforms(t *testing.T) {
	cameratest.Conform(t, func(t *testing.T) camera.Source {
		g := cameratest.Grey(4, 3, 9)
		return cameratest.New(g, g, g, g)
	})
	s := cameratest.New(cameratest.Grey(4, 3, 9), cameratest.Grey(4, 3, 10))
	s.End()
	cameratest.ConformEnd(t, s, 2)
}

func TestScriptIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := cameratest.New()
		got := make(chan error)
		var f camera.Frame
		next := func() { go func() { got <- s.Next(t.Context(), &f) }() }

		next()
		synctest.Wait() // it stalls
		if s.Calls() != 1 || s.Left() != 0 {
			t.Fatalf("%d calls, %d left", s.Calls(), s.Left())
		}
		s.Skip(4)
		s.Push(cameratest.Grey(2, 2, 7))
		if err := <-got; err != nil || f.Seq != 5 || f.Data[3] != 7 {
			t.Fatalf("got %v, %+v", err, f)
		}
		broken := errors.New("unplugged")
		s.Fail(broken)
		s.Push(cameratest.Grey(1, 1, 8))
		for _, want := range []error{broken, nil} {
			if next(); <-got != want {
				t.Fatalf("want %v", want)
			}
		}
		next()
		synctest.Wait()
		s.End()
		if err := <-got; err != io.EOF {
			t.Fatalf("got %v, want io.EOF", err)
		}
		s.Close()
		<-s.Closed()
	})
}
