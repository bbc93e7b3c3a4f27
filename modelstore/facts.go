package modelstore

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"dynvit/checkpoint"
	"dynvit/modelfile"
	"dynvit/vit"
)

// Value is one thing that a model file says of a model.
type Value struct {
	Key, Text string
	From      string // "flag", "config.json", "tensors", "assumed" …
	written   bool   // stands in the file; others are what its absence means
}

// merged is what all sources say together.
type merged struct {
	manifest modelfile.Manifest
	from     map[string]string // by key
	assumed  map[string]bool
}

const assumed = "assumed"

// merge lets later facts go before earlier ones.
func merge(facts []checkpoint.Facts, labels string) (merged, error) {
	m := merged{from: map[string]string{}, assumed: map[string]bool{}}
	meta, resize := map[string]string{}, resizing{}
	for _, f := range facts {
		own, err := modelfile.ParseManifest(f.Meta)
		if err != nil {
			return m, fmt.Errorf("%s: %w", f.From, err)
		}
		for k, v := range f.Meta {
			meta[k], m.from[k], m.assumed[k] = v, f.From, f.Assumed
		}
		resize.follow(own)
		for _, pair := range [][2]string{{"classes", "synsets"}, {"resize", "crop_mode"}, {"resize", "crop_offset"}} {
			if f.Meta[pair[0]] != "" && f.Meta[pair[1]] == "" {
				delete(meta, pair[1])
				delete(m.from, pair[1])
			}
		}
	}
	var err error
	if m.manifest, err = modelfile.ParseManifest(meta); err != nil {
		return m, err
	}
	m.manifest.Resize = resize.at(m.manifest.ImageSize)
	if m.manifest.Head == modelfile.NoHead { // transformers keeps two labels for it
		m.manifest.Classes, m.manifest.Synsets = nil, nil
	}
	if labels == "" {
		return m, nil
	}
	l, err := modelfile.ReadLabels(labels)
	m.manifest.Classes, m.manifest.Synsets = l.Names, l.Synsets
	m.from["classes"], m.from["synsets"] = labels, labels
	return m, err
}

// resizing follows the resize and the image size that it belongs to from source to
// source.
type resizing struct{ resize, image, now int }

func (r *resizing) follow(m modelfile.Manifest) {
	r.now = cmp.Or(m.ImageSize, r.now)
	if m.Resize != 0 {
		r.resize, r.image = m.Resize, r.now
	}
}

// at is the resize at an image size: in the proportion of the two sizes, so that the
// crop shows the same part of a picture.
func (r *resizing) at(image int) int {
	if r.resize <= 0 || r.image == 0 {
		return r.resize
	}
	return r.resize * image / r.image
}

// shapes are the keys that the tensors' shapes tell.
var shapes = []string{"width", "depth", "mlp_ratio", "patch_size", "image_size", "stem"}

// explain lists what was written with where it came from, and what is not written because
// it is usual.
func (m merged) explain(written map[string]string, c vit.Config) []Value {
	silent := map[string]string{"act": "gelu", "pool": "token", "crop_mode": "center"}
	if c.Resize == 0 {
		delete(silent, "crop_mode")
	}
	if len(c.Labels) == 0 && c.Classes == 1000 {
		silent["classes"] = "ImageNet's 1000"
	}
	var values []Value
	for _, k := range modelfile.Keys() {
		text, is := written[k]
		from := m.source(k)
		switch {
		case is:
		case k == "crop_mode": // goes with the resize
			text, from = silent[k], m.source("resize")
		default:
			text = silent[k]
		}
		if text != "" {
			values = append(values, Value{k, text, from, is})
		}
	}
	return values
}

func (m merged) source(key string) string {
	if from := m.from[key]; from != "" {
		return from
	}
	switch {
	case slices.Contains(shapes, key):
		return "tensors"
	case key == "prune_at":
		return "default"
	}
	return assumed
}

// blame adds to an error of a metadata's key who said it.
func (m merged) blame(err error) error {
	words := strings.Fields(err.Error())
	if len(words) < 2 || words[0] != "metadata" || m.from[words[1]] == "" {
		return err
	}
	from := m.from[words[1]]
	if strings.HasSuffix(from, ".json") {
		from += ": where it is another model's, put the weights into a folder of their own"
	}
	return fmt.Errorf("%w (from %s)", err, from)
}

// said reports whether a source says it, and not what is usual alone.
func (m merged) said(key string) bool { return m.from[key] != "" && !m.assumed[key] }

// doubts are the assumptions that can be wrong without anything showing it.
func (m merged) doubts(c vit.Config) []string {
	var list []string
	doubt := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	if !m.said("mean") || !m.said("std") {
		doubt("mean %v and std %v are assumed: with others the answers are worse, and nothing shows it (--mean, --std)", c.Mean, c.Std)
	}
	if others := otherHeads[c.Width]; others[0] != 0 && !m.said("heads") {
		doubt("%d heads are assumed: at width %d both %d and %d are in use (--heads)", c.Heads, c.Width, others[0], others[1])
	}
	if c.Pooling() != vit.PoolToken && !m.said("pool") {
		doubt("pool %s is assumed: nothing but the tensors' names says it (--pool)", c.Pool)
	}
	if c.PreNorm && !m.said("act") {
		doubt("act %s is assumed: both gelu and quick_gelu are in use in models like CLIP's (--act)", c.Activation())
	}
	if c.ConvStem > 0 && !m.said("skip_lam") && !publishedLV(c) {
		doubt("skip_lam %v is assumed, LV-ViT-S's and M's: this is neither (--skip-lam)", c.SkipLam)
	}
	return list
}

// otherHeads are the widths at which models with two numbers of heads are published:
// ViT-S and XCiT's, ViT-B and timm's first ViT-S.
var otherHeads = map[int][2]int{384: {6, 12}, 768: {8, 12}}

func publishedLV(c vit.Config) bool {
	return c.Width == 384 && c.Depth == 16 || c.Width == 512 && c.Depth == 20
}
