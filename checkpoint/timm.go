package checkpoint

import (
	"fmt"
	"math"
	"strconv"

	"dynvit/timm"
)

// timm's own values where its configuration has none (timm/data/config.py).
const (
	timmCrop          = 0.875
	timmInterpolation = "bicubic"
	timmMean, timmStd = "0.485,0.456,0.406", "0.229,0.224,0.225"
)

// timmConfig reads what timm's save_for_hf and push_to_hf_hub write, and transformers'
// TimmWrapper; that of before 2023 had no pretrained_cfg. The definition of the
// architecture says what the configuration leaves out.
func timmConfig(o object) (facts []Facts, doubt, err error) {
	r := reader{o: o}
	name := r.text("architecture")
	defined, known, err := timm.Lookup(name)
	if err != nil {
		return nil, nil, fmt.Errorf("architecture %.60q: %w", name, err)
	}
	m := meta{}
	args, pretrained := r.part("model_args"), r.part("pretrained_cfg")
	if !r.has("pretrained_cfg") {
		pretrained = &reader{o: o}
	}
	timmShape(m, &r, args)
	size := args.side("img_size")
	if size == 0 {
		size = pretrained.side("input_size")
	}
	m.setWhole("image_size", size)
	timmPicture(m, pretrained, size)
	doubt = timmLabels(m, &r, pretrained)
	for _, part := range []*reader{&r, args, pretrained} {
		if part.err != nil {
			return nil, nil, part.err
		}
	}
	usual := meta{"mean": timmMean, "std": timmStd, "interpolation": timmInterpolation}
	usual.set("resize", cropped(size, timmCrop))
	facts = []Facts{{From: "timm's default", Meta: usual}, {From: "config.json", Meta: m}}
	if known {
		facts = append([]Facts{{From: "timm's " + name, Meta: defined}}, facts...)
	}
	return facts, doubt, nil
}

// timmShape reads what the model was built with.
func timmShape(m meta, r, args *reader) {
	m.set("architecture", r.text("architecture"))
	if n, is := toNumber(r.o["num_classes"]); is && n == 0 {
		m.set("head", "none")
	}
	m.setWhole("width", args.whole("embed_dim"))
	m.setWhole("depth", args.whole("depth"))
	m.setWhole("heads", args.whole("num_heads"))
	m.setWhole("patch_size", args.side("patch_size"))
	if act, is := args.o["act_layer"].(string); is {
		m.set("act", act)
	}
	pool := args.text("global_pool")
	if p, is := r.o["global_pool"].(string); is {
		pool = p
	}
	if args.yes("pool_include_prefix", false) {
		pool += " with prefix tokens"
	}
	m.set("pool", pool)
}

// timmPicture reads what timm does to a picture (timm/data/transforms_factory.py).
func timmPicture(m meta, cfg *reader, size int) {
	m.set("mean", cfg.numbers("mean"))
	m.set("std", cfg.numbers("std"))
	m.set("interpolation", cfg.text("interpolation"))
	m.set("license", cfg.text("license"))
	if cfg.number("crop_border_pixels", 0) != 0 {
		cfg.fail("crop_border_pixels", "0: a border that is cut off first is not taken")
	}
	crop := cfg.number("crop_pct", timmCrop)
	if crop <= 0 || crop > 10 {
		cfg.fail("crop_pct", "a share above 0")
		return
	}
	switch mode := cfg.text("crop_mode"); mode {
	case "", "center":
		if cfg.has("crop_pct") {
			m.set("resize", cropped(size, crop))
		}
	case "squash":
		m.set("resize", cropped(size, crop))
		m.set("crop_mode", mode)
	default:
		cfg.fail("crop_mode", "center or squash")
	}
}

// cropped is the side before a crop that leaves the share crop of it.
func cropped(size int, crop float64) string {
	if size == 0 {
		return ""
	}
	return strconv.Itoa(int(math.Floor(float64(size) / crop)))
}

// timmLabels reads label_names, which are described by label_descriptions where they are
// WordNet's ids.
func timmLabels(m meta, r, pretrained *reader) error {
	for _, from := range []*reader{r, pretrained} {
		for _, key := range []string{"label_names", "labels"} {
			if !from.has(key) {
				continue
			}
			classes, synsets, err := labels(from.o[key], from.o["label_descriptions"])
			if err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
			m.set("classes", classes)
			m.set("synsets", synsets)
			return nil
		}
	}
	return nil
}
