package checkpoint

import (
	"fmt"
	"math"
	"strings"
)

// family is what transformers' configuration of a type of model is where config.json
// leaves it out: save_pretrained writes what differs from them.
type family struct {
	heads      int
	eps        string
	act        string
	classifier string // what its classifier reads
}

// families are the types of model that can be taken. Others are refused by their tensors'
// names and shapes, or are of the same kind under another name.
var families = map[string]family{
	"vit":                   {12, "1e-12", "gelu", "token"},
	"deit":                  {12, "1e-12", "gelu", "token"},
	"vit_msn":               {12, "1e-06", "gelu", "token"},
	"dinov2":                {12, "1e-06", "gelu", "token+avg"},
	"dinov2_with_registers": {12, "1e-06", "gelu", "token+avg"},
	"clip":                  {12, "1e-05", "quick_gelu", "avg"},
	"clip_vision_model":     {12, "1e-05", "quick_gelu", "token"},
	"siglip":                {12, "1e-06", "gelu_tanh", "avg"},
	"ijepa":                 {12, "1e-12", "gelu", "avg"},
	"vit_mae":               {12, "1e-12", "gelu", "token"},
}

// activations are transformers' names of the MLP's functions (ACT2FN); those that are
// not here have no name in a model file, and are refused by the name they have.
var activations = map[string]string{
	"gelu": "gelu", "gelu_python": "gelu", "quick_gelu": "quick_gelu",
	"gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "gelu_fast": "gelu_tanh", "gelu_accurate": "gelu_tanh", "gelu_python_tanh": "gelu_tanh",
}

// huggingFace reads the config.json of transformers.
func huggingFace(o object) (facts []Facts, doubt, err error) {
	r := &reader{o: o}
	kind := r.text("model_type")
	f, known := families[kind]
	shape := r
	if r.has("vision_config") {
		shape = r.part("vision_config")
	}
	m := meta{"architecture": kind}
	m.setWhole("width", shape.whole("hidden_size"))
	m.setWhole("depth", shape.whole("num_hidden_layers"))
	m.setWhole("heads", shape.whole("num_attention_heads"))
	m.setWhole("image_size", shape.side("image_size"))
	m.setWhole("patch_size", shape.side("patch_size"))
	if shape.has("layer_norm_eps") {
		m.set("layer_norm_eps", format(shape.number("layer_norm_eps", 0)))
	}
	m.set("act", activation(shape.text("hidden_act")))
	if shape.yes("use_swiglu_ffn", false) {
		return nil, nil, fmt.Errorf("use_swiglu_ffn: MLPs of SwiGLU are not taken")
	}
	class := task(r)
	switch {
	case strings.HasSuffix(class, "ForImageClassification") || strings.HasSuffix(class, "WithTeacher"):
		m.set("pool", f.classifier)
	case strings.HasSuffix(class, "Model") || strings.HasSuffix(class, "Backbone"):
		m.set("head", "none")
	}
	doubt = hfLabels(m, r)
	for _, part := range []*reader{r, shape} {
		if part.err != nil {
			return nil, nil, part.err
		}
	}
	facts = []Facts{{From: "config.json", Meta: m}}
	if known {
		usual := meta{"layer_norm_eps": f.eps, "act": f.act}
		usual.setWhole("heads", f.heads)
		facts = append([]Facts{{From: "transformers' default", Meta: usual}}, facts...)
	}
	return facts, doubt, nil
}

// activation translates transformers' name.
func activation(name string) string {
	if ours, ok := activations[name]; ok {
		return ours
	}
	return name
}

// task is the class that the model was saved from, such as ViTForImageClassification.
func task(r *reader) string {
	names, _ := r.o["architectures"].([]any)
	if len(names) == 0 {
		return ""
	}
	name, _ := names[0].(string)
	return name
}

// hfLabels reads id2label.
func hfLabels(m meta, r *reader) error {
	if !r.has("id2label") {
		return nil
	}
	classes, _, err := labels(r.o["id2label"], nil)
	if err != nil {
		return fmt.Errorf("id2label: %w", err)
	}
	m.set("classes", classes)
	return nil
}

// resamplings are Pillow's numbers of filters.
var resamplings = []string{"nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"}

// isProcessor reports whether an object is of an image processor.
func isProcessor(o object) bool {
	r := reader{o: o}
	return r.has("image_processor_type") || r.has("feature_extractor_type") || r.has("image_mean") || r.has("do_resize")
}

