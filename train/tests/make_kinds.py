"""Makes vit/testdata/kinds.safetensors: a small model of each kind that `model import` takes, and what it answers.

Needs timm, transformers and torchvision beside this package (pip install timm transformers torchvision):

    python tests/make_kinds.py ../vit/testdata/kinds.safetensors

Tensors are named KIND/NAME, in the names and shapes that the program writes, in float16, with which the answers were
computed in float64: KIND/logits are those of x [2, 3, 16, 16]. The metadata of a kind is what its configuration says.
Of timm's kinds, whose names this package reads, KIND/attention and, where there are predictors, KIND/predictor are the
answers at keep 0.7 by that scorer.
"""

import json
import sys
import tempfile

import timm
import torch
import torchvision
import transformers
from safetensors.torch import load_file, save_file
from shaking import shake
from timm.layers import GELUTanh, QuickGELU

from dynvit_train.model import DynamicViT, Predictor, keep_counts
from dynvit_train.reducing import ByAttention, ByPredictor
from dynvit_train.weights import Loaded, fill, shape_of

SIZE, PATCH, CLASSES = 16, 4, 5
SMALL = {"img_size": SIZE, "patch_size": PATCH, "embed_dim": 16, "depth": 2, "num_heads": 2, "num_classes": CLASSES}
HF = {
    "image_size": SIZE, "patch_size": PATCH, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 32, "mlp_ratio": 2,
}  # fmt: skip


def vit(**more):
    return timm.models.VisionTransformer(**{**SMALL, "mlp_ratio": 2, **more})


def hf(kind, config, **more):
    return getattr(transformers, kind)(getattr(transformers, config)(**HF, num_labels=CLASSES, **more))


def hf_tower(kind, config, vision, **more):
    vision = getattr(transformers, vision)(**HF, **more).to_dict()
    return getattr(transformers, kind)(getattr(transformers, config)(vision_config=vision, num_labels=CLASSES))


def kinds():
    """name -> (model, what its configuration says)."""
    gap = {"class_token": False, "global_pool": "avg"}
    heads = {"heads": "2", "prune_at": "0,1"}
    neat = {**heads, "layer_norm_eps": "1e-06"}
    none = {**heads, "head": "none"}
    distilled = timm.models.deit.VisionTransformerDistilled
    avg = {**heads, "pool": "avg"}
    clip = {"pre_norm": True, "norm_layer": torch.nn.LayerNorm}
    return {
        "plain": (vit(), heads),
        "deit3": (vit(no_embed_class=True, init_values=0.1), heads),
        "distilled": (distilled(**SMALL, mlp_ratio=2), heads),
        "distilled-backbone": (distilled(**{**SMALL, "num_classes": 0}, mlp_ratio=2), none),
        "registers": (vit(reg_tokens=3, no_embed_class=True, init_values=0.1), heads),
        "registers-placed": (vit(reg_tokens=2, **gap), heads),
        "registers-gap": (vit(reg_tokens=4, no_embed_class=True, **gap), heads),
        "mean": (vit(global_pool="avg"), heads),
        "mean-norm": (vit(global_pool="avg", fc_norm=False), avg),
        "token-fc-norm": (vit(fc_norm=True), {**heads, "pool": "token"}),
        "gap-tanh": (vit(fc_norm=False, act_layer=GELUTanh, **gap), {**heads, "act": "gelu_tanh"}),
        "gap-scaled": (vit(fc_norm=False, qkv_bias=False, init_values=0.1, **gap), heads),
        "gap-backbone": (vit(fc_norm=False, **{**gap, "num_classes": 0}), none),
        "clip-quick": (vit(act_layer=QuickGELU, **clip), {**heads, "act": "quick_gelu"}),
        "backbone": (vit(init_values=0.1, num_classes=0), none),
        "hf-vit": (hf("ViTForImageClassification", "ViTConfig"), heads),
        "hf-deit": (hf("DeiTForImageClassification", "DeiTConfig"), heads),
        "hf-deit-teacher": (hf("DeiTForImageClassificationWithTeacher", "DeiTConfig"), heads),
        "hf-dinov2": (hf("Dinov2ForImageClassification", "Dinov2Config", layer_norm_eps=1e-6), neat),
        "hf-dinov2-registers": (
            hf("Dinov2WithRegistersForImageClassification", "Dinov2WithRegistersConfig", layer_norm_eps=1e-6),
            neat,
        ),
        "hf-ijepa": (hf("IJepaForImageClassification", "IJepaConfig"), heads),
        "hf-msn": (hf("ViTMSNForImageClassification", "ViTMSNConfig", layer_norm_eps=1e-6), neat),
        "hf-clip": (hf_tower("CLIPForImageClassification", "CLIPConfig", "CLIPVisionConfig"), heads),
        "hf-siglip": (hf_tower("SiglipForImageClassification", "SiglipConfig", "SiglipVisionConfig"), heads),
        "torchvision": (torchvision.models.VisionTransformer(SIZE, PATCH, 2, 2, 16, 32, num_classes=CLASSES), heads),
    }


PREDICTED = ("distilled", "registers", "gap-tanh")  # kinds that get predictors


@torch.no_grad()
def answer(model, x):
    out = model.double().eval()(x.double())
    return (out.logits if hasattr(out, "logits") else out).float()


def tensors(model):
    """What the program writes to a file."""
    if not isinstance(model, transformers.PreTrainedModel):
        return dict(model.state_dict())
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return load_file(f"{folder}/model.safetensors")


def predictors():
    stages = torch.nn.ModuleList(Predictor(SMALL["embed_dim"]) for _ in range(2))
    shake(stages)
    return {f"score_predictor.{n}": t for n, t in stages.state_dict().items()}


@torch.no_grad()
def pruned(state, said, x, want):
    """Answers at keep 0.7 by scorer, of this package's own model, whose dense answer must be want."""
    loaded = Loaded({n: t.double() for n, t in state.items()}, said)
    model = fill(DynamicViT(shape_of(loaded)), loaded, "kind").double().eval()
    torch.testing.assert_close(model(x.double()).logits.float(), want, rtol=1e-5, atol=1e-5)
    counts = keep_counts(0.7, model.shape.patches, 2)
    rules = {"attention": ByAttention()}
    if any(n.startswith("score_predictor.") for n in state):
        rules["predictor"] = ByPredictor()
    return {name: model.pruned(x.double(), counts, rule).logits.float() for name, rule in rules.items()}


def main(out):
    torch.manual_seed(1)
    x = torch.randn(2, 3, SIZE, SIZE).half().float()
    held, meta = {"x": x}, {}
    for name, (model, said) in kinds().items():
        shake(model)
        state = {n: t.half() for n, t in tensors(model).items() if t.is_floating_point()}
        answers = {"logits": answer(model, x)}
        if name in PREDICTED:
            state |= {n: t.half() for n, t in predictors().items()}
        if isinstance(model, timm.models.VisionTransformer):
            answers |= pruned(state, said | {"layer_norm_eps": str(model.blocks[0].norm1.eps)}, x, answers["logits"])
        held |= {f"{name}/{n}": t.contiguous() for n, t in (state | answers).items()}
        meta[name] = json.dumps(said)
    save_file(held, out, meta)


if __name__ == "__main__":
    main(sys.argv[1])
