package modelstore

import (
	"strings"
	"testing"

	"dynvit/checkpoint"
	"dynvit/vit"
)

// TestDoubts: what can be wrong without anything showing it is doubted, unless a source says
// it; what is assumed is not said.
func TestDoubts(t *testing.T) {
	whole := map[string]string{"mean": "0,0,0", "std": "1,1,1", "heads": "6", "skip_lam": "2", "pool": "avg", "act": "gelu"}
	small := vit.Config{Width: 384, Heads: 6}
	for name, c := range map[string]struct {
		config vit.Config
		said   map[string]string
		want   string
	}{
		"nothing said":     {vit.Config{Width: 192, Heads: 3}, nil, "mean"},
		"mean alone":       {vit.Config{Width: 192, Heads: 3}, map[string]string{"mean": "0,0,0"}, "mean"},
		"384":              {small, map[string]string{"mean": "0,0,0", "std": "1,1,1"}, "both 6 and 12"},
		"768":              {vit.Config{Width: 768, Heads: 12}, map[string]string{"mean": "0,0,0", "std": "1,1,1"}, "both 8 and 12"},
		"an LV-ViT":        {vit.Config{Width: 512, Depth: 24, ConvStem: 64, SkipLam: 2}, map[string]string{"mean": "0,0,0", "std": "1,1,1"}, "skip_lam 2"},
		"LV-ViT-M":         {vit.Config{Width: 512, Depth: 20, ConvStem: 64, SkipLam: 2}, map[string]string{"mean": "0,0,0", "std": "1,1,1"}, ""},
		"average pooling":  {vit.Config{Width: 192, Pool: vit.PoolMean}, map[string]string{"mean": "0,0,0", "std": "1,1,1"}, "pool avg"},
		"CLIP":             {vit.Config{Width: 192, PreNorm: true}, map[string]string{"mean": "0,0,0", "std": "1,1,1"}, "act gelu"},
		"all of it, said":  {vit.Config{Width: 384, Heads: 6, PreNorm: true, ConvStem: 64, Pool: vit.PoolMean}, whole, ""},
		"a small one said": {small, whole, ""},
	} {
		facts := []checkpoint.Facts{{From: "usual", Meta: whole, Assumed: true}, {From: "config.json", Meta: c.said}}
		m, err := merge(facts, "")
		if err != nil {
			t.Fatal(err)
		}
		doubts := strings.Join(m.doubts(c.config), "\n")
		if (c.want == "") != (doubts == "") || !strings.Contains(doubts, c.want) || strings.Count(doubts, "\n") > 0 {
			t.Errorf("%s: %q, want %q", name, doubts, c.want)
		}
	}
}

// TestMerge: later sources go before earlier ones, whole geometries before parts of others,
// and errors name the source.
func TestMerge(t *testing.T) {
	m, err := merge([]checkpoint.Facts{
		{From: "a", Meta: map[string]string{"resize": "70", "crop_mode": "squash", "crop_offset": "floor", "classes": "x|y", "synsets": "n1|n2", "heads": "3"}},
		{From: "b", Meta: map[string]string{"resize": "80", "classes": "z|w"}},
	}, "")
	if err != nil || m.manifest.Resize != 80 || m.manifest.CropMode != "" || m.manifest.CropOffset != "" || m.manifest.Synsets != nil || m.manifest.Heads != 3 {
		t.Errorf("%+v, %v", m.manifest, err)
	}
	for key, from := range map[string]string{"resize": "b", "heads": "a", "width": "tensors", "mean": "assumed", "prune_at": "default", "crop_mode": "assumed"} {
		if got := m.source(key); got != from {
			t.Errorf("%s is from %s, want %s", key, got, from)
		}
	}
	if _, err := merge([]checkpoint.Facts{{From: "config.json", Meta: map[string]string{"heads": "many"}}}, ""); err == nil || !strings.HasPrefix(err.Error(), "config.json: ") {
		t.Errorf("a bad value: %v", err)
	}
	m, err = merge([]checkpoint.Facts{{From: "config.json", Meta: map[string]string{"head": "none", "classes": "a|b"}}}, "")
	if err != nil || m.manifest.Classes != nil {
		t.Errorf("a backbone: %v, %v", m.manifest.Classes, err)
	}
}
