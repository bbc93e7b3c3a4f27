package vit

import (
	"encoding/json"
	"maps"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dynvit/backends"
	"dynvit/backends/backendtest"
	"dynvit/modelfile"
	"dynvit/modelnames"
)

// kind is a small model of testdata/kinds.safetensors (train/tests/make_kinds.py), as
// another program wrote it, and what that answers.
type kind struct {
	config Config
	file   *modelfile.File
	logits map[string][2][]float32 // of each input: dense ("logits"), and at keep 0.7 by scorer
}

// eachKind runs a test on each of them.
func eachKind(t *testing.T, test func(t *testing.T, k kind, inputs [2][]float32)) {
	all, err := modelfile.Open("testdata/kinds.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { all.Close() })
	x, _, err := all.Float32("x")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(all.Meta)) {
		t.Run(name, func(t *testing.T) {
			k := readKind(t, all, name)
			test(t, k, [2][]float32{k.config.input(x[:len(x)/2]), k.config.input(x[len(x)/2:])})
		})
	}
}

func readKind(t *testing.T, all *modelfile.File, name string) (k kind) {
	t.Helper()
	var tensors []modelfile.Tensor
	for _, full := range all.Names() {
		if short, is := strings.CutPrefix(full, name+"/"); is && !slices.Contains(answers, short) {
			tensor, _ := all.Tensor(full)
			tensor.Name = short
			tensors = append(tensors, tensor)
		}
	}
	tensors, from, err := modelnames.Canonical(tensors)
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]string{}
	if err := json.Unmarshal([]byte(all.Meta[name]), &said); err != nil {
		t.Fatal(err)
	}
	meta := maps.Clone(from.Meta)
	if meta == nil {
		meta = map[string]string{}
	}
	maps.Copy(meta, said)
	m, err := modelfile.ParseManifest(meta)
	if err != nil {
		t.Fatal(err)
	}
	k.file = modelfile.New(nil, tensors)
	if k.config, err = Infer(k.file, m); err != nil {
		t.Fatal(err)
	}
	k.logits = map[string][2][]float32{}
	for _, answer := range answers {
		if !all.Has(name + "/" + answer) {
			continue
		}
		logits, shape, err := all.Float32(name + "/" + answer)
		if err != nil || shape[1] != k.config.Outputs() {
			t.Fatalf("answers %v (%v), the model gives %d", shape, err, k.config.Outputs())
		}
		k.logits[answer] = [2][]float32{logits[:shape[1]], logits[shape[1]:]}
	}
	return k
}

// answers are the tensors of a kind that are none of its model's.
var answers = []string{"logits", "attention", "predictor"}

// far is the largest difference, as a share of the largest value wanted.
func far(got, want []float32) float64 {
	most, difference := 0.0, 0.0
	for i, w := range want {
		most = max(most, math.Abs(float64(w)))
		difference = max(difference, math.Abs(float64(got[i])-float64(w)))
	}
	return difference / most
}

// TestKinds: every kind answers as the program that it comes from, within 1e-5 of the
// largest, on every backend; and pruned as train/ prunes it.
func TestKinds(t *testing.T) {
	seen := map[string]int{}
	eachKind(t, func(t *testing.T, k kind, inputs [2][]float32) {
		eachBackend(t, func(t *testing.T, be backends.Backend) {
			for answer, want := range k.logits {
				seen[answer]++
				scorer, plan := Attention, k.plan(t, 0.7)
				switch answer {
				case "logits":
					plan = k.plan(t, 1)
				case "predictor":
					scorer = Predictor
				}
				s := k.session(t, be, backends.F32, scorer)
				for i, input := range inputs {
					if r := run(t, s, input, plan); !(far(r.Logits, want[i]) < 1e-5) {
						t.Errorf("%s, input %d: off by %.1g of the largest: %v, want %v", answer, i, far(r.Logits, want[i]), r.Logits, want[i])
					}
				}
			}
		})
	})
	if seen["logits"] < 25 || seen["attention"] < 15 || seen["predictor"] < 3 {
		t.Errorf("answers seen: %v", seen)
	}
}

