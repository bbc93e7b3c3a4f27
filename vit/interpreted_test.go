package vit

import (
	"slices"
	"strings"
	"testing"

	"dynvit/backends"
	"dynvit/backends/cuda"
	"dynvit/backends/cuda/kernels"
	"dynvit/backends/cuda/ptx"
)

// TestGoldenPTX runs a small model on the CUDA kernels that are committed, by the
// interpreter: the reference's kept sets, and its logits within TestGolden's limit.
func TestGoldenPTX(t *testing.T) {
	if testing.Short() {
		t.Skip("needs more than a short run: it interprets models")
	}
	m := openMini(t, "mini_deit")
	const example, keep = 1, "keep0.5"
	plan, err := PlanFor(0.5, m.config.Patches(), len(m.config.PruneAt))
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range kernels.Targets() {
		t.Run(target.Name, func(t *testing.T) {
			d := ptx.NewDevice(target.Major, target.Minor, 1)
			be, err := cuda.New(d)
			if err != nil {
				t.Fatal(err)
			}
			defer be.Close()
			w, err := Load(be, m.config, m.file, backends.F32)
			if err != nil {
				t.Fatal(err)
			}
			s, err := NewSession(be, w, Predictor)
			if err != nil {
				t.Fatal(err)
			}
			r := Result{WantKept: true}
			if err := s.Run(m.config.input(m.example(t, "x", example)), plan, &r); err != nil {
				t.Fatal(err)
			}
			for k, ids := range m.keptSets(t, keep, example) {
				if !slices.Equal(r.Kept[k], slices.Sorted(slices.Values(ids))) {
					t.Errorf("stage %d keeps another set", k)
				}
			}
			d1 := relative(r.Logits, m.example(t, keep+".logits", example))
			t.Logf("logits differ by %.2g; %d kernels, %+v", d1, d.Launches, d.Stats)
			if d1 > 2e-5 {
				t.Errorf("logits differ by %.2g of the largest, want at most 2e-5", d1)
			}
		})
	}
}

// TestMergedPTX has small models merge on the committed CUDA kernels, by the interpreter: patches go
// where train/ has them go, by each scorer, and the answers are within 1e-5 of the largest, the first
// time, when the frame is recorded, and the next.
func TestMergedPTX(t *testing.T) {
	if testing.Short() {
		t.Skip("needs more than a short run: it interprets models")
	}
	target := kernels.Targets()[len(kernels.Targets())-1]
	cases := 0
	eachMerged(t, func(t *testing.T, k kind, m merged) {
		if m.plan.Keep[0] != k.config.Patches()/2 || k.config.ConvStem > 0 || !strings.HasSuffix(m.name, "input 0") {
			return
		}
		cases++
		be, err := cuda.New(ptx.NewDevice(target.Major, target.Minor, 1))
		if err != nil {
			t.Fatal(err)
		}
		defer be.Close()
		s := k.session(t, be, backends.F32, m.scorer)
		for range 2 {
			r := run(t, s, m.input, m.plan)
			if !slices.EqualFunc(r.Groups, m.groups, slices.Equal) {
				t.Errorf("%s: groups %v, want %v", m.name, r.Groups, m.groups)
			}
			if e := far(r.Logits, m.logits); !(e < 1e-5) {
				t.Errorf("%s: off by %.2g: %v, want %v", m.name, e, r.Logits, m.logits)
			}
		}
	})
	if cases != 4*2 {
		t.Errorf("%d cases", cases)
	}
}

// BenchmarkTraffic counts what a frame of DeiT-S moves to and from a GPU's memory on its own
// kernels' PTX, beside weights and, at each border between two kernels, activations
// once. It takes minutes: go test ./vit -run '^$' -bench Traffic -benchtime 1x -timeout 1h
func BenchmarkTraffic(b *testing.B) {
	target := kernels.Targets()[len(kernels.Targets())-1]
	c, err := Named("deit_small")
	if err != nil {
		b.Fatal(err)
	}
	plan, err := PlanFor(0.7, c.Patches(), len(c.PruneAt))
	if err != nil {
		b.Fatal(err)
	}
	for _, p := range []backends.Precision{backends.F16, backends.Int8} {
		b.Run(p.String(), func(b *testing.B) {
			d := ptx.NewDevice(target.Major, target.Minor, 1)
			be, err := cuda.New(d)
			if err != nil {
				b.Fatal(err)
			}
			defer be.Close()
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
			for range 2 { // the first records
				d.Launches, d.Stats = 0, ptx.Stats{}
				if err := s.Run(input, plan, &r); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(d.Launches), "kernels/frame")
			b.ReportMetric(float64(d.Stats.Read+d.Stats.Written)/1e6, "MB-asked/frame")
			b.ReportMetric(float64(d.Stats.DistinctRead+d.Stats.DistinctWritten)/1e6, "MB-once-a-kernel/frame")
		})
	}
}
