package backendtest

import (
	"strings"
	"testing"

	"dynvit/backends"
	"dynvit/backends/all"
)

// TestSpyConforms: the fake is held to what every backend is, and what it records to
// what was called, in front of one that fuses operations, too.
func TestSpyConforms(t *testing.T) {
	Run(t, spied(backends.Ref))
	t.Run("fusing", suite{open: spied(backends.Portable)}.recorder)
}

func spied(name string) Open {
	return func(o backends.Options) (backends.Backend, error) {
		be, err := open(name, o)
		if err != nil {
			return nil, err
		}
		_, recorder := NewSpy(be, true)
		return recorder, nil
	}
}

func open(name string, o backends.Options) (backends.Backend, error) {
	be, _, err := backends.Pick(all.List(), name, o)
	return be, err
}

// TestSpyRecords: what is recorded isn't done before it is replayed, and what must not
// stand in a recording panics.
func TestSpyRecords(t *testing.T) {
	inner, err := open(backends.Ref, backends.Options{})
	if err != nil {
		t.Fatal(err)
	}
	spy, be := NewSpy(inner, true)
	x, err := be.Alloc(2, 2)
	if err != nil {
		t.Fatal(err)
	}
	be.Upload(x, []float32{1, 2, 3, 4})
	tape := be.(backends.Recorder).Record(func() { be.MeanHalf(x) })
	if x.Host[1] != 2 || len(spy.Log) != 1 || len(spy.Recordings) != 1 || len(spy.Recordings[0].Log) != 1 {
		t.Errorf("recording: %v, %+v", x.Host, spy)
	}
	tape.Replay()
	if x.Host[1] != 3 || spy.Recordings[0].Replays != 1 {
		t.Errorf("replayed: %v", x.Host)
	}
	for name, do := range map[string]func(){
		"Upload":   func() { be.Upload(x, make([]float32, 4)) },
		"Download": func() { _ = be.Download(make([]float32, 4), x) },
		"Alloc":    func() { _, _ = be.Alloc(1, 1) },
		"Record":   func() { be.(backends.Recorder).Record(func() {}) },
	} {
		func() {
			defer func() {
				if said, _ := recover().(string); !strings.Contains(said, name+" while recording") {
					t.Errorf("%s while recording: %q", name, said)
				}
			}()
			be.(backends.Recorder).Record(do)
		}()
	}
}