// TestKindsImported: the model file that an import writes is read as the same model, with
// the same answers.
func TestKindsImported(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind, inputs [2][]float32) {
		meta, tensors, _, err := Import(k.file, nil, k.config.Manifest())
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "model.safetensors")
		if err := modelfile.Write(path, meta, tensors); err != nil {
			t.Fatal(err)
		}
		file, err := modelfile.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		c, err := Read(file)
		if err != nil {
			t.Fatal(err)
		}
		again, be := kind{config: c, file: file}, openBackend(t, backends.Portable)
		r := run(t, again.session(t, be, backends.F32, Attention), inputs[0], k.plan(t, 0.7))
		if want := run(t, k.session(t, be, backends.F32, Attention), inputs[0], k.plan(t, 0.7)); !slices.Equal(r.Logits, want.Logits) {
			t.Errorf("%v, want %v", r.Logits, want.Logits)
		}
	})
}

// TestKindsLack: a file that lacks any one of its tensors is refused, in a line that names
// it or says what it would be without.
func TestKindsLack(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind, _ [2][]float32) {
		for _, missing := range k.file.Names() {
			if strings.HasPrefix(missing, "score_predictor.") {
				continue
			}
			var rest []modelfile.Tensor
			for _, name := range k.file.Names() {
				if tensor, _ := k.file.Tensor(name); name != missing {
					rest = append(rest, tensor)
				}
			}
			c, err := Infer(modelfile.New(nil, rest), modelfile.Manifest{Heads: 2, Head: k.config.Manifest().Head, Pool: k.config.Pooling()})
			switch {
			case err != nil && !strings.Contains(err.Error(), "\n"):
			case optional[missing]: // another kind, as far as anyone can tell
			default:
				t.Errorf("without %s it is taken for %+v (%v)", missing, c, err)
			}
		}
	})
}

// optional are tensors without which a model is another one of the kinds.
var optional = map[string]bool{"cls_token": true, "reg_token": true, "patch_embed.proj.bias": true}

// TestKindsReplay: what a recorder replays is what is done without one, of every kind
// by every scorer that it has, and a frame allocates nothing.
func TestKindsReplay(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind, inputs [2][]float32) {
		for _, scorer := range []Scorer{Predictor, Attention, CLSAttention, Merge, PredictorMerge} {
			if scorer.predicts() && !k.config.Predictors || scorer == CLSAttention && k.config.NoCLS {
				continue
			}
			be := openBackend(t, backends.Portable)
			_, recorder := backendtest.NewSpy(be, true)
			recorded, eager := k.session(t, recorder, backends.F32, scorer), k.session(t, be, backends.F32, scorer)
			var r Result
			for _, ratio := range []float64{0.7, 1, 0.3, 0.7} {
				plan := k.plan(t, ratio)
				for _, input := range inputs {
					got, want := run(t, recorded, input, plan), run(t, eager, input, plan)
					if !slices.Equal(got.Logits, want.Logits) || !slices.EqualFunc(got.Kept, want.Kept, slices.Equal) {
						t.Errorf("%v at %v: replayed %v, want %v", scorer, ratio, got, want)
					}
				}
				if err := eager.Run(inputs[0], plan, &r); err != nil {
					t.Fatal(err)
				}
				if n := testing.AllocsPerRun(3, func() { eager.Run(inputs[0], plan, &r) }); n != 0 {
					t.Errorf("%v at %v: %v allocations a frame", scorer, ratio, n)
				}
			}
		}
	})
}

// TestKindsRound: every kind runs in every precision of every backend, pruned, and answers
// about as in f32.
func TestKindsRound(t *testing.T) {
	limits := map[backends.Precision]float64{backends.F32: 1e-5, backends.F16: 0.005, backends.BF16: 0.03, backends.Int8: 0.08}
	eachKind(t, func(t *testing.T, k kind, inputs [2][]float32) {
		eachBackend(t, func(t *testing.T, be backends.Backend) {
			for _, p := range be.Facts().Precisions {
				s := k.session(t, be, p, Attention)
				for i, input := range inputs {
					dense := run(t, s, input, k.plan(t, 1))
					if e := far(dense.Logits, k.logits["logits"][i]); !(e < limits[p]) {
						t.Errorf("%v, input %d: off by %.2g of the largest", p, i, e)
					}
					pruned := run(t, s, input, k.plan(t, 0.7))
					if want := []int{16 + k.config.Prefix(), 11 + k.config.Prefix(), 7 + k.config.Prefix()}; !slices.Equal(pruned.Tokens, want) {
						t.Errorf("%v: tokens %v, want %v", p, pruned.Tokens, want)
					}
				}
			}
		})
	})
}

