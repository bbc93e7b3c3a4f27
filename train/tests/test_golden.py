"""The model and its losses against the reference's numbers."""

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from dynvit_train.deciding import Gumbel
from dynvit_train.losses import dynamic_loss
from dynvit_train.model import keep_counts
from dynvit_train.reducing import ByPredictor
from dynvit_train.weights import load_model


def difference(got, want):
    """Largest difference over the largest value wanted."""
    scale = want.abs().max().item()
    return (got - want).abs().max().item() / (scale or 1.0)


def test_training_equals_the_reference(shared):
    golden = load_file(shared("golden", "mini_train", "golden.safetensors"))
    student, _, _ = load_model(shared("golden", "mini_deit", "mini_deit.pth"), heads=2)
    teacher, _, _ = load_model(shared("golden", "mini_train", "teacher.safetensors"), heads=2)
    out = student.masked(golden["x"], Gumbel(lambda stage, like: golden[f"gumbel.{stage}"]))
    with torch.no_grad():
        wanted = teacher(golden["x"])
    losses = dynamic_loss(out, golden["labels"], wanted, ratios=[0.7, 0.49, 0.343])
    losses.total.backward()
    for k, decision in enumerate(out.decisions):
        assert torch.equal(decision[..., 0].round(), golden[f"decision.{k}"].round()), k
    assert torch.equal(out.decisions[-1].detach().round(), golden["final_mask"].round())
    worst = {"logits": difference(out.logits, golden["logits"]), "features": difference(out.tokens, golden["features"])}
    names = {"cls": "cls", "ratio": "ratio_sum", "kl": "kl", "token": "token", "total": "total"}
    for ours, theirs in names.items():
        worst["loss " + ours] = difference(getattr(losses, ours).reshape(1), golden["loss." + theirs])
    gradients = {n: p.grad for n, p in student.named_parameters()}
    wanted = {n[5:]: t for n, t in golden.items() if n.startswith("grad.")}
    assert gradients.keys() == wanted.keys() and len(wanted) == 182
    for name, want in wanted.items():
        worst[name] = difference(gradients[name], want)
    name = max(worst, key=worst.get)
    print(f"largest relative difference {worst[name]:.2g} ({name})")
    assert worst[name] <= 1e-4


@pytest.mark.parametrize("name", ["mini_deit", "mini_lvvit"])
@pytest.mark.parametrize("keep", [0.7, 0.5])
def test_inference_equals_the_reference(shared, name, keep):
    golden = load_file(shared("golden", name, "golden.safetensors"))
    model, _, _ = load_model(shared("golden", name, f"{name}.pth"), heads=2)
    seen = {}
    with torch.no_grad():
        counts = keep_counts(keep, 196, 3)
        out = model.eval().pruned(golden["x"], counts, ByPredictor(), seen.__setitem__)
    worst = difference(out.logits, golden[f"keep{keep}.logits"])
    for k, kept in enumerate(out.kept):
        assert torch.equal(kept, golden[f"keep{keep}.kept.{k}"].sort(dim=1).values), k
    for key, got in seen.items():
        worst = max(worst, difference(got, in_order(golden, f"keep{keep}.", key, got, model.shape.prune_at)))
    assert len(seen) == 1 + 3 + model.shape.depth
    print(f"{name} keep {keep}: largest relative difference {worst:.2g}")
    assert worst <= 2e-5


def in_order(golden, prefix, key, got, prune_at):
    """A golden activation with its rows in ascending order of patch id; the reference leaves them in score order."""
    want = golden[prefix + key]
    if key.startswith("score."):
        stage = int(key[6:]) - 1
    else:
        stage = sum(int(key[6:]) >= at for at in prune_at) - 1 if key.startswith("block.") else -1
    if stage < 0:
        return want
    order = golden[f"{prefix}kept.{stage}"].argsort(1)
    if want.dim() == 2:
        return want.gather(1, order)
    order = torch.cat([torch.zeros_like(order[:, :1]), order + 1], 1)
    return want.gather(1, order[..., None].expand_as(want))


def test_lvvit_training_equals_the_reference(shared):
    """Numbers of the reference's own LV-ViT training pass on mini_lvvit.pth (make_lvvit_numbers.py)."""
    numbers = json.loads((Path(__file__).parent / "lvvit_numbers.json").read_text())
    golden = load_file(shared("golden", "mini_lvvit", "golden.safetensors"))
    student, _, _ = load_model(shared("golden", "mini_lvvit", "mini_lvvit.pth"), heads=2)
    teacher, _, _ = load_model(shared("golden", "mini_lvvit", "mini_lvvit.pth"), heads=2)
    x, labels, noise = lvvit_inputs(golden["x"])
    with torch.no_grad():
        wanted = teacher.eval()(x * 0.9)
    out = student.train().masked(x, Gumbel(lambda stage, like: noise[stage]))
    losses = dynamic_loss(out, labels, wanted, ratios=[0.7, 0.49, 0.343], aux=True)
    losses.total.backward()
    assert [d.sum().round().int().item() for d in out.decisions] == numbers["kept"]
    for name in ("cls", "ratio", "kl", "token", "total"):
        assert math.isclose(getattr(losses, name).item(), numbers["loss"][name], rel_tol=1e-4), name
    gradients = {n: p.grad.norm().item() for n, p in student.named_parameters()}
    assert gradients.keys() == numbers["gradient_norm"].keys()
    # Convolutions in front of BatchNorm have gradients of cancelling terms: 1e-3 there, 1e-4 elsewhere.
    for name, norm in gradients.items():
        allowed = 1e-3 if name.startswith("patch_embed.conv") else 1e-4
        assert math.isclose(norm, numbers["gradient_norm"][name], rel_tol=allowed), name


def lvvit_inputs(x):
    """Pictures, soft labels and Gumbel noise of the LV-ViT check, the same on every machine."""
    g = torch.Generator().manual_seed(7)
    labels = torch.rand(2, 10, generator=g).softmax(-1)
    noise = [-torch.empty(2, 196, 2).exponential_(generator=g).log() for _ in range(3)]
    return x, labels, noise
