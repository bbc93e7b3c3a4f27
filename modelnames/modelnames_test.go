package modelnames

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"dynvit/modelfile"
)

// tensor has as many bytes as its name asks for, each of them its first letter's.
func tensor(name string, shape ...int) modelfile.Tensor {
	n := 4
	for _, d := range shape {
		n *= d
	}
	return modelfile.Tensor{Name: name, DType: modelfile.F32, Shape: shape, Data: bytes.Repeat([]byte(name[len(name)-1:]), n)}
}

// named lists tensors of two outputs and inputs.
func named(names ...string) (list []modelfile.Tensor) {
	for _, name := range names {
		list = append(list, tensor(name, 2, 2))
	}
	return list
}

// plain is what Canonical wants to see of a transformer, by timm's names.
var plain = []string{"cls_token", "pos_embed", "patch_embed.proj.weight", "blocks.0.norm1.weight", "blocks.0.norm1.bias",
	"blocks.0.attn.qkv.weight", "blocks.0.attn.qkv.bias", "blocks.0.mlp.fc1.weight", "blocks.0.mlp.fc2.weight"}

// TestNames: a block's and the outer tensors' names, as each program writes them.
func TestNames(t *testing.T) {
	for _, c := range []struct {
		dialect string
		names   map[string]string
	}{
		{"timm", map[string]string{"blocks.0.ls1.gamma": "blocks.0.ls1.gamma", "register_tokens": "reg_token", "linear_head.weight": "head.weight", "mask_token": ""}},
		{"Hugging Face", map[string]string{
			"embeddings.patch_embeddings.projection.weight": "patch_embed.proj.weight", "vit.embeddings.cls_token": "cls_token",
			"deit.encoder.layer.3.layernorm_before.bias": "blocks.3.norm1.bias", "encoder.layer.11.output.dense.weight": "blocks.11.mlp.fc2.weight",
			"vit.encoder.layer.0.intermediate.dense.weight": "blocks.0.mlp.fc1.weight", "vit.pooler.dense.weight": "", "pooler.dense.bias": "",
			"vit.layers.2.attention.o_proj.weight": "blocks.2.attn.proj.weight", "layers.2.mlp.fc1.bias": "blocks.2.mlp.fc1.bias",
			"dinov2.encoder.layer.1.layer_scale2.lambda1": "blocks.1.ls2.gamma", "dinov2.embeddings.mask_token": "",
			"classifier.weight": "head.weight", "classifier.1.weight": "classifier.1.weight", "vit.encoder.layer.x.norm1.weight": "vit.encoder.layer.x.norm1.weight",
		}},
		{"Hugging Face CLIP", map[string]string{
			"vision_model.embeddings.class_embedding": "cls_token", "vision_model.pre_layrnorm.weight": "norm_pre.weight",
			"vision_model.encoder.layers.0.self_attn.out_proj.bias": "blocks.0.attn.proj.bias", "text_model.encoder.layers.0.mlp.fc1.weight": "",
			"visual_projection.weight": "", "logit_scale": "", "vision_model.embeddings.position_ids": "",
			"vision_model.post_layernorm.weight": "norm.weight",
		}},
		{"Hugging Face SigLIP", map[string]string{
			"vision_model.embeddings.patch_embedding.weight": "patch_embed.proj.weight", "vision_model.head.probe": "",
			"vision_model.embeddings.position_embedding.weight": "pos_embed",
		}},
		{"torchvision", map[string]string{
			"conv_proj.weight": "patch_embed.proj.weight", "encoder.layers.encoder_layer_7.mlp.linear_2.bias": "blocks.7.mlp.fc2.bias",
			"encoder.layers.encoder_layer_7.self_attention.in_proj_weight": "blocks.7.attn.qkv.weight", "heads.head.weight": "head.weight",
			"encoder.pos_embedding": "pos_embed",
		}},
	} {
		var want []string
		for _, to := range c.names {
			if to != "" {
				want = append(want, to)
			}
		}
		out, from, err := Canonical(named(slices.Collect(maps.Keys(c.names))...))
		var got []string
		for _, tensor := range out {
			got = append(got, tensor.Name)
		}
		slices.Sort(got)
		slices.Sort(want)
		if err != nil || from.Name != c.dialect || !slices.Equal(got, want) {
			t.Errorf("%s: %v (%v)\n%q, want\n%q", c.dialect, from, err, got, want)
		}
	}
}

