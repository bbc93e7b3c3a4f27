"""Writes lvvit_numbers.json: losses and gradient norms of the reference's own LV-ViT training pass.

    python make_lvvit_numbers.py CLONE SHARED

CLONE is a checkout of raoyongming/DynamicViT, SHARED the project's reference data. Needed only for new cases.
"""

import json
import sys
import types
from functools import partial
from pathlib import Path

import numpy as np
import timm.layers
import torch
from safetensors.torch import load_file
from test_golden import lvvit_inputs


def old_names():
    """The reference was written for older timm, numpy and torch."""
    sys.modules["timm.models.layers"] = timm.layers
    np.int = int
    six = types.ModuleType("torch._six")
    six.inf = float("inf")
    sys.modules["torch._six"] = six
    sys.modules.setdefault("tensorboardX", types.ModuleType("tensorboardX")).SummaryWriter = object
    timm.utils.get_state_dict = getattr(timm.utils, "get_state_dict", None)


def main(clone, shared):
    old_names()
    sys.path.insert(0, str(clone))
    from losses import DistillDiffPruningLoss_dynamic
    from models.dylvvit import LVViT_Teacher, LVViTDiffPruning

    sizes = dict(embed_dim=64, depth=16, num_heads=2, mlp_ratio=3.0, num_classes=10, p_emb="4_2", skip_lam=2.0)
    norm = partial(torch.nn.LayerNorm, eps=1e-5)
    student = LVViTDiffPruning(
        **sizes,
        norm_layer=norm,
        return_dense=True,
        mix_token=False,
        pruning_loc=[4, 8, 12],
        token_ratio=[0.7, 0.49, 0.343],
        distill=True,
    )
    teacher = LVViT_Teacher(**sizes, norm_layer=norm, return_dense=True)
    state = torch.load(shared / "golden/mini_lvvit/mini_lvvit.pth", weights_only=True)["model"]
    student.load_state_dict(state)
    teacher.load_state_dict({k: v for k, v in state.items() if not k.startswith("score_predictor.")})
    teacher.eval()
    golden = load_file(shared / "golden/mini_lvvit/golden.safetensors")
    x, labels, noise = lvvit_inputs(golden["x"])
    queue = iter(noise)

    def gumbel_softmax(logits, hard):
        soft = (logits + next(queue)).softmax(-1)
        one = torch.zeros_like(soft).scatter_(-1, soft.argmax(-1, keepdim=True), 1.0)
        return one - soft.detach() + soft

    torch.nn.functional.gumbel_softmax = gumbel_softmax
    criterion = lambda p, t: -(t * p.log_softmax(-1)).sum(-1).mean()  # noqa: E731
    loss = DistillDiffPruningLoss_dynamic(
        lambda inputs: teacher(inputs * 0.9),
        criterion,
        clf_weight=1.0,
        keep_ratio=[0.7, 0.49, 0.343],
        pruning_loc=[4, 8, 12],
        mse_token=False,
    )
    out = student.train()(x)
    total, (cls, ratio, kl, token) = loss(x, out, labels)
    total.backward()
    parts = dict(cls=cls, ratio=ratio, kl=kl, token=token, total=total)
    numbers = {
        "kept": [int(d.sum().round()) for d in out[3]],
        "loss": {k: v.item() for k, v in parts.items()},
        "gradient_norm": {n: p.grad.norm().item() for n, p in student.named_parameters()},
    }
    target = Path(__file__).parent / "lvvit_numbers.json"
    target.write_text(json.dumps(numbers, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