// processor reads a preprocessor_config.json: the resize, the crop and the numbers of
// transformers' image processors. What it leaves out is that of its class.
func processor(o object) (map[string]string, error) {
	r := &reader{o: o}
	m := meta{}
	d := classOf(r)
	m.set("mean", d.mean)
	m.set("std", d.std)
	m.set("mean", r.numbers("image_mean"))
	m.set("std", r.numbers("image_std"))
	if !r.yes("do_normalize", true) {
		m["mean"], m["std"] = "0,0,0", "1,1,1"
	}
	if scale := r.number("rescale_factor", 1./255); !r.yes("do_rescale", true) || math.Abs(scale*255-1) > 1e-6 {
		r.fail("rescale_factor", "1/255, by which pixels are scaled")
	}
	at := d.resample
	if r.has("resample") {
		at = int(r.number("resample", -1))
	}
	if at < 0 || at >= len(resamplings) {
		r.fail("resample", "a number from 0 to 5")
		return nil, r.err
	}
	m.set("interpolation", resamplings[at])
	resize(m, r, d)
	return m, r.err
}

const (
	half              = "0.5,0.5,0.5"
	clipMean, clipStd = "0.48145466,0.4578275,0.40821073", "0.26862954,0.26130258,0.27577711"
)

// class is what a class of image processors does where its configuration leaves it out.
type class struct {
	resample  int
	mean, std string
	size      int
	short     bool // size is of the short side
	crop      int  // 0: none
}

// classOf knows the classes of vision transformers, by image_processor_type or, before 2023,
// feature_extractor_type: ViTImageProcessor, ViTImageProcessorFast, ViTFeatureExtractor.
func classOf(r *reader) class {
	name := r.text("image_processor_type")
	if name == "" {
		name = r.text("feature_extractor_type")
	}
	for _, ending := range []string{"Fast", "Pil", "ImageProcessor", "FeatureExtractor"} {
		name = strings.TrimSuffix(name, ending)
	}
	switch name {
	case "DeiT":
		return class{resample: 3, mean: half, std: half, size: 256, crop: 224}
	case "CLIP", "Bit":
		return class{resample: 3, mean: clipMean, std: clipStd, size: 224, short: true, crop: 224}
	}
	return class{resample: 2, mean: half, std: half, size: 224}
}

// resize reads size, crop_size and which of both is done.
func resize(m meta, r *reader, d class) {
	if !r.yes("do_resize", true) {
		r.fail("do_resize", "true: pictures of any size are resized")
		return
	}
	side, short := d.size, d.short
	if r.has("size") {
		side, short = sideOf(r, d)
	}
	crop := 0
	if r.yes("do_center_crop", d.crop > 0) {
		crop = cropOf(r, d)
	}
	switch {
	case r.err != nil:
	case short && crop == 0:
		r.fail("size", "a height and a width, or a center crop: inputs are square")
	case crop == 0 || !short && crop == side:
		m.set("resize", "warp")
		m.setWhole("image_size", side)
	default:
		m.setWhole("resize", side)
		m.setWhole("image_size", crop)
		m.set("crop_offset", "floor")
		if !short {
			m.set("crop_mode", "squash")
		}
	}
}

// sideOf reads size: a number, {"height", "width"}, or {"shortest_edge"}.
func sideOf(r *reader, d class) (side int, short bool) {
	if _, is := r.o["size"].(map[string]any); !is {
		return r.side("size"), d.short
	}
	size := r.part("size")
	defer func() {
		if size.err != nil {
			r.err = fmt.Errorf("size: %w", size.err)
		}
	}()
	if size.has("longest_edge") || size.has("max_height") {
		size.fail("longest_edge", "shortest_edge, or height and width")
	}
	if n := size.whole("shortest_edge"); n > 0 {
		return n, true
	}
	return square(size), false
}

func cropOf(r *reader, d class) int {
	switch r.o["crop_size"].(type) {
	case nil:
		return d.crop
	case map[string]any:
		size := r.part("crop_size")
		n := square(size)
		if size.err != nil {
			r.err = fmt.Errorf("crop_size: %w", size.err)
		}
		return n
	}
	return r.side("crop_size")
}

// square reads {"height", "width"}, which must be the same.
func square(r *reader) int {
	h, w := r.whole("height"), r.whole("width")
	if h != w || h == 0 {
		r.fail("width", fmt.Sprintf("the height, %d: inputs are square", h))
	}
	return h
}
