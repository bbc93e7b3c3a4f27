package vit

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"testing"

	"dynvit/backends"
	"dynvit/modelfile"
)

// eachMerged runs a test on each small model of testdata/merging.safetensors
// (train/tests/make_merging.py), on two inputs, by each scorer that merges, at each ratio.
func eachMerged(t *testing.T, test func(t *testing.T, k kind, m merged)) {
	all, err := modelfile.Open("testdata/merging.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { all.Close() })
	for _, name := range slices.Sorted(maps.Keys(all.Meta)) {
		t.Run(name, func(t *testing.T) {
			k := readKind(t, all, name)
			for _, scorer := range []Scorer{Merge, PredictorMerge} {
				for _, ratio := range []float64{0.9, 0.7, 0.5, 0.25} {
					for example := range 2 {
						test(t, k, readMerged(t, all, name, k.config, scorer, ratio, example))
					}
				}
			}
		})
	}
}

// merged is what train/ makes of an input.
type merged struct {
	name   string
	scorer Scorer
	plan   Plan
	input  []float32
	logits []float32
	groups [][]int32
}

func readMerged(t *testing.T, all *modelfile.File, name string, c Config, scorer Scorer, ratio float64, example int) merged {
	t.Helper()
	plan, err := PlanFor(ratio, c.Patches(), len(c.PruneAt))
	if err != nil {
		t.Fatal(err)
	}
	m := merged{name: fmt.Sprintf("%v at %v, input %d", scorer, ratio, example), scorer: scorer, plan: plan}
	part := func(key string) []float32 {
		data, shape, err := all.Float32(key)
		if err != nil {
			t.Fatal(err)
		}
		n := len(data) / shape[0]
		return data[example*n:][:n]
	}
	at := fmt.Sprintf("answers/%s/%v/%v/", name, scorer, ratio)
	m.input, m.logits = c.input(part("answers/"+name+"/x")), part(at+"logits")
	for stage := range c.PruneAt {
		tensor, ok := all.Tensor(fmt.Sprintf("%sgroups.%d", at, stage))
		if !ok || len(tensor.Data) != 2*2*c.Patches() {
			t.Fatalf("%sgroups.%d: %v, %d bytes", at, stage, ok, len(tensor.Data))
		}
		ids := make([]int32, c.Patches())
		for i := range ids {
			ids[i] = int32(int16(binary.LittleEndian.Uint16(tensor.Data[2*(example*len(ids)+i):])))
		}
		m.groups = append(m.groups, ids)
	}
	return m
}

// force has a session merge as m says.
func (m merged) force(s *Session) {
	s.forcedGroups, s.forced = m.groups, nil
	for _, of := range m.groups {
		there := slices.DeleteFunc(slices.Compact(slices.Sorted(slices.Values(of))), func(id int32) bool { return id < 0 })
		s.forced = append(s.forced, there)
	}
}

// TestMergedAsTrained: on every backend patches go where train/ has them go, and the answers
// are within 1e-5 of the largest.
func TestMergedAsTrained(t *testing.T) {
	cases := 0
	eachMerged(t, func(t *testing.T, k kind, m merged) {
		cases++
		eachBackend(t, func(t *testing.T, be backends.Backend) {
			if _, merges := be.(backends.Merger); !merges {
				t.Skip("the backend merges no patches")
			}
			s := k.session(t, be, backends.F32, m.scorer)
			r := run(t, s, m.input, m.plan)
			if !slices.EqualFunc(r.Groups, m.groups, slices.Equal) {
				t.Errorf("%s: groups %v, want %v", m.name, r.Groups, m.groups)
			}
			if e := far(r.Logits, m.logits); !(e < 1e-5) {
				t.Errorf("%s: off by %.2g: %v, want %v", m.name, e, r.Logits, m.logits)
			}
			m.force(s)
			if r := run(t, s, m.input, m.plan); !(far(r.Logits, m.logits) < 1e-5) || !slices.EqualFunc(r.Groups, m.groups, slices.Equal) {
				t.Errorf("%s, forced: %v, want %v", m.name, r.Logits, m.logits)
			}
		})
	})
	if cases < 5*2*4*2 {
		t.Errorf("%d cases", cases)
	}
}

// TestMergedRounded: in each precision of every backend, patches going where train/ has
// them go, answers are about those in f32.
func TestMergedRounded(t *testing.T) {
	limits := map[backends.Precision]float64{backends.F32: 1e-5, backends.F16: 0.005, backends.BF16: 0.03, backends.Int8: 0.08}
	eachMerged(t, func(t *testing.T, k kind, m merged) {
		eachBackend(t, func(t *testing.T, be backends.Backend) {
			if _, merges := be.(backends.Merger); !merges {
				t.Skip("the backend merges no patches")
			}
			for _, p := range be.Facts().Precisions {
				s := k.session(t, be, p, m.scorer)
				m.force(s)
				if e := far(run(t, s, m.input, m.plan).Logits, m.logits); !(e < limits[p]) {
					t.Errorf("%s, %v: off by %.2g of the largest", m.name, p, e)
				}
			}
		})
	})
}
