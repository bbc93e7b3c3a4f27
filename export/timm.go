package export

import (
	"fmt"
	"math"

	"dynvit/modelfile"
	"dynvit/vit"
)

// timmEps is what timm's VisionTransformer gives its LayerNorms; no argument that JSON
// can hold changes it.
const timmEps = 1e-6

// timmForm writes what timm's save_for_hf writes, and transformers' TimmWrapper reads.
func timmForm(f *modelfile.File, c vit.Config) ([]modelfile.Tensor, map[string]map[string]any, error) {
	switch {
	case c.Eps != timmEps:
		return nil, nil, fmt.Errorf("layer_norm_eps %v in a model of this kind: timm's has %v, and transformers has no class for it", c.Eps, timmEps)
	case c.Pooling() == vit.PoolBoth:
		return nil, nil, fmt.Errorf("pool %s: timm has no such head, and transformers only in DINOv2", c.Pooling())
	case c.FloorCrop && c.Resize != 0:
		return nil, nil, fmt.Errorf("crop_offset floor in a model of this kind: timm rounds the place of the crop to even")
	}
	tensors, err := wholes(f)
	if err != nil {
		return nil, nil, err
	}
	return tensors, map[string]map[string]any{"config.json": timmConfig(f, c)}, nil
}

// timmConfig has the arguments that make timm build a model of the same shape.
func timmConfig(f *modelfile.File, c vit.Config) map[string]any {
	pos, _ := f.Tensor("pos_embed")
	args := map[string]any{
		"img_size": c.ImageSize, "patch_size": c.PatchSize, "embed_dim": c.Width, "depth": c.Depth, "num_heads": c.Heads,
		"mlp_ratio": float64(c.Hidden) / float64(c.Width), "qkv_bias": c.QKVBias, "global_pool": c.Pooling(), "class_token": !c.NoCLS,
		"no_embed_class": pos.Shape[1] == c.Patches() && c.Prefix() > 0, "reg_tokens": c.Registers, "pre_norm": c.PreNorm,
		"fc_norm": c.FCNorm, "final_norm": c.FCNorm || f.Has("norm.weight"), "act_layer": c.Activation(),
	}
	if c.LayerScale {
		args["init_values"] = 1e-5 // overwritten by the tensors
	}
	name := "vit_base_patch16_224"
	if c.Distilled {
		name = "deit_base_distilled_patch16_224"
		delete(args, "class_token")
	}
	config := map[string]any{
		"architecture": name, "architectures": []string{"TimmWrapperForImageClassification"}, "model_type": "timm_wrapper",
		"num_classes": c.Classes, "num_features": c.Width, "global_pool": c.Pooling(), "model_args": args, "pretrained_cfg": timmPicture(c),
	}
	if len(c.Labels) > 0 {
		config["label_names"] = c.Labels
	}
	return config
}

// timmPicture is what timm is to do to a picture. It has the crop as a share, of which it
// takes the whole pixels: the share is such that they come out.
func timmPicture(c vit.Config) map[string]any {
	cfg := map[string]any{
		"input_size": []int{3, c.ImageSize, c.ImageSize}, "fixed_input_size": true, "interpolation": c.Interpolation, "crop_mode": "center",
		"mean": floats(c.Mean), "std": floats(c.Std), "num_classes": c.Classes, "custom_load": false, "first_conv": "patch_embed.proj", "classifier": "head",
	}
	if c.Squash || c.Resize == 0 {
		cfg["crop_mode"] = "squash"
	}
	resize := c.Resize
	if resize == 0 {
		resize = c.ImageSize
	}
	cfg["crop_pct"] = share(c.ImageSize, resize)
	return cfg
}

// share is a crop_pct of which floor(size/crop_pct) is resize.
func share(size, resize int) float64 {
	crop := float64(size) / float64(resize)
	for math.Floor(float64(size)/crop) < float64(resize) {
		crop = math.Nextafter(crop, 0)
	}
	return crop
}
