package modelnames

import (
	"errors"
	"fmt"
	"strings"

	"dynvit/modelfile"
)

// stranger is a part of a tensor's name that only another architecture has.
type stranger struct{ part, what string }

// strangers, those that say more ahead of those that say less.
var strangers = []stranger{
	{"patch_embed.backbone.", "a hybrid: a convolutional network makes its patches"},
	{"patch_embed.stem.", "a hybrid: a convolutional network makes its patches"},
	{"patch_embed.conv.", "a hybrid: a convolutional network makes its patches"},
	{"patch_embed.seq.", "a hybrid: a convolutional network makes its patches"},
	{"patch_embed.proj.0.", "a hybrid: convolutions make its patches"},
	{"embeds.proj.", "a NaFlexViT: its patches come in any shape"},
	{"neck.", "a network with a neck, for segmenting or detecting"},
	{"layers.0.downsample.", "a Swin or another transformer of several resolutions"},
	{"layers.1.downsample.", "a Swin or another transformer of several resolutions"},
	{"layers.0.blocks.", "a Swin or another transformer of several resolutions"},
	{"stages.0.", severalScales},
	{"transformers.1.", severalScales},
	{"patch_embeds.", severalScales},
	{"patch_embed1.", severalScales},
	{"patch_embed.0.", severalScales},
	{"relative_position_bias_table", "a BEiT: positions are biases of its attention"},
	{"relative_position_index", "a BEiT: positions are biases of its attention"},
	{"rel_pos", "a transformer whose positions are biases of its attention"},
	{"rope", "an EVA or another transformer with rotary positions"},
	{"embeddings.patch_embeddings.weight", "a DINOv3: its positions are rotary"},
	{"attn.norm.weight", "a BEiT-3 or EVA: a LayerNorm inside its attention"},
	{"attn.inner_attn_ln.", "a BEiT-3 or EVA: a LayerNorm inside its attention"},
	{"attn.q_norm.", "a transformer with qk_norm: q and k are normalised"},
	{"attn.k_norm.", "a transformer with qk_norm: q and k are normalised"},
	{"attention.q_norm.", "a transformer with qk_norm: q and k are normalised"},
	{"lambda_q1", "a transformer with differential attention"},
	{"attn.lambda", "a transformer with differential attention"},
	{"mlp.w12.", swiGLU},
	{"mlp.w1.", swiGLU},
	{"mlp.fc1_g.", swiGLU},
	{"mlp.fc1_x.", swiGLU},
	{"mlp.weights_in.", swiGLU},
	{"mlp.gate_proj.", swiGLU},
	{"attn.q_bias", "a BEiT or EVA: k has no bias"},
	{"gamma_1", "a BEiT or CaiT: branches are scaled by gamma_1 and gamma_2"},
	{"lambda_1", "a BEiT: branches are scaled by lambda_1 and lambda_2"},
	{".attns.", "a transformer of parallel blocks"},
	{"blocks.0.in_proj.", "a transformer of parallel blocks"},
	{"attn_pool.", attentionPooling},
	{"attention_pool", attentionPooling},
	{"head.probe", attentionPooling},
	{"decoder_blocks.", "an autoencoder, as pre-training leaves it: it has a decoder and no classes"},
	{"decoder.", "an autoencoder or detector: it has a decoder"},
	{"resblocks.0.", "a CLIP by OpenCLIP's names: save its image tower with timm or transformers"},
	{"text_model.", "a CLIP with a text tower"},
	{"layer1.0.conv1.", "a ResNet, no vision transformer"},
	{"conv_stem.", "a convolutional network, no vision transformer"},
	{"features.0.", "a convolutional network, no vision transformer"},
}

const (
	swiGLU           = "a transformer with SwiGLU: its MLP has gates"
	severalScales    = "a network of several resolutions, no plain vision transformer"
	attentionPooling = "a transformer that pools by attention (SigLIP, MAP)"
)

// refuseStrangers says what tensors are, where that is known not to be a plain vision
// transformer.
func refuseStrangers(tensors []modelfile.Tensor) error {
	for _, s := range strangers {
		if name := least(tensors, s.part); name != "" {
			return fmt.Errorf("%s (tensor %s): not taken", s.what, name)
		}
	}
	return nil
}

// least is the first name, by the alphabet, that holds a part; "" for none.
func least(tensors []modelfile.Tensor, part string) (found string) {
	for _, t := range tensors {
		if strings.Contains(t.Name, part) && (found == "" || t.Name < found) {
			found = t.Name
		}
	}
	return found
}

// refuseShapes tells what only sizes or missing tensors tell.
func refuseShapes(tensors []modelfile.Tensor) error {
	names := make(map[string][]int, len(tensors))
	for _, t := range tensors {
		names[t.Name] = t.Shape
	}
	has := func(name string) bool { _, ok := names[name]; return ok }
	if !has("blocks.0.attn.qkv.weight") {
		return nil // what is missing, vit says
	}
	in, out := names["blocks.0.mlp.fc1.weight"], names["blocks.0.mlp.fc2.weight"]
	switch {
	case !has("pos_embed"):
		return errors.New("a transformer without pos_embed: its positions are rotary (EVA, DINOv3) or biases of its attention (BEiT): not taken")
	case has("blocks.0.norm1.weight") && !has("blocks.0.norm1.bias"):
		return errors.New("a transformer with RMSNorm (tensor blocks.0.norm1.weight has no bias beside it): not taken")
	case len(in) == 2 && len(out) == 2 && in[0] == 2*out[1]:
		return fmt.Errorf("%s (tensor blocks.0.mlp.fc1.weight gives twice what blocks.0.mlp.fc2.weight takes): not taken", swiGLU)
	case !has("cls_token") && !has("reg_token") && !has("blocks.0.attn.qkv.bias") && !has("blocks.0.ls1.gamma"):
		// timm's vit_base_patch16_rpn_224, whose names say nothing else.
		return errors.New("a transformer that normalises behind its branches (res-post-norm), or looks like one (no cls_token, blocks.0.attn.qkv.bias or blocks.0.ls1.gamma): not taken")
	}
	return nil
}
