"""Which patches stay at inference, one class a rule, as dynvitd computes them and as the ablations compare them.

A rule with inside = False acts on the tokens ahead of the block: rule(model, stage, x, ids, keep, probe).
One with inside = True reads the block's own attention: rule.scored(x, ids, keep, weights, v, block).
Both take tokens x [B, n, D] (P ahead of the patches) and patch ids [B, n-P] and return what is left of the two.
"""

import torch
from torch.nn import functional as F


def keep_best(x, ids, keep, score):
    """What is ahead of the patches and the keep best of these by score [B, n-P], in ascending order of row; ties go to
    the lower row."""
    prefix = x.shape[1] - ids.shape[1]
    rows = score.sort(dim=1, descending=True, stable=True).indices[:, :keep].sort(dim=1).values
    picked = x[:, prefix:].gather(1, rows[..., None].expand(-1, -1, x.shape[-1]))
    return torch.cat([x[:, :prefix], picked], 1), ids.gather(1, rows)


class ByPredictor:
    inside = False

    def __call__(self, model, stage, x, ids, keep, probe=None):
        return keep_best(x, ids, keep, self.score(model, stage, x, ids, probe))

    def score(self, model, stage, x, ids, probe=None):
        patches = x[:, -ids.shape[1] :]
        logprobs = model.score_predictor[stage](patches, torch.ones_like(patches[..., :1]), ids)
        if probe:
            probe(f"score.{stage}", logprobs[..., 0])
        return logprobs[..., 0] - logprobs[..., 1]


class ByRandom:
    """Another random set for each picture."""

    inside = False

    def __init__(self, seed):
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self, model, stage, x, ids, keep, probe=None):
        return keep_best(x, ids, keep, torch.rand(ids.shape, generator=self.generator).to(x.device))


class ByAttention:
    """Attention received, mean over queries, times the length of the value, mean over heads."""

    inside = True

    def score(self, weights, v, block):
        """[B, n], of every token."""
        return (weights.mean(2) * v.norm(dim=-1)).mean(1)

    def scored(self, x, ids, keep, weights, v, block):
        return keep_best(x, ids, keep, self.score(weights, v, block)[:, -ids.shape[1] :])


class ByCLSAttention(ByAttention):
    """CLS's attention to the patch, mean over heads (EViT's rule)."""

    def score(self, weights, v, block):
        return weights[:, :, 0].mean(1)


class ByProjection(ByAttention):
    """The length of what the patch adds through all queries' mean attention and the output projection."""

    def score(self, weights, v, block):
        share = weights.mean(2)[..., None] * v  # [B, heads, n, D/heads]
        return F.linear(share.transpose(1, 2).flatten(2), block.attn.proj.weight).norm(dim=-1)


class Pooling:
    """Structural downsampling: the grid of patches is averaged down to the largest square grid within keep."""

    inside = False

    def __call__(self, model, stage, x, ids, keep, probe=None):
        grid, side, prefix = int(ids.shape[1] ** 0.5), int(keep**0.5), x.shape[1] - ids.shape[1]
        maps = x[:, prefix:].transpose(1, 2).unflatten(2, (grid, grid))
        pooled = F.adaptive_avg_pool2d(maps, side).flatten(2).transpose(1, 2)
        return torch.cat([x[:, :prefix], pooled], 1), ids[:, : side * side]


RULES = {
    "predictor": ByPredictor,
    "attention": ByAttention,
    "cls-attention": ByCLSAttention,
    "projection": ByProjection,
    "pooling": Pooling,
}
