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
		"image_size": "224", "resize": "256", "crop_mode": "squash", "crop_offset": "floor", "interpolation": "bicubic", "mean": "0.485,0.456,0.406",
		"std": "0.229,0.224,0.225", "layer_norm_eps": "1e-06", "classes": "a|b c", "synsets": "n1|n2",
		"prune_at": "3,6,9", "merge_at": "3,4,6", "scorer": "predictor+merge", "stem": "lvvit", "skip_lam": "2", "license": "MIT", "training": "none",
	}
	m, err := ParseManifest(meta)
	if err != nil {
		t.Fatal(err)
	}
	if m.Width != 128 || m.LayerNormEps != 1e-6 || !slices.Equal(m.PruneAt, []int{3, 6, 9}) || m.Scorer != "predictor+merge" || m.Classes[1] != "b c" {
		t.Errorf("%+v", m)
	}
	if back := m.Encode(); !maps.Equal(back, meta) {
		t.Errorf("encodes as %v", back)
	}
	for _, warp := range []string{"0", "warp"} {
		m, err := ParseManifest(map[string]string{"resize": warp})
		if err != nil || m.Resize != Warp || m.Encode()["resize"] != "warp" {
			t.Errorf("resize %s: %+v, %v", warp, m, err)
		}
	}
	if empty, err := ParseManifest(map[string]string{"format": "pt"}); err != nil || len(empty.Encode()) != 0 {
		t.Errorf("without known keys: %+v (%v)", empty, err)
	}
}

func TestManifestErrors(t *testing.T) {
	for key, values := range map[string][]string{
		"width":          {"-1", "0", "65537", "1.5", "x"},
		"depth":          {"99999999999999999999"},
		"heads":          {"70000"},
		"patch_size":     {"16px"},
		"image_size":     {""},
		"resize":         {"NaN", "-1", "wrap", ""},
		"crop_mode":      {"border", ""},
		"crop_offset":    {"even", "1"},
		"mlp_ratio":      {"0", "-4", "Inf", "1e9"},
		"mean":           {"1,2", "1,2,3,4", "1,NaN,1", "", "1,2,x"},
		"std":            {"1,0,1", "1,-1,1", "Inf,1,1", "1e-60,1,1"},
		"layer_norm_eps": {"NaN", "0", "-1e-6", "Inf", ""},
		"skip_lam":       {"-2"},
		"merge_at":       {"3,3", "", "a"},
		"prune_at":       {"3,3", "6,3", "-1", "", "3,,6", "a", "3;6"},
		"classes":        {"", "a||b", "a|b\nc", strings.Repeat("a|", maxSize) + "a"},
		"synsets":        {"|"},
	} {
		for _, bad := range values {
			_, err := ParseManifest(map[string]string{key: bad})
			if err == nil || !strings.Contains(err.Error(), "metadata "+key+" ") || strings.Contains(err.Error(), "\n") || len(err.Error()) > 200 {
				t.Errorf("%s %.40q: error %v does not name the key in one short line", key, bad, err)
			}
		}
	}
	if _, err := ParseManifest(map[string]string{"classes": "a|b", "synsets": "n1"}); err == nil || !strings.Contains(err.Error(), "1 for 2 classes") {
		t.Errorf("too few synsets give %v", err)
	}
}
