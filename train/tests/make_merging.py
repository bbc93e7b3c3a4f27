"""Makes the golden files of merging: vit/testdata/merging.safetensors and merging_deit_tiny.json, docs/method.md's rule
as this package computes it in float64.

    python tests/make_merging.py ../vit/testdata ../../shared

merging.safetensors has small random models in float16, KIND/NAME with the metadata of KIND as JSON, pictures x, and
answers/KIND/RULE/RATIO/ with logits, and groups.K [B, N] (the patch that stands for each, -1: dropped) and sizes.K
[B, kept] after each stage. Groups are those of x to within 1e-5: noise of that size does not change them.
merging_deit_tiny.json has DeiT-Tiny's groups and best five on the photos of golden/deit_tiny, and as ties the patches
whose group such noise does change.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from shaking import shake

from dynvit_train.export import golden_input
from dynvit_train.merging import RULES, merged
from dynvit_train.model import DynamicViT, Shape, keep_counts
from dynvit_train.weights import load_model

SMALL = Shape(16, 4, 2, 32, 5, image_size=32, patch_size=4, prune_at=(0, 1, 3))
KINDS = {
    "plain": SMALL,
    "lvvit": replace(SMALL, stem=4, skip_lam=2.0, eps=1e-5, qkv_bias=False, aux_head=True),
    "mean": replace(SMALL, pool="avg", last_norm="fc_norm"),
    "mean-norm": replace(SMALL, cls=False, placed=0, pool="avg"),
    "registers": replace(SMALL, registers=2, layer_scale=True, pool="token+avg"),
}
SMALL_RATIOS = (0.9, 0.7, 0.5, 0.25)
RATIOS = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4)
PICTURES, NOISE = 2, 1e-5


def metadata(shape):
    said = {"heads": shape.heads, "prune_at": ",".join(map(str, shape.prune_at)), "layer_norm_eps": f"{shape.eps:g}"}
    said |= {"pool": "avg"} if shape.pool == "avg" else {}
    said |= {"skip_lam": f"{shape.skip_lam:g}"} if shape.stem else {}
    return json.dumps({k: str(v) for k, v in said.items()})


def small_model(shape):
    """Weights are float16's, computed with in float64; its norms have seen nothing."""
    model = DynamicViT(shape)
    shake(model)
    return model.double().eval()


@torch.no_grad()
def groups_of(model, x, counts, rule, draws):
    """The answer, and [stages, B, N]: which groups noise changes in any of so many draws."""
    out = merged(model, x, counts, rule)
    unsure = torch.zeros(len(counts), *out.groups[0].shape, dtype=torch.bool)
    for _ in range(draws):
        near = merged(model, x + NOISE * torch.randn_like(x), counts, rule)
        unsure |= torch.stack([a != b for a, b in zip(near.groups, out.groups)])
    return out, unsure


def small_answers(name, shape, model, x):
    """Answers by name; None where noise changes a group."""
    answers = {}
    for rule in RULES:
        for ratio in SMALL_RATIOS:
            counts = keep_counts(ratio, shape.patches, len(shape.prune_at))
            out, unsure = groups_of(model, x, counts, RULES[rule], 10)
            if unsure.any():
                return None
            at = f"answers/{name}/{rule}/{ratio:g}"
            answers[f"{at}/logits"] = out.logits.float()
            for k, (groups, sizes) in enumerate(zip(out.groups, out.sizes)):
                answers |= {f"{at}/groups.{k}": groups.short(), f"{at}/sizes.{k}": sizes.short()}
    return answers


def make_small(path):
    torch.manual_seed(1)
    models = {name: small_model(shape) for name, shape in KINDS.items()}
    held, meta = {}, {name: metadata(shape) for name, shape in KINDS.items()}
    for name, model in models.items():
        answers = None
        while answers is None:
            x = torch.randn(PICTURES, 3, 32, 32).half()
            answers = small_answers(name, KINDS[name], model, x.double())
        state = {n: t for n, t in model.state_dict().items() if t.is_floating_point()}
        held |= {f"{name}/{n}": t.half() for n, t in state.items()} | {f"answers/{name}/x": x} | answers
    save_file({n: t.contiguous() for n, t in held.items()}, path, meta)


def make_deit_tiny(path, shared):
    torch.manual_seed(2)
    model, facts, _ = load_model(
        shared / "models" / "deit_tiny_patch16_224.safetensors",
        shared / "golden" / "deit_tiny" / "predictors.safetensors",
    )
    model, photos = model.double().eval(), sorted((shared / "golden" / "deit_tiny").glob("*.png"))
    x = torch.stack([golden_input(p, facts, model.shape.image_size, False) for p in photos]).double()
    cases = []
    for rule in RULES:
        for ratio in RATIOS:
            counts = keep_counts(ratio, model.shape.patches, len(model.shape.prune_at))
            out, unsure = groups_of(model, x, counts, RULES[rule], 3)
            cases += [case(photo.name, rule, ratio, out, unsure, i) for i, photo in enumerate(photos)]
            print(f"{rule} {ratio}: {int(unsure.sum())} of {unsure.numel()} groups are ties", flush=True)
    lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
    path.write_text(f'{{"cases":[\n{lines}\n]}}\n')


def case(photo, rule, ratio, out, unsure, i):
    best = out.logits[i].topk(5)
    return {
        "image": photo, "scorer": rule, "keep_ratio": ratio, "top5": best.indices.tolist(),
        "logits": [round(v, 6) for v in best.values.tolist()],
        "groups": [g[i].tolist() for g in out.groups],
        "ties": [u[i].nonzero()[:, 0].tolist() for u in unsure],
    }  # fmt: skip


def main(folder, shared):
    make_small(Path(folder) / "merging.safetensors")
    make_deit_tiny(Path(folder) / "merging_deit_tiny.json", Path(shared))


if __name__ == "__main__":
    main(*sys.argv[1:])
