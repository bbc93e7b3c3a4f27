package modelfile

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Manifest is a model file's metadata, typed. Zero values stand for absent keys,
// which the reader of the model infers from names and shapes.
type Manifest struct {
	Architecture  string
	Width         int
	Depth         int // blocks
	Heads         int
	MLPRatio      float64   // hidden width by width
	PatchSize     int       // pixels a side
	ImageSize     int       // pixels a side
	Resize        int       // pixels of the short side before the centre crop; Warp: none, straight to the image size
	CropMode      string    // "squash": both sides become Resize, whatever the picture's shape; "" or "center": the short one
	CropOffset    string    // "floor": half of what the centre crop leaves is rounded down; "": to even, as torchvision does
	Interpolation string    // of the resize, such as "bicubic"
	Mean, Std     []float32 // of R, G, B on a scale of 0 to 1: three each, or none
	LayerNormEps  float64
	Classes       []string // labels in order
	Synsets       []string // WordNet ids in the same order
	PruneAt       []int    // blocks, from 0, that drop patches; nil where absent
	MergeAt       []int    // blocks, from 0, that merge patches; nil where absent
	Scorer        string   // by which patches are removed as the model was made for, such as "predictor+merge"
	Stem          string   // "" for a plain patch embedding
	SkipLam       float64  // what residual branches are divided by
	Act           string   // what the MLP applies, such as "quick_gelu"; "": GELU
	Pool          string   // what the head reads, such as "avg"; "": as the tensors tell
	Head          string   // NoHead, or ""
	// PositionResize is how a file's program brings positions to another grid:
	// PlainResize, or "", antialiased. It concerns imports; model files have none.
	PositionResize string
	License        string
	Training       string // how the weights came to be
}

// field is one metadata key and how it is read and written.
type field struct {
	key   string
	read  func(m *Manifest, s string) error
	write func(m *Manifest) string
}

// NoHead says, as Manifest.Head, that a model has no classifier: a backbone.
const NoHead = "none"

// PlainResize is bicubic interpolation of four neighbours, however far apart the results
// are (a = -0.75: PyTorch's without antialias, as transformers uses it).
const PlainResize = "plain"

// Warp is the Resize of a model that takes the whole picture at its image size,
// whatever its shape; "warp" in metadata.
const Warp = -1

const (
	// maxSize bounds every size in the metadata; no model of this kind comes near it.
	maxSize       = 1 << 16
	listSeparator = "|"
)

func fields() []field {
	return []field{
		textField("architecture", func(m *Manifest) *string { return &m.Architecture }),
		intField("width", func(m *Manifest) *int { return &m.Width }),
		intField("depth", func(m *Manifest) *int { return &m.Depth }),
		intField("heads", func(m *Manifest) *int { return &m.Heads }),
		floatField("mlp_ratio", func(m *Manifest) *float64 { return &m.MLPRatio }),
		intField("patch_size", func(m *Manifest) *int { return &m.PatchSize }),
		intField("image_size", func(m *Manifest) *int { return &m.ImageSize }),
		resizeField(),
		choiceField("crop_mode", func(m *Manifest) *string { return &m.CropMode }, "center", "squash"),
		choiceField("crop_offset", func(m *Manifest) *string { return &m.CropOffset }, "floor"),
		textField("interpolation", func(m *Manifest) *string { return &m.Interpolation }),
		tripleField("mean", func(m *Manifest) *[]float32 { return &m.Mean }),
		tripleField("std", func(m *Manifest) *[]float32 { return &m.Std }),
		floatField("layer_norm_eps", func(m *Manifest) *float64 { return &m.LayerNormEps }),
		listField("classes", func(m *Manifest) *[]string { return &m.Classes }),
		listField("synsets", func(m *Manifest) *[]string { return &m.Synsets }),
		blocksField("prune_at", func(m *Manifest) *[]int { return &m.PruneAt }),
		blocksField("merge_at", func(m *Manifest) *[]int { return &m.MergeAt }),
		textField("scorer", func(m *Manifest) *string { return &m.Scorer }),
		textField("stem", func(m *Manifest) *string { return &m.Stem }),
		floatField("skip_lam", func(m *Manifest) *float64 { return &m.SkipLam }),
		textField("act", func(m *Manifest) *string { return &m.Act }),
		textField("pool", func(m *Manifest) *string { return &m.Pool }),
		textField("head", func(m *Manifest) *string { return &m.Head }),
		textField("position_resize", func(m *Manifest) *string { return &m.PositionResize }),
		textField("license", func(m *Manifest) *string { return &m.License }),
		textField("training", func(m *Manifest) *string { return &m.Training }),
	}
}

// ParseManifest reads the keys it knows of a file's metadata: sizes from 1 to
// 65536, positive ratios and eps, three finite numbers of mean and std (std
// positive), ascending blocks, labels that are not empty. An error names the key.
func ParseManifest(meta map[string]string) (Manifest, error) {
	var m Manifest
	for _, f := range fields() {
		s, ok := meta[f.key]
		if !ok {
			continue
		}
		if err := f.read(&m, s); err != nil {
			return Manifest{}, fmt.Errorf("metadata %s %.40q: %w", f.key, s, err)
		}
	}
	if m.Synsets != nil && m.Classes != nil && len(m.Synsets) != len(m.Classes) {
		return Manifest{}, fmt.Errorf("metadata synsets: %d for %d classes", len(m.Synsets), len(m.Classes))
	}
	return m, nil
}

