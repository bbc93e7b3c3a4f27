package modelfile

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestManifest(t *testing.T) {
	meta := map[string]string{
		"architecture": "vit", "width": "128", "depth": "12", "heads": "2", "mlp_ratio": "4", "patch_size": "16",
		"image_size": "224", "resize": "256", "interpolation": "bicubic", "mean": "0.485,0.456,0.406",
		"std": "0.229,0.224,0.225", "layer_norm_eps": "1e-06", "classes": "a|b c", "synsets": "n1|n2",
		"prune_at": "3,6,9", "stem": "lvvit", "skip_lam": "2", "license": "MIT", "training": "none",
	}
	m, err := ParseManifest(meta)
	if err != nil {
		t.Fatal(err)
	}
	if m.Width != 128 || m.LayerNormEps != 1e-6 || !slices.Equal(m.PruneAt, []int{3, 6, 9}) || m.Classes[1] != "b c" {
		t.Errorf("%+v", m)
	}
	if back := m.Encode(); !maps.Equal(back, meta) {
		t.Errorf("encodes as %v", back)
	}
	for key, bad := range map[string]string{
		"width": "-1", "depth": "x", "heads": "70000", "mlp_ratio": "0", "mean": "1,2", "std": "1,0,1",
		"layer_norm_eps": "NaN", "prune_at": "3,3", "skip_lam": "-2", "image_size": "",
	} {
		if _, err := ParseManifest(map[string]string{key: bad}); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s %q: error %v does not name the key", key, bad, err)
		}
	}
}

func TestLabels(t *testing.T) {
	for name, c := range map[string]struct {
		text           string
		names, synsets []string
	}{
		"synsets": {"n01440764 tench, Tinca tinca\nn01443537 goldfish\n", []string{"tench, Tinca tinca", "goldfish"}, []string{"n01440764", "n01443537"}},
		"plain":   {"cat\ndog", []string{"cat", "dog"}, nil},
		"array":   {`["cat","dog"]`, []string{"cat", "dog"}, nil},
		"object":  {`{"1":"dog","0":"cat"}`, []string{"cat", "dog"}, nil},
	} {
		l, err := ParseLabels([]byte(c.text))
		if err != nil || !slices.Equal(l.Names, c.names) || !slices.Equal(l.Synsets, c.synsets) {
			t.Errorf("%s: %+v %v", name, l, err)
		}
	}
	for _, bad := range []string{"", `{"5":"x"}`, `[1]`} {
		if _, err := ParseLabels([]byte(bad)); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}
