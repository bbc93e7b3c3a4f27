package export

import (
	"fmt"
	"strconv"
	"strings"

	"dynvit/modelfile"
	"dynvit/vit"
)

// isPlain reports whether transformers' ViT, or its DeiT with a teacher, computes the
// model.
func isPlain(c vit.Config) bool {
	return !c.NoCLS && c.Registers == 0 && !c.PreNorm && !c.NoPatchBias && !c.LayerScale && !c.FCNorm && c.Pooling() == vit.PoolToken &&
		!(c.Distilled && c.Classes == 0) && c.Width%c.Heads == 0
}

// exactCrop reports whether transformers crops where the model does.
func exactCrop(c vit.Config) bool { return c.Resize == 0 || c.FloorCrop }

// isNative reports whether a class of transformers' own is written: where it does to a
// picture what the model wants, or where timm could not compute the model either.
func isNative(c vit.Config) bool { return isPlain(c) && (exactCrop(c) || c.Eps != timmEps) }

// activations are transformers' names of the MLP's function.
var activations = map[string]string{vit.ActGELU: "gelu", vit.ActTanh: "gelu_pytorch_tanh", vit.ActQuick: "quick_gelu"}

// plainForm writes a ViTForImageClassification, or a DeiTForImageClassificationWithTeacher.
func plainForm(f *modelfile.File, c vit.Config) ([]modelfile.Tensor, map[string]map[string]any, error) {
	kind, class := "vit", "ViTForImageClassification"
	switch {
	case c.Distilled:
		kind, class = "deit", "DeiTForImageClassificationWithTeacher"
	case c.Classes == 0:
		class = "ViTModel"
	}
	tensors, err := plainTensors(f, c, kind, class)
	if err != nil {
		return nil, nil, err
	}
	config := map[string]any{
		"architectures": []string{class}, "model_type": kind, "hidden_size": c.Width, "num_hidden_layers": c.Depth,
		"num_attention_heads": c.Heads, "intermediate_size": c.Hidden, "hidden_act": activations[c.Activation()], "layer_norm_eps": short(c.Eps),
		"image_size": c.ImageSize, "patch_size": c.PatchSize, "num_channels": 3, "qkv_bias": c.QKVBias,
		"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
	}
	if c.Classes > 0 {
		names, numbers := labels(c)
		config["id2label"], config["label2id"] = names, numbers
	}
	return tensors, map[string]map[string]any{"config.json": config, "preprocessor_config.json": processor(c)}, nil
}

// labels are the classes by number and back; a label that comes twice leads to its last number.
func labels(c vit.Config) (names map[string]string, numbers map[string]int) {
	names, numbers = map[string]string{}, map[string]int{}
	for i := range c.Classes {
		name := "LABEL_" + strconv.Itoa(i)
		if len(c.Labels) > 0 {
			name = c.Labels[i]
		}
		names[strconv.Itoa(i)], numbers[name] = name, i
	}
	return names, numbers
}

// processor is the image processor that does to a picture what the model wants.
func processor(c vit.Config) map[string]any {
	square := func(n int) map[string]int { return map[string]int{"height": n, "width": n} }
	p := map[string]any{
		"do_resize": true, "do_rescale": true, "do_normalize": true, "rescale_factor": 1. / 255, "resample": 3,
		"image_mean": floats(c.Mean), "image_std": floats(c.Std),
	}
	if c.Interpolation == "bilinear" {
		p["resample"] = 2
	}
	if c.Resize == 0 {
		p["image_processor_type"], p["size"] = "ViTImageProcessor", square(c.ImageSize)
		return p
	}
	p["do_center_crop"], p["crop_size"] = true, square(c.ImageSize)
	if c.Squash {
		p["image_processor_type"], p["size"] = "DeiTImageProcessor", square(c.Resize)
		return p
	}
	p["image_processor_type"], p["size"] = "CLIPImageProcessor", map[string]int{"shortest_edge": c.Resize}
	return p
}

