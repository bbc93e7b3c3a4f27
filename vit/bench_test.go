package vit

import (
	"fmt"
	"testing"

	"dynvit/backends"
	"dynvit/backends/all"
)

// BenchmarkFrame is a frame of the model alone, on one thread of the best backend that this
// machine serves, and BenchmarkLoad what stands before the first. peers/count.py counts the
// instructions of both.
func BenchmarkFrame(b *testing.B) {
	eachModel(b, func(b *testing.B, s *Session, input []float32, plan Plan) {
		var r Result
		for b.Loop() {
			if err := s.Run(input, plan, &r); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkLoad(b *testing.B) {
	eachModel(b, func(b *testing.B, _ *Session, _ []float32, _ Plan) {
		for b.Loop() { // what is counted is done
		}
	})
}

// eachModel opens models in each precision, ready for a frame.
func eachModel(b *testing.B, bench func(*testing.B, *Session, []float32, Plan)) {
	be, err := first(backends.Options{Threads: 1})
	if err != nil {
		b.Fatal(err)
	}
	defer be.Close()
	for _, arch := range []string{"deit_tiny", "deit_small"} {
		for _, keep := range []float64{1, 0.7} {
			for _, p := range be.Facts().Precisions {
				b.Run(fmt.Sprintf("%s/keep%v/%v", arch, keep, p), func(b *testing.B) {
					s, plan := open(b, be, arch, keep, p)
					input := make([]float32, s.w.Config.InputLen())
					for i := range input {
						input[i] = float32(i%7) - 3
					}
					bench(b, s, input, plan)
				})
			}
		}
	}
}

// first opens the first backend that this machine serves.
func first(o backends.Options) (be backends.Backend, err error) {
	for _, candidate := range all.List() {
		if be, err = candidate.Open(o); err == nil {
			return be, nil
		}
	}
	return nil, err
}

func open(b *testing.B, be backends.Backend, arch string, keep float64, p backends.Precision) (*Session, Plan) {
	b.Helper()
	c, err := Named(arch)
	if err != nil {
		b.Fatal(err)
	}
	plan, err := PlanFor(keep, c.Patches(), len(c.PruneAt))
	if err != nil {
		b.Fatal(err)
	}
	w, err := Load(be, c, drawn{Random{Config: c}}, p)
	if err != nil {
		b.Fatal(err)
	}
	s, err := NewSession(be, w, Predictor)
	if err != nil {
		b.Fatal(err)
	}
	return s, plan
}

// drawn are weights that take few instructions to make.
type drawn struct{ Random }

func (d drawn) Float32In(_ []float32, name string) ([]float32, []int, error) {
	x := make([]float32, d.elements(name))
	state := uint32(len(name))
	for i := range x {
		state = state*1664525 + 1013904223
		x[i] = float32(int32(state)) * (0.05 / (1 << 31))
	}
	return x, d.Config.shape(name), nil
}
