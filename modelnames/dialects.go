package modelnames

import (
	"slices"
	"strings"

	"dynvit/modelfile"
)

// dialects are all but timm's, in the order in which they are looked for.
func dialects() []dialect {
	return []dialect{huggingFace(), huggingFaceCLIP(), huggingFaceSigLIP(), torchvision()}
}

// timm is the language itself, and its neighbours': DINOv2's own code adds a mask
// token and calls registers and head by other names.
func timm() dialect {
	return dialect{
		Dialect: Dialect{Name: "timm"},
		outer:   map[string]string{"register_tokens": "reg_token", "linear_head": "head"},
		dropped: []string{"mask_token"},
	}
}

// huggingFace is ViT, DeiT, DINOv2, MSN and I-JEPA in transformers (modeling_vit.py and
// those copied from it): as save_pretrained writes them, and as version 5 has them in memory.
func huggingFace() dialect {
	return dialect{
		Dialect: Dialect{Name: "Hugging Face", Meta: map[string]string{"layer_norm_eps": "1e-12", "position_resize": "plain"}},
		sign:    "embeddings.patch_embeddings.projection.weight",
		inside:  []string{"vit.", "deit.", "dinov2.", "dinov2_with_registers.", "ijepa.", "vit_msn."},
		blocks:  []string{"encoder.layer.", "layers."},
		layers: map[string]string{
			"attention.attention.query": "attn.q", "attention.attention.key": "attn.k", "attention.attention.value": "attn.v",
			"attention.output.dense": "attn.proj", "intermediate.dense": "mlp.fc1", "output.dense": "mlp.fc2",
			"attention.q_proj": "attn.q", "attention.k_proj": "attn.k", "attention.v_proj": "attn.v", "attention.o_proj": "attn.proj",
			"layernorm_before": "norm1", "layernorm_after": "norm2",
			"norm1": "norm1", "norm2": "norm2", "mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2",
			"layer_scale1.lambda1": "ls1.gamma", "layer_scale2.lambda1": "ls2.gamma",
		},
		outer: map[string]string{
			"embeddings.cls_token": "cls_token", "embeddings.distillation_token": "dist_token",
			"embeddings.register_tokens": "reg_token", "embeddings.position_embeddings": "pos_embed",
			"embeddings.patch_embeddings.projection": "patch_embed.proj", "layernorm": "norm",
			"classifier": "head", "cls_classifier": "head", "distillation_classifier": "head_dist",
		},
		dropped: []string{"pooler.dense.", "embeddings.mask_token"},
		finish:  likeItsModel,
	}
}

// likeItsModel tells apart what huggingFace's models do each in its own way:
// DeiTForImageClassification keeps the distillation token, but has no head for it, which
// makes it a register; DINOv2's eps; DINOv2's positions, where there are registers, are
// resized with antialiasing (modeling_dinov2_with_registers.py).
func likeItsModel(d *dialect, tensors []modelfile.Tensor) []modelfile.Tensor {
	if has(tensors, "blocks.0.ls1.gamma") {
		d.Meta["layer_norm_eps"] = "1e-06"
	}
	if has(tensors, "reg_token") {
		delete(d.Meta, "position_resize")
	}
	if !has(tensors, "head_dist.weight") {
		for i := range tensors {
			if tensors[i].Name == "dist_token" {
				tensors[i].Name = "reg_token"
			}
		}
	}
	return tensors
}

func has(tensors []modelfile.Tensor, name string) bool {
	return slices.ContainsFunc(tensors, func(t modelfile.Tensor) bool { return t.Name == name })
}

// tower is the names that CLIP's and SigLIP's image towers share in transformers.
func tower() dialect {
	return dialect{
		inside: []string{"vision_tower.vision_model.", "vision_model.vision_model.", "vision_model."},
		blocks: []string{"encoder.layers."},
		layers: map[string]string{
			"self_attn.q_proj": "attn.q", "self_attn.k_proj": "attn.k", "self_attn.v_proj": "attn.v", "self_attn.out_proj": "attn.proj",
			"layer_norm1": "norm1", "layer_norm2": "norm2", "mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2",
		},
		outer: map[string]string{
			"embeddings.class_embedding": "cls_token", "embeddings.patch_embedding": "patch_embed.proj",
			"embeddings.position_embedding.weight": "pos_embed", "pre_layrnorm": "norm_pre", "post_layernorm": "norm", "classifier": "head",
		},
		dropped: []string{"embeddings.position_ids", "text_model.", "text_projection.", "visual_projection.", "logit_scale", "logit_bias"},
	}
}

// huggingFaceCLIP: CLIPForImageClassification reads the mean of the patches as they leave
// the last block (modeling_clip.py); without a classifier it is CLS behind the last norm.
func huggingFaceCLIP() dialect {
	d := tower()
	d.Dialect = Dialect{Name: "Hugging Face CLIP", Meta: map[string]string{"layer_norm_eps": "1e-05", "act": "quick_gelu", "position_resize": "plain"}}
	d.sign = "embeddings.class_embedding"
	d.finish = func(d *dialect, tensors []modelfile.Tensor) []modelfile.Tensor {
		if !has(tensors, "head.weight") {
			return tensors
		}
		d.Meta["pool"] = "avg"
		return slices.DeleteFunc(tensors, func(t modelfile.Tensor) bool { return strings.HasPrefix(t.Name, "norm.") })
	}
	return d
}

// huggingFaceSigLIP: SiglipForImageClassification reads the mean behind the last norm; the
// attention pooling beside it (vision_model.head) has no say in it.
func huggingFaceSigLIP() dialect {
	d := tower()
	d.Dialect = Dialect{Name: "Hugging Face SigLIP", Meta: map[string]string{"layer_norm_eps": "1e-06", "act": "gelu_tanh", "position_resize": "plain"}}
	d.sign = "embeddings.patch_embedding.weight"
	d.dropped = append(d.dropped, "head.", "vision_model.head.")
	return d
}

// torchvision is VisionTransformer (torchvision/models/vision_transformer.py), MLPs also
// as named before its second version.
func torchvision() dialect {
	return dialect{
		Dialect: Dialect{Name: "torchvision", Meta: map[string]string{"layer_norm_eps": "1e-06"}},
		sign:    "conv_proj.weight",
		blocks:  []string{"encoder.layers.encoder_layer_"},
		layers: map[string]string{
			"ln_1": "norm1", "ln_2": "norm2", "self_attention.in_proj_weight": "attn.qkv.weight", "self_attention.in_proj_bias": "attn.qkv.bias",
			"self_attention.out_proj": "attn.proj", "mlp.0": "mlp.fc1", "mlp.3": "mlp.fc2", "mlp.linear_1": "mlp.fc1", "mlp.linear_2": "mlp.fc2",
		},
		outer: map[string]string{
			"class_token": "cls_token", "encoder.pos_embedding": "pos_embed", "conv_proj": "patch_embed.proj", "encoder.ln": "norm",
			"heads.head": "head", "heads": "head", "heads.0": "head",
		},
	}
}