// TestKindsAgree: in int8 the kinds name what they name in f32 for 98 % of 200 random
// pictures, together, dense and pruned, and each for 96 %: with random weights the best two
// classes are often close, as they are for the plain one.
func TestKindsAgree(t *testing.T) {
	const pictures = 200
	for _, ratio := range []float64{1, 0.7} {
		kinds, same := 0, 0
		eachKind(t, func(t *testing.T, k kind, _ [2][]float32) {
			if k.config.Classes == 0 {
				return
			}
			be, rng := openBackend(t, backends.Portable), rand.New(rand.NewPCG(1, 2))
			exact, rounded := k.session(t, be, backends.F32, Attention), k.session(t, be, backends.Int8, Attention)
			own, plan, input := 0, k.plan(t, ratio), make([]float32, k.config.InputLen())
			for range pictures {
				for i := range input {
					input[i] = float32(rng.NormFloat64())
				}
				if best(run(t, exact, input, plan).Logits) == best(run(t, rounded, input, plan).Logits) {
					own++
				}
			}
			if own < pictures*96/100 {
				t.Errorf("at %v %d of %d pictures have f32's class", ratio, own, pictures)
			}
			kinds, same = kinds+1, same+own
		})
		t.Logf("at %v %d of %d pictures have f32's class", ratio, same, kinds*pictures)
		if kinds < 20 || same < kinds*pictures*98/100 {
			t.Errorf("at %v %d of %d pictures have f32's class", ratio, same, kinds*pictures)
		}
	}
}

// TestScorersOfAKind: what a model without CLS cannot do is refused, by name and by value.
func TestScorersOfAKind(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind, _ [2][]float32) {
		scorer, err := ParseScorer("cls-attention", k.config, true)
		if (err != nil) != k.config.NoCLS || err == nil && scorer != CLSAttention {
			t.Errorf("%v, %v", scorer, err)
		}
		be := openBackend(t, backends.Portable)
		w, err := Load(be, k.config, k.file, backends.F32)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := NewSession(be, w, CLSAttention); (err != nil) != k.config.NoCLS {
			t.Error(err)
		}
	})
}

// TestKindsThatDoNotGoTogether: each is refused in a line that names what does not fit.
func TestKindsThatDoNotGoTogether(t *testing.T) {
	for words, change := range map[string]func(c *Config){
		"act":               func(c *Config) { c.Act = "swish" },
		"pool":              func(c *Config) { c.Pool = "map" },
		"no CLS":            func(c *Config) { c.NoCLS = true },
		"token alone":       func(c *Config) { c.Distilled, c.Pool = true, PoolMean },
		"want a head":       func(c *Config) { c.Pool, c.Classes = PoolBoth, 0 },
		"needs an even one": func(c *Config) { c.Pool, c.Width, c.Heads, c.Predictors = PoolMean, 65, 5, false },
		"norm.weight":       func(c *Config) { c.NoNorm = true },
		"auxiliary head":    func(c *Config) { c.AuxHead, c.Registers = true, 1 },
		"registers 257":     func(c *Config) { c.Registers = 257 },
		"registers -1":      func(c *Config) { c.Registers = -1 },
	} {
		c := small["deit"]
		change(&c)
		if err := c.Check(); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", words, err)
		}
	}
}

func best(logits []float32) (class int) {
	for i, v := range logits {
		if v > logits[class] {
			class = i
		}
	}
	return class
}

func (k kind) session(t *testing.T, be backends.Backend, p backends.Precision, scorer Scorer) *Session {
	t.Helper()
	return sessionOf(t, be, k.config, k.file, p, scorer)
}

func (k kind) plan(t *testing.T, ratio float64) Plan {
	t.Helper()
	p, err := PlanFor(ratio, k.config.Patches(), len(k.config.PruneAt))
	if err != nil {
		t.Fatal(err)
	}
	return p
}