// Encode writes what is set as metadata; ParseManifest reads it back, provided
// that values are in its ranges and no label holds |, as ReadLabels ensures.
func (m Manifest) Encode() map[string]string {
	meta := map[string]string{}
	for _, f := range fields() {
		if s := f.write(&m); s != "" {
			meta[f.key] = s
		}
	}
	return meta
}

// Keys are the metadata's keys, in the order of Manifest.
func Keys() []string {
	var keys []string
	for _, f := range fields() {
		keys = append(keys, f.key)
	}
	return keys
}

func textField(key string, at func(*Manifest) *string) field {
	return field{key,
		func(m *Manifest, s string) error { *at(m) = s; return nil },
		func(m *Manifest) string { return *at(m) }}
}

func intField(key string, at func(*Manifest) *int) field {
	return field{key,
		func(m *Manifest, s string) error {
			n, err := strconv.Atoi(s)
			if err != nil || n < 1 || n > maxSize {
				return fmt.Errorf("want a whole number from 1 to %d", maxSize)
			}
			*at(m) = n
			return nil
		},
		func(m *Manifest) string {
			if *at(m) == 0 {
				return ""
			}
			return strconv.Itoa(*at(m))
		}}
}

// resizeField is an intField that may say warp, or 0, which means the same.
func resizeField() field {
	number := intField("resize", func(m *Manifest) *int { return &m.Resize })
	return field{number.key,
		func(m *Manifest, s string) error {
			if s == "warp" || s == "0" {
				m.Resize = Warp
				return nil
			}
			if err := number.read(m, s); err != nil {
				return fmt.Errorf("%w, or warp", err)
			}
			return nil
		},
		func(m *Manifest) string {
			if m.Resize == Warp {
				return "warp"
			}
			return number.write(m)
		}}
}

func choiceField(key string, at func(*Manifest) *string, choices ...string) field {
	return field{key,
		func(m *Manifest, s string) error {
			if !slices.Contains(choices, s) {
				return fmt.Errorf("want %s", strings.Join(choices, " or "))
			}
			*at(m) = s
			return nil
		},
		func(m *Manifest) string { return *at(m) }}
}

func floatField(key string, at func(*Manifest) *float64) field {
	return field{key,
		func(m *Manifest, s string) error {
			v, err := strconv.ParseFloat(s, 64)
			if err != nil || !(v > 0) || v > maxSize {
				return fmt.Errorf("want a number above 0, at most %d", maxSize)
			}
			*at(m) = v
			return nil
		},
		func(m *Manifest) string {
			if *at(m) == 0 {
				return ""
			}
			return strconv.FormatFloat(*at(m), 'g', -1, 64)
		}}
}

func tripleField(key string, at func(*Manifest) *[]float32) field {
	return field{key,
		func(m *Manifest, s string) error {
			words := strings.Split(s, ",")
			v := make([]float32, 0, 3)
			for _, w := range words {
				x, err := strconv.ParseFloat(strings.TrimSpace(w), 32)
				if err != nil || math.IsNaN(x) || math.IsInf(x, 0) || (key == "std" && x <= 0) {
					return fmt.Errorf("%q is not a usable number", w)
				}
				v = append(v, float32(x))
			}
			if len(v) != 3 {
				return errors.New("want three numbers, r,g,b")
			}
			*at(m) = v
			return nil
		},
		func(m *Manifest) string {
			words := make([]string, len(*at(m)))
			for i, x := range *at(m) {
				words[i] = strconv.FormatFloat(float64(x), 'g', -1, 32)
			}
			return strings.Join(words, ",")
		}}
}

func listField(key string, at func(*Manifest) *[]string) field {
	return field{key,
		func(m *Manifest, s string) error {
			list := strings.Split(s, listSeparator)
			if err := checkLabels(list); err != nil {
				return err
			}
			*at(m) = list
			return nil
		},
		func(m *Manifest) string { return strings.Join(*at(m), listSeparator) }}
}

func blocksField(key string, at func(*Manifest) *[]int) field {
	return field{key,
		func(m *Manifest, s string) (err error) {
			*at(m), err = parseBlocks(s)
			return err
		},
		func(m *Manifest) string { return FormatBlocks(*at(m)) }}
}

// FormatBlocks writes block numbers as parseBlocks reads them.
func FormatBlocks(blocks []int) string {
	words := make([]string, len(blocks))
	for i, n := range blocks {
		words[i] = strconv.Itoa(n)
	}
	return strings.Join(words, ",")
}

// parseBlocks reads block numbers as prune_at and --prune-at write them: "3,6,9".
func parseBlocks(s string) ([]int, error) {
	blocks := []int{}
	for _, w := range strings.Split(s, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(w))
		if err != nil || n < 0 || n > maxSize || (len(blocks) > 0 && n <= blocks[len(blocks)-1]) {
			return nil, errors.New("want ascending block numbers such as 3,6,9")
		}
		blocks = append(blocks, n)
	}
	return blocks, nil
}
