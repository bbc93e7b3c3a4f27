package vit

import (
	"fmt"
	"testing"

	"dynvit/backends"
	"dynvit/backends/all"
)

// BenchmarkFrame is a frame of the model alone, of random weights, on one thread of the best
// backend that this machine serves. peers/count.py counts its instructions.
func BenchmarkFrame(b *testing.B) {
	be, err := first(backends.Options{Threads: 1})
	if err != nil {
		b.Fatal(err)
	}
	defer be.Close()
	for _, arch := range []string{"deit_tiny", "deit_small"} {
		for _, keep := range []float64{1, 0.7} {
			for _, p := range be.Facts().Precisions {
				b.Run(fmt.Sprintf("%s/keep%v/%v", arch, keep, p), func(b *testing.B) { benchFrame(b, be, arch, keep, p) })
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

func benchFrame(b *testing.B, be backends.Backend, arch string, keep float64, p backends.Precision) {
	c, err := Named(arch)
	if err != nil {
		b.Fatal(err)
	}
	plan, err := PlanFor(keep, c.Patches(), len(c.PruneAt))
	if err != nil {
		b.Fatal(err)
	}
	w, err := Load(be, c, Random{Config: c, Seed: 1}, p)
	if err != nil {
		b.Fatal(err)
	}
	s, err := NewSession(be, w, Predictor)
	if err != nil {
		b.Fatal(err)
	}
	var r Result
	input := make([]float32, c.InputLen())
	for i := range input {
		input[i] = float32(i%7) - 3
	}
	for b.Loop() {
		if err := s.Run(input, plan, &r); err != nil {
			b.Fatal(err)
		}
	}
}