// TestJoined: q, k and v lie in this order, whatever order they come in, and vectors join
// too; what does not fit together is refused.
func TestJoined(t *testing.T) {
	at := "vit.encoder.layer.0.attention.attention."
	sign := tensor("vit.embeddings.patch_embeddings.projection.weight", 1)
	part := func(letter, kind string, shape ...int) modelfile.Tensor {
		x := tensor(letter, shape...)
		x.Name = at + map[string]string{"q": "query", "k": "key", "v": "value"}[letter] + "." + kind
		return x
	}
	positions := tensor("embeddings.position_embeddings", 1)
	out, _, err := Canonical([]modelfile.Tensor{sign, positions, part("v", "weight", 2, 3), part("q", "weight", 2, 3), part("k", "weight", 2, 3),
		part("k", "bias", 2), part("v", "bias", 2), part("q", "bias", 2)})
	if err != nil || len(out) != 4 {
		t.Fatalf("%d tensors, %v", len(out), err)
	}
	for _, x := range out[2:] {
		letters := string(slices.Compact(slices.Clone(x.Data)))
		if letters != "qkv" || x.Shape[0] != 6 || !strings.HasPrefix(x.Name, "blocks.0.attn.qkv.") {
			t.Errorf("%s %v of %q", x.Name, x.Shape, letters)
		}
	}
	wide, half := part("v", "weight", 2, 4), part("v", "weight", 2, 3)
	half.DType = modelfile.F16
	for name, list := range map[string][]modelfile.Tensor{
		"its v is missing":    {part("q", "weight", 2, 3), part("k", "weight", 2, 3)},
		"there is no q to it": {part("v", "bias", 2)},
		"do not fit together": {part("q", "weight", 2, 3), part("k", "weight", 2, 3), wide},
		"F16":                 {part("q", "weight", 2, 3), part("k", "weight", 2, 3), half},
		"means the same as":   {tensor("vit.layernorm.weight", 2), tensor("layernorm.weight", 2)},
		"comes in parts too":  {part("q", "weight", 2, 3), part("k", "weight", 2, 3), part("v", "weight", 2, 3), tensor("blocks.0.attn.qkv.weight", 6, 3)},
	} {
		if _, _, err := Canonical(append(list, sign)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestModelsOfADialect: what goes without saying, by model.
func TestModelsOfADialect(t *testing.T) {
	hf := func(names ...string) []modelfile.Tensor {
		return named(append(names, "embeddings.patch_embeddings.projection.weight")...)
	}
	clip := named("vision_model.embeddings.class_embedding", "vision_model.post_layernorm.weight")
	for _, c := range []struct {
		name string
		in   []modelfile.Tensor
		meta map[string]string
		has  string
	}{
		{"ViT", hf(), map[string]string{"layer_norm_eps": "1e-12", "position_resize": "plain"}, ""},
		{"DeiT with one classifier", hf("embeddings.distillation_token", "classifier.weight"), map[string]string{"layer_norm_eps": "1e-12"}, "reg_token"},
		{"DeiT with two", hf("embeddings.distillation_token", "distillation_classifier.weight"), map[string]string{"layer_norm_eps": "1e-12"}, "dist_token"},
		{"DINOv2", hf("encoder.layer.0.layer_scale1.lambda1"), map[string]string{"layer_norm_eps": "1e-06", "position_resize": "plain"}, ""},
		{"DINOv2 with registers", hf("encoder.layer.0.layer_scale1.lambda1", "embeddings.register_tokens"), map[string]string{"layer_norm_eps": "1e-06"}, "reg_token"},
		{"CLIP's tower", clip, map[string]string{"act": "quick_gelu", "layer_norm_eps": "1e-05", "position_resize": "plain"}, "norm.weight"},
		{"CLIP with a classifier", append(named("classifier.weight"), clip...), map[string]string{"act": "quick_gelu", "layer_norm_eps": "1e-05", "pool": "avg", "position_resize": "plain"}, "head.weight"},
	} {
		out, from, err := Canonical(c.in)
		if c.name == "CLIP with a classifier" && has(out, "norm.weight") {
			t.Errorf("%s: norm.weight is there, which it does not use", c.name)
		}
		for _, key := range []string{"layer_norm_eps", "position_resize", "act", "pool"} {
			if want := c.meta[key]; from.Meta[key] != want && !(strings.HasPrefix(c.name, "DeiT") && key == "position_resize") {
				t.Errorf("%s: %s %q, want %q", c.name, key, from.Meta[key], want)
			}
		}
		if err != nil || c.has != "" && !has(out, c.has) {
			t.Errorf("%s: %v, %d tensors without %s", c.name, err, len(out), c.has)
		}
	}
}

// TestStrangers: what is no plain vision transformer is refused for what it is, in a line
// that names a tensor.
func TestStrangers(t *testing.T) {
	for name, words := range map[string]string{
		"patch_embed.backbone.stem.conv.weight":                  "hybrid",
		"patch_embed.proj.0.0.weight":                            "hybrid",
		"layers.0.blocks.0.attn.qkv.weight":                      "Swin",
		"swin.encoder.layers.0.blocks.0.layernorm_before.weight": "Swin",
		"blocks.0.attn.relative_position_bias_table":             "BEiT",
		"blocks.0.gamma_1":                                       "BEiT",
		"beit.encoder.layer.0.lambda_1":                          "BEiT",
		"blocks.0.attn.q_bias":                                   "BEiT",
		"blocks.0.attn.q_norm.weight":                            "qk_norm",
		"blocks.0.mlp.w12.weight":                                "SwiGLU",
		"dinov2.encoder.layer.0.mlp.weights_in.weight":           "SwiGLU",
		"blocks.0.mlp.fc1_g.weight":                              "SwiGLU",
		"rope.periods":                                           "EVA",
		"model.embeddings.patch_embeddings.weight":               "DINOv3",
		"layer.0.mlp.gate_proj.weight":                           "SwiGLU",
		"blocks.0.attn.norm.weight":                              "BEiT-3",
		"attn_pool.latent":                                       "pools by attention",
		"blocks.0.attns.1.qkv.weight":                            "parallel",
		"decoder_blocks.0.attn.qkv.weight":                       "autoencoder",
		"visual.transformer.resblocks.0.attn.in_proj_weight":     "CLIP",
		"layer1.0.conv1.weight":                                  "ResNet",
		"stages.0.blocks.0.conv_dw.weight":                       "several resolutions",
		"conv_stem.weight":                                       "convolutional",
		"embeds.proj.weight":                                     "NaFlexViT",
		"blocks.0.attn.rel_pos.mlp.fc1.weight":                   "biases of its attention",
	} {
		names := strings.Split(name, "\n")
		_, _, err := Canonical(named(append(names, plain...)...))
		if err == nil || !strings.Contains(err.Error(), words) || !strings.Contains(err.Error(), names[len(names)-1]) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %s", name, err, words)
		}
	}
	without := func(names ...string) []modelfile.Tensor {
		return slices.DeleteFunc(named(plain...), func(x modelfile.Tensor) bool { return slices.Contains(names, x.Name) })
	}
	gated := append(without("blocks.0.mlp.fc1.weight"), tensor("blocks.0.mlp.fc1.weight", 4, 2))
	for words, list := range map[string][]modelfile.Tensor{
		"RMSNorm": without("blocks.0.norm1.bias"), "SwiGLU": gated, "rotary": without("pos_embed"),
		"res-post-norm": without("cls_token", "blocks.0.attn.qkv.bias"),
	} {
		if _, _, err := Canonical(list); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", words, err)
		}
	}
	if _, _, err := Canonical(named(plain...)); err != nil {
		t.Errorf("a plain one: %v", err)
	}
}

// FuzzCanonical: whatever the names and shapes, it ends, and gives each name once.
func FuzzCanonical(f *testing.F) {
	f.Add("embeddings.patch_embeddings.projection.weight\nencoder.layer.0.attention.attention.query.weight", 2)
	f.Add("vision_model.embeddings.class_embedding\nclassifier.weight\nvision_model.post_layernorm.bias", 0)
	f.Add(strings.Join(plain, "\n"), 1)
	f.Fuzz(func(t *testing.T, names string, dims int) {
		var in []modelfile.Tensor
		for name := range strings.SplitSeq(names, "\n") {
			x := modelfile.Tensor{Name: name, DType: modelfile.F32, Data: make([]byte, 4)}
			for range dims & 7 {
				x.Shape = append(x.Shape, 1)
			}
			in = append(in, x)
		}
		out, _, err := Canonical(in)
		if err != nil {
			if strings.Count(err.Error(), "\n") > strings.Count(names, "\n") {
				t.Errorf("%q", err)
			}
			return
		}
		seen := map[string]bool{}
		for _, x := range out {
			if seen[x.Name] {
				t.Errorf("%q twice", x.Name)
			}
			seen[x.Name] = true
		}
	})
}