// outer are the names outside of the blocks, without the model's prefix.
var outer = map[string]string{
	"cls_token": "embeddings.cls_token", "dist_token": "embeddings.distillation_token", "pos_embed": "embeddings.position_embeddings",
	"patch_embed.proj": "embeddings.patch_embeddings.projection", "norm": "layernorm",
}

// layers are the names in a block.
var layers = map[string]string{
	"norm1": "layernorm_before", "norm2": "layernorm_after", "attn.proj": "attention.output.dense", "mlp.fc1": "intermediate.dense", "mlp.fc2": "output.dense",
}

// plainTensors gives the tensors transformers' names, q, k and v apart.
func plainTensors(f *modelfile.File, c vit.Config, kind, class string) ([]modelfile.Tensor, error) {
	prefix := kind + "."
	if class == "ViTModel" {
		prefix = ""
	}
	tensors, err := wholes(f)
	if err != nil {
		return nil, err
	}
	var out []modelfile.Tensor
	for _, t := range tensors {
		name := t.Name
		if layer, is := strings.CutSuffix(name, "attn.qkv."+ending(name)); is {
			out = append(out, thirds(t, prefix+"encoder.layer."+strings.TrimPrefix(layer, "blocks.")+"attention.attention.", ending(name))...)
			continue
		}
		if t.Name = renamed(name, prefix, c); t.Name == "" {
			return nil, fmt.Errorf("tensor %s: has no name in transformers", name)
		}
		out = append(out, t)
	}
	return out, nil
}

// ending is what follows the last dot.
func ending(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

// wholes are the model's tensors without the predictors, in types that other programs read.
func wholes(f *modelfile.File) (list []modelfile.Tensor, err error) {
	for _, name := range f.Names() {
		if strings.HasPrefix(name, "score_predictor.") || strings.HasSuffix(name, ".scale") {
			continue
		}
		t, err := whole(f, name)
		if err != nil {
			return nil, err
		}
		list = append(list, t)
	}
	return list, nil
}

// whole is a tensor in such a type: int8 is multiplied out.
func whole(f *modelfile.File, name string) (modelfile.Tensor, error) {
	t, _ := f.Tensor(name)
	if t.DType != modelfile.I8 {
		return t, nil
	}
	data, shape, err := f.Float32(name)
	if err != nil {
		return t, err
	}
	list, err := modelfile.FromFloat32(name, data, shape, modelfile.F32)
	if err != nil {
		return t, err
	}
	return list[0], nil
}

// thirds parts the rows of q, k and v.
func thirds(t modelfile.Tensor, prefix, ending string) []modelfile.Tensor {
	var out []modelfile.Tensor
	shape := append([]int{t.Shape[0] / 3}, t.Shape[1:]...)
	n := len(t.Data) / 3
	for i, part := range []string{"query", "key", "value"} {
		out = append(out, modelfile.Tensor{Name: prefix + part + "." + ending, DType: t.DType, Shape: shape, Data: t.Data[i*n : (i+1)*n]})
	}
	return out
}

// renamed is transformers' name of a tensor, "" where it has none.
func renamed(name, prefix string, c vit.Config) string {
	heads := map[string]string{"head": "classifier", "head_dist": "distillation_classifier"}
	if c.Distilled {
		heads["head"] = "cls_classifier"
	}
	layer, kind := name, ""
	if strings.HasSuffix(name, ".weight") || strings.HasSuffix(name, ".bias") {
		kind = "." + ending(name)
		layer = strings.TrimSuffix(name, kind)
	}
	if to, is := outer[layer]; is {
		return prefix + to + kind
	}
	if to, is := heads[layer]; is {
		return to + kind
	}
	block, inner, _ := strings.Cut(strings.TrimPrefix(layer, "blocks."), ".")
	if to, is := layers[inner]; is {
		return prefix + "encoder.layer." + block + "." + to + kind
	}
	return ""
}
