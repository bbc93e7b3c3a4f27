package export

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dynvit/modelfile"
	"dynvit/vit"
)

// small is a model of a shape, with random weights.
func small(t *testing.T, change func(c *vit.Config)) (*modelfile.File, vit.Config) {
	t.Helper()
	c, err := vit.Named("deit_tiny")
	if err != nil {
		t.Fatal(err)
	}
	c.ImageSize, c.Width, c.Heads, c.Depth, c.Hidden, c.Classes, c.PruneAt, c.Resize = 64, 48, 3, 4, 96, 5, []int{1, 2, 3}, 0
	change(&c)
	tensors, err := vit.Random{Config: c, Seed: 1}.Tensors()
	if err != nil {
		t.Fatal(err)
	}
	return modelfile.New(c.Manifest().Encode(), tensors), c
}

// TestForms: which class a kind is written as, and what is refused before anything is written.
func TestForms(t *testing.T) {
	for name, c := range map[string]struct {
		change func(c *vit.Config)
		says   string // in config.json, or the error
	}{
		"a warped ViT":       {func(c *vit.Config) {}, `"model_type": "vit"`},
		"rounded as there":   {func(c *vit.Config) { c.Resize, c.FloorCrop = 73, true }, `"model_type": "vit"`},
		"rounded as in timm": {func(c *vit.Config) { c.Resize = 73 }, `"crop_mode": "center"`},
		"another eps":        {func(c *vit.Config) { c.Resize, c.Eps = 73, 1e-12 }, `"layer_norm_eps": 1e-12`},
		"quick GELU":         {func(c *vit.Config) { c.Act = vit.ActQuick }, `"hidden_act": "quick_gelu"`},
		"squashed":           {func(c *vit.Config) { c.Resize, c.Squash = 73, true }, `"crop_mode": "squash"`},
		"mean pooling":       {func(c *vit.Config) { c.Pool = vit.PoolMean }, `"global_pool": "avg"`},
		"both pools":         {func(c *vit.Config) { c.Pool = vit.PoolBoth }, "error: pool token+avg"},
		"mean, eps":          {func(c *vit.Config) { c.Pool, c.Eps = vit.PoolMean, 1e-12 }, "error: layer_norm_eps"},
		"branches":           {func(c *vit.Config) { c.SkipLam = 2 }, "error: skip_lam 2"},
		"LV-ViT": {func(c *vit.Config) {
			c.ConvStem, c.AuxHead, c.QKVBias = 8, true, false
		}, "error: an LV-ViT"},
	} {
		t.Run(name, func(t *testing.T) {
			f, config := small(t, c.change)
			dir := filepath.Join(t.TempDir(), "out")
			notes, err := HuggingFace(f, config, dir)
			if want, is := strings.CutPrefix(c.says, "error: "); is {
				if _, there := os.Stat(dir); err == nil || !strings.Contains(err.Error(), want) || there == nil {
					t.Errorf("%v, %v, want %q and no folder", err, there, want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(filepath.Join(dir, "config.json"))
			if err != nil || !strings.Contains(string(text), c.says) {
				t.Errorf("%v: %s, want %s", err, text, c.says)
			}
			if len(notes) == 0 || !strings.Contains(notes[0], "predictors") {
				t.Errorf("notes %q say nothing of the predictors", notes)
			}
			written, err := modelfile.Open(filepath.Join(dir, "model.safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			defer written.Close()
			for _, name := range written.Names() {
				if strings.Contains(name, "score_predictor") {
					t.Errorf("tensor %s", name)
				}
			}
		})
	}
}

// TestInt8: other programs get numbers.
func TestInt8(t *testing.T) {
	f, c := small(t, func(c *vit.Config) { c.Predictors = false })
	var tensors []modelfile.Tensor
	for _, name := range f.Names() {
		data, shape, err := f.Float32(name)
		if err != nil {
			t.Fatal(err)
		}
		as := modelfile.F32
		if strings.HasSuffix(name, "qkv.weight") {
			as = modelfile.I8
		}
		list, err := modelfile.FromFloat32(name, data, shape, as)
		if err != nil {
			t.Fatal(err)
		}
		tensors = append(tensors, list...)
	}
	packed := modelfile.New(nil, tensors)
	dir := t.TempDir()
	if _, err := HuggingFace(packed, c, dir); err != nil {
		t.Fatal(err)
	}
	g, err := modelfile.Open(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	want, _, err := packed.Float32("blocks.1.attn.qkv.weight")
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := g.Float32("vit.encoder.layer.1.attention.attention.key.weight")
	if err != nil || len(got) != c.Width*c.Width {
		t.Fatalf("%d numbers, %v", len(got), err)
	}
	for i, v := range got {
		if v != want[c.Width*c.Width+i] {
			t.Fatalf("element %d is %v, want %v", i, v, want[c.Width*c.Width+i])
		}
	}
}

// TestShare: timm takes the whole pixels of size/crop_pct, which must be the resize again.
func TestShare(t *testing.T) {
	for size := 32; size <= 512; size += 16 {
		for resize := size; resize < 2*size; resize++ {
			if got := int(math.Floor(float64(size) / share(size, resize))); got != resize {
				t.Fatalf("%d to %d: comes out as %d", size, resize, got)
			}
		}
	}
}
