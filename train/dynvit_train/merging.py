"""Merging: what is removed lives on in what stays, as dynvitd's scorers `merge` and `predictor+merge` do it.

This is not the paper's method, which drops. A stage acts after its block's attention, before its MLP: a share of those
to remove, the least important, is dropped; the others are merged into the most similar of every second (or third, …)
patch, after Bolya et al., ICLR 2023 (Token Merging). From then on attention and means weigh a patch by its size, which
is how many patches it stands for. docs/method.md, "Merging", defines it.
"""

from dataclasses import dataclass

import torch
from torch.nn import functional as F

from .model import Output
from .reducing import ByAttention, ByPredictor


@dataclass
class Merged(Output):
    """Output, and after each stage which patch each one lives in and how many live in each that is kept."""

    groups: list = None  # [B, N] ids of the patch that stands for it, -1 where dropped
    sizes: list = None  # [B, n-P]


@dataclass(frozen=True)
class Merge:
    """A rule: the importance, ByAttention or ByPredictor, and the share of those to remove that is dropped."""

    inside = True  # of the block, as rules of reducing have it

    importance: object
    share: tuple = (2, 5)  # a fraction

    def survivors(self, counts, patches):
        """How many are left at each stage once the least important are dropped, and before the rest is merged."""
        alive = [patches, *counts]
        return [amounts(before, after, self.share)[0] for before, after in zip(alive, counts)]


RULES = {"merge": Merge(ByAttention()), "predictor+merge": Merge(ByPredictor(), (1, 5))}


def amounts(alive, keep, share):
    """(how many of the patches alive survive the drop, every which one of those is a target)."""
    left = alive - (alive - keep) * share[0] // share[1]
    stride = 2
    while left // stride > keep:
        stride += 1
    return left, stride


def unite(keys, keep, stride):
    """Which of m patches each goes to, [B, m], by their keys [B, m, W]: the sources most similar to their best target
    go there until keep are left, all others stay where they are. Ties go to the lower row."""
    m = keys.shape[1]
    own = torch.arange(m, device=keys.device)
    if m == keep:
        return own.expand(len(keys), -1)
    is_target = own % stride == stride - 1
    sources, targets = own[~is_target], own[is_target]
    unit = F.normalize(keys, dim=-1)
    similar = unit[:, sources] @ unit[:, targets].transpose(1, 2)
    best = similar.argmax(-1)
    nearest = similar.gather(-1, best[..., None])[..., 0]
    away = nearest.sort(dim=1, descending=True, stable=True).indices[:, : m - keep]
    return own.expand(len(keys), -1).scatter(1, sources[away], targets[best.gather(1, away)])


def best_rows(score, count):
    """The count best rows by score [B, a], ascending; ties go to the lower row."""
    return score.sort(dim=1, descending=True, stable=True).indices[:, :count].sort(dim=1).values


def assign(rows, keys, keep, stride):
    """Which of the patches each goes to, [B, a], -1 where it is none of the rows [B, m] that survived the drop."""
    goes = unite(pick(keys, rows), keep, stride)
    return torch.full_like(keys[..., 0], -1, dtype=torch.long).scatter(1, rows, rows.gather(1, goes))


def average(x, size, goes):
    """The patches x [B, a, D] and their sizes [B, a, 1] once each has gone where goes [B, a] says: the average by size
    and the sum of sizes where some went, size 0 elsewhere."""
    size = size * (goes >= 0)[..., None]
    to = goes.clamp(min=0)[..., None]
    sizes = torch.zeros_like(size).scatter_add(1, to, size)
    sums = torch.zeros_like(x).scatter_add(1, to.expand_as(x), x * size)
    return torch.where(sizes > 0, sums / torch.where(sizes > 0, sizes, 1), x), sizes


def pick(x, rows):
    return x.gather(1, rows[..., None].expand(-1, -1, x.shape[-1]))


