package vit

import (
	"slices"
	"strings"
	"testing"

	"dynvit/backends"
	"dynvit/backends/backendtest"
	"dynvit/modelfile"
)

// featuresOf runs a frame with and without its features, which must change nothing else.
func featuresOf(t *testing.T, s *Session, input []float32, p Plan) []float32 {
	t.Helper()
	r := Result{WantKept: true, WantFeatures: true}
	if err := s.Run(input, p, &r); err != nil {
		t.Fatal(err)
	}
	if plain := run(t, s, input, p); !slices.Equal(plain.Logits, r.Logits) || plain.Features != nil {
		t.Errorf("%v with features, %v without", r.Logits, plain.Logits)
	}
	return r.Features
}

// TestFeaturesAreWhatTheHeadReads: the head on the features is the logits, of every kind
// whose head is one layer, dense and pruned, replayed or not.
func TestFeaturesAreWhatTheHeadReads(t *testing.T) {
	seen := 0
	eachKind(t, func(t *testing.T, k kind, inputs [2][]float32) {
		if k.config.Classes == 0 || k.config.Distilled {
			return
		}
		seen++
		w, _, err := k.file.Float32("head.weight")
		if err != nil {
			t.Fatal(err)
		}
		bias, _, err := k.file.Float32("head.bias")
		if err != nil {
			t.Fatal(err)
		}
		be := openBackend(t, backends.Portable)
		_, recorder := backendtest.NewSpy(be, true)
		for _, s := range []*Session{k.session(t, be, backends.F32, Attention), k.session(t, recorder, backends.F32, Attention), k.session(t, be, backends.F32, Merge)} {
			for _, ratio := range []float64{1, 0.7, 0.3, 0.7} {
				plan := k.plan(t, ratio)
				features := featuresOf(t, s, inputs[0], plan)
				if len(features) != k.config.Features() {
					t.Fatalf("%d features, want %d", len(features), k.config.Features())
				}
				logits := slices.Clone(bias)
				for class := range logits {
					for i, x := range features {
						logits[class] += x * w[class*len(features)+i]
					}
				}
				if want := run(t, s, inputs[0], plan).Logits; !(far(logits, want) < 1e-5) {
					t.Errorf("at %v: the head on the features gives %v, want %v", ratio, logits, want)
				}
			}
		}
	})
	if seen < 15 {
		t.Errorf("%d kinds seen", seen)
	}
}

// TestFeaturesOfABackbone: they are its answer, and those of a model with a head are
// what it would answer without, an average of two heads' rows among them.
func TestFeaturesOfABackbone(t *testing.T) {
	seen := map[string]int{}
	check := func(t *testing.T, c Config, file *modelfile.File, input []float32) {
		var rest []modelfile.Tensor
		for _, name := range file.Names() {
			if tensor, _ := file.Tensor(name); !strings.HasPrefix(name, "head") && !strings.HasPrefix(name, "aux_head") {
				rest = append(rest, tensor)
			}
		}
		bare := c
		bare.Classes, bare.AuxHead, bare.Labels = 0, false, nil
		if bare.Check() != nil {
			return // needs a head
		}
		be := openBackend(t, backends.Portable)
		full := sessionOf(t, be, c, file, backends.F32, Attention)
		backbone := sessionOf(t, be, bare, modelfile.New(nil, rest), backends.F32, Attention)
		for _, ratio := range []float64{1, 0.7} {
			plan, err := PlanFor(ratio, c.Patches(), len(c.PruneAt))
			if err != nil {
				t.Fatal(err)
			}
			want := run(t, backbone, input, plan).Logits
			if own := featuresOf(t, backbone, input, plan); !slices.Equal(own, want) {
				t.Errorf("%v, a backbone's answer is %v", own, want)
			}
			if got := featuresOf(t, full, input, plan); !(far(got, want) < 1e-5) {
				t.Errorf("at %v: %v, want %v", ratio, got, want)
			}
		}
		switch {
		case c.Distilled && c.Classes > 0:
			seen["distilled"]++
		case c.Classes == 0:
			seen["backbone"]++
		}
		seen["all"]++
	}
	eachKind(t, func(t *testing.T, k kind, inputs [2][]float32) { check(t, k.config, k.file, inputs[0]) })
	for name, c := range small {
		t.Run(name, func(t *testing.T) {
			tensors, err := Random{Config: c, Seed: 3}.Tensors()
			if err != nil {
				t.Fatal(err)
			}
			check(t, c, modelfile.New(nil, tensors), wave(c, 1))
		})
	}
	if seen["all"] < 15 || seen["distilled"] == 0 || seen["backbone"] == 0 {
		t.Errorf("seen: %v", seen)
	}
}

// TestFeaturesAllocateNothing after the first frame, whether they are asked for or not.
func TestFeaturesAllocateNothing(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind, inputs [2][]float32) {
		s, plan := k.session(t, openBackend(t, backends.Portable), backends.F32, Attention), k.plan(t, 0.7)
		r := Result{WantFeatures: true}
		n := testing.AllocsPerRun(3, func() {
			if err := s.Run(inputs[0], plan, &r); err != nil {
				t.Fatal(err)
			}
		})
		if n != 0 {
			t.Errorf("%v allocations a frame", n)
		}
	})
}

// TestBackboneSum: it is that of the tensors between pixels and features; a head, trained
// predictors and what the metadata says have no say, any other bit has.
func TestBackboneSum(t *testing.T) {
	c := small["deit"]
	tensors, err := Random{Config: c, Seed: 3}.Tensors()
	if err != nil {
		t.Fatal(err)
	}
	sum := func(meta map[string]string, list []modelfile.Tensor) string {
		return BackboneSum(modelfile.New(meta, list))
	}
	want := sum(nil, tensors)
	if len(want) != 64 || want != sum(map[string]string{"license": "MIT"}, tensors) {
		t.Errorf("%q", want)
	}
	for i, tensor := range tensors {
		changed := slices.Clone(tensors)
		changed[i].Data = slices.Clone(tensor.Data)
		changed[i].Data[0] ^= 1
		other := strings.HasPrefix(tensor.Name, "head.") || strings.HasPrefix(tensor.Name, "score_predictor.")
		if same := sum(nil, changed) == want; same != other {
			t.Errorf("%s changed: same %v", tensor.Name, same)
		}
		if less := sum(nil, slices.Delete(slices.Clone(tensors), i, i+1)) == want; less != other {
			t.Errorf("%s missing: same %v", tensor.Name, less)
		}
	}
}