class Pass:
    """One inference pass: the tokens and what each stands for."""

    def __init__(self, model, x, counts, rule, forced):
        self.model, self.counts, self.rule, self.forced = model, counts, rule, forced
        self.x = model.embed(x)
        self.prefix, patches = model.shape.prefix, model.shape.patches
        self.size = self.x.new_ones(*self.x.shape[:2], 1)
        self.ids = torch.arange(patches, device=x.device).expand(len(x), -1)
        self.row = self.ids  # of each patch of the input: the row that stands for it, -1 where dropped
        self.kept, self.groups, self.sizes = [], [], []

    def run(self, probe):
        probe("embed", self.x)
        for i, block in enumerate(self.model.blocks):
            self.block(i, block, probe)
            probe(f"block.{i:02d}", self.x)
        out = self.model.classify(self.x, self.size[:, self.prefix :])
        return Merged(out.logits, out.cls_logits, out.tokens, [], self.kept, self.groups, self.sizes)

    def block(self, i, block, probe):
        stage = len(self.kept) if i in self.model.shape.prune_at else -1
        acts = stage >= 0 and self.counts[stage] < self.ids.shape[1]
        score = self.predicted(stage, probe) if acts and isinstance(self.rule.importance, ByPredictor) else None

        def reduce(x, weights, k, v):
            if not acts:
                return x
            return self.reduce(x, self.received(weights, v, block) if score is None else score, k, stage)

        self.x = block.forward_scored(self.x, reduce, self.size)
        if stage >= 0:
            self.note()

    def predicted(self, stage, probe):
        return self.rule.importance.score(self.model, stage, self.x, self.ids, probe)

    def received(self, weights, v, block):
        return self.rule.importance.score(weights, v, block)[:, self.prefix :]

    def reduce(self, x, score, k, stage):
        keep = self.counts[stage]
        if self.forced:
            goes = self.given(self.forced[stage])
        else:
            left, stride = amounts(score.shape[1], keep, self.rule.share)
            goes = assign(best_rows(score, left), k.mean(1)[:, self.prefix :], keep, stride)
        patches, sizes = average(x[:, self.prefix :], self.size[:, self.prefix :], goes)
        stays = goes == torch.arange(goes.shape[1], device=x.device)
        rows = stays.nonzero()[:, 1].view(len(x), keep)
        rank = (stays.cumsum(1) - 1).gather(1, goes.clamp(min=0)).masked_fill(goes < 0, -1)
        self.row = rank.gather(1, self.row.clamp(min=0)).masked_fill(self.row < 0, -1)
        self.ids = self.ids.gather(1, rows)
        self.size = torch.cat([self.size[:, : self.prefix], pick(sizes, rows)], 1)
        return torch.cat([x[:, : self.prefix], pick(patches, rows)], 1)

    def given(self, groups):
        """goes, of groups [B, N] that a test wants."""
        to = groups.gather(1, self.ids)
        return torch.where(to >= 0, (self.ids[:, None] < to[..., None]).sum(-1), -1)

    def note(self):
        self.kept.append(self.ids)
        self.groups.append(self.ids.gather(1, self.row.clamp(min=0)).masked_fill(self.row < 0, -1))
        self.sizes.append(self.size[:, self.prefix :, 0])


def merged(model, x, counts, rule, forced=None, probe=None):
    """The inference pass: stage k leaves counts[k] patches as the rule says, or as forced, groups by stage, say.

    probe(name, tensor), if given, sees embed, block.NN and score.k as golden files name them.
    """
    return Pass(model, x, counts, rule, forced).run(probe or (lambda name, tensor: None))


def remove(model, x, counts, rule):
    """The inference pass by a rule of either kind: one that merges, or one of reducing."""
    return merged(model, x, counts, rule) if isinstance(rule, Merge) else model.pruned(x, counts, rule)


def merged_masked(model, x, counts, rule, decide):
    """The training pass of `predictor+merge`: every token stays, those merged away or dropped are masked out.

    decide(stage, logprobs [B, N, 2], alive [B, N, 1]) keeps exactly rule.survivors of those alive. Decisions multiply
    sizes, in the averages and in attention, so gradients reach the scores. decisions of the Output are sizes.
    """
    x, prefix = model.embed(x), model.shape.prefix
    size = x.new_ones(*x.shape[:2], 1)
    alive, decisions = size[:, prefix:], []
    alive_before = model.shape.patches
    for i, block in enumerate(model.blocks):
        stage = len(decisions) if i in model.shape.prune_at else -1
        if stage < 0:
            x = block(x, size)
            continue
        alive = decide(stage, model.score_predictor[stage](x[:, prefix:], alive), alive)
        left, stride = amounts(alive_before, counts[stage], rule.share)
        rows = alive[..., 0].round().nonzero()[:, 1].view(len(x), left)
        alive_before = counts[stage]
        k = block.attn.split(block.norm1(x))[1]
        goes = assign(rows, k.mean(1)[:, prefix:].detach(), counts[stage], stride)
        x = block.add(x, block.ls1(block.attn(block.norm1(x), size)))
        patches, sizes = average(x[:, prefix:], size[:, prefix:] * alive, goes)
        x, size = torch.cat([x[:, :prefix], patches], 1), torch.cat([size[:, :prefix], sizes], 1)
        alive = alive * (goes == torch.arange(goes.shape[1], device=x.device))[..., None]
        x = block.add(x, block.ls2(block.mlp(block.norm2(x))))
        decisions.append(sizes)
    out = model.classify(x, size[:, prefix:])
    out.decisions = decisions
    return out
