"""Merging: what is removed lives on in what stays, as dynvitd's scorers `merge` and `predictor+merge` do it.

This is not the paper's method, which drops. A stage acts after its block's attention, before its MLP: a share of those
to remove, the least important, is dropped; the others are merged into the most similar of the half that its place in
the picture makes targets, after Bolya et al., ICLR 2023 (Token Merging). From then on attention and means weigh a patch
by its size, which is how many patches it stands for. docs/method.md, "Merging", defines it.
"""

from dataclasses import dataclass

import torch
from torch.nn import functional as F

from . import reducing
from .errors import UserError
from .model import Output
from .reducing import ByAttention, ByPredictor

NO_DISTANCE = 1e-6  # of keys that are equal but for rounding, which is not to order them


@dataclass
class Merged(Output):
    """Output, and after each stage which patch each one lives in and how many live in each that is kept."""

    groups: list = None  # [B, N] ids of the patch that stands for it, -1 where dropped
    sizes: list = None  # [B, n-P]


@dataclass(frozen=True)
class Merge:
    """A rule: what makes a patch worth keeping, ByAttention or ByPredictor."""

    inside = True  # of the block, as rules of reducing have it

    importance: object


RULES = {"merge": Merge(ByAttention()), "predictor+merge": Merge(ByPredictor())}

SCORERS = ("predictor", "attention", "cls-attention", "merge", "predictor+merge")  # as dynvitd names them


def rule_of(scorer):
    """The rule of a scorer's name; of none the predictors' own."""
    if scorer and scorer not in SCORERS:
        raise UserError(f"scorer {scorer!r}: want one of {', '.join(SCORERS)}")
    return RULES[scorer] if scorer in RULES else reducing.RULES[scorer or "predictor"]()


def survivors(alive, keep):
    """How many patches of those alive are left once the least important are dropped and before the rest is merged: the
    share of those to go that is dropped is the share of all that is to go. At most twice keep are left, so one of two
    can be a target."""
    return alive - (alive - keep) ** 2 // alive


def survivors_of(counts, patches):
    """The same of each stage, whose counts these are."""
    return [survivors(before, after) for before, after in zip([patches, *counts], counts)]


def orders(grid):
    """[turns, N]: where each patch of a grid is in the order of each turn, as one number of the bits of its row XOR
    column and of its column, by turns, the lowest first, from the turn's on and around. The n-th merge of a pass has
    turn n: its sources and targets are the squares of a chessboard, every other column, larger squares and so on."""
    ids, n = torch.arange(grid * grid), max(1, (grid - 1).bit_length())
    row, column = ids // grid, ids % grid
    bits = [(column if k % 2 else row ^ column) >> k // 2 & 1 for k in range(2 * n)]
    weights = [1 << k for k in reversed(range(2 * n))]
    return torch.stack([sum(b * w for b, w in zip(bits[t:] + bits[:t], weights)) for t in range(2 * n)])


def unite(keys, importance, order, keep):
    """Which of m patches each goes to, [B, m], by their keys [B, m, W], importance [B, m] above 0 and order [B, m]: the
    half that is highest in order are targets, the others sources, and those that cost least go to the target that is
    most like them until keep are left. The cost is the distance times the root of the importance. All others stay where
    they are. Ties go to the lower row."""
    m = keys.shape[1]
    own = torch.arange(m, device=keys.device).expand(len(keys), -1)
    if m == keep:
        return own
    by_order = order.sort(dim=1, descending=True, stable=True).indices
    targets, sources = by_order[:, : m // 2].sort(dim=1).values, by_order[:, m // 2 :].sort(dim=1).values
    unit = F.normalize(keys, dim=-1)
    similar = pick(unit, sources) @ pick(unit, targets).transpose(1, 2)
    best = similar.argmax(-1)
    distance = (1 - similar.gather(-1, best[..., None])[..., 0]).clamp(min=NO_DISTANCE)
    cost = distance * importance.gather(1, sources).sqrt()
    away = cost.sort(dim=1, stable=True).indices[:, : m - keep]
    return own.scatter(1, sources.gather(1, away), targets.gather(1, best.gather(1, away)))


def best_rows(score, count):
    """The count best rows by score [B, a], ascending; ties go to the lower row."""
    return score.sort(dim=1, descending=True, stable=True).indices[:, :count].sort(dim=1).values


def assign(rows, keys, importance, order, keep):
    """Which of the patches each goes to, [B, a], -1 where it is none of the rows [B, m] that survived the drop."""
    goes = unite(pick(keys, rows), importance.gather(1, rows), order.gather(1, rows), keep)
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
        self.orders, self.turn = orders(model.shape.grid).to(x.device), 0
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
        predicted = self.predicted(stage, probe) if acts and isinstance(self.rule.importance, ByPredictor) else None

        def reduce(x, weights, k, v):
            if not acts:
                return x
            return self.reduce(x, self.received(weights, v, block) if predicted is None else predicted, k, stage)

        self.x = block.forward_scored(self.x, reduce, self.size)
        if stage >= 0:
            self.note()

    def predicted(self, stage, probe):
        """The odds of being kept, by which predictors are an importance above 0."""
        return self.rule.importance.score(self.model, stage, self.x, self.ids, probe).exp()

    def received(self, weights, v, block):
        return self.rule.importance.score(weights, v, block)[:, self.prefix :]

    def reduce(self, x, importance, k, stage):
        keep = self.counts[stage]
        if self.forced:
            goes = self.given(self.forced[stage])
        else:
            rows = best_rows(importance, survivors(importance.shape[1], keep))
            order = self.orders[self.turn % len(self.orders)][self.ids]
            goes = assign(rows, k.mean(1)[:, self.prefix :], importance, order, keep)
        self.turn += 1
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


def remove(model, x, counts, rule, probe=None):
    """The inference pass by a rule of either kind: one that merges, or one of reducing."""
    if isinstance(rule, Merge):
        return merged(model, x, counts, rule, probe=probe)
    return model.pruned(x, counts, rule, probe)


def merged_masked(model, x, counts, decide):
    """The training pass of `predictor+merge`: every token stays, those merged away or dropped are masked out.

    decide(stage, logprobs [B, N, 2], alive [B, N, 1]) keeps exactly survivors of those alive. Decisions multiply
    sizes, in the averages and in attention, so gradients reach the scores. decisions of the Output are sizes.
    """
    x, prefix = model.embed(x), model.shape.prefix
    size = x.new_ones(*x.shape[:2], 1)
    alive, decisions = size[:, prefix:], []
    places, turn = orders(model.shape.grid).to(x.device), 0
    for i, block in enumerate(model.blocks):
        stage = len(decisions) if i in model.shape.prune_at else -1
        if stage < 0:
            x = block(x, size)
            continue
        logprobs = model.score_predictor[stage](x[:, prefix:], alive)
        alive = decide(stage, logprobs, alive)
        rows = alive[..., 0].round().nonzero()[:, 1].view(len(x), -1)
        keys = block.attn.split(block.norm1(x))[1].mean(1)[:, prefix:]
        odds = (logprobs[..., 0] - logprobs[..., 1]).exp()
        order = places[turn % len(places)].expand(len(x), -1)
        goes = assign(rows, keys.detach(), odds.detach(), order, counts[stage])
        turn += counts[stage] < [model.shape.patches, *counts][stage]
        x = block.add(x, block.ls1(block.attn(block.norm1(x), size)))
        patches, sizes = average(x[:, prefix:], size[:, prefix:] * alive, goes)
        x, size = torch.cat([x[:, :prefix], patches], 1), torch.cat([size[:, :prefix], sizes], 1)
        alive = alive * (goes == torch.arange(goes.shape[1], device=x.device))[..., None]
        x = block.add(x, block.ls2(block.mlp(block.norm2(x))))
        decisions.append(sizes)
    out = model.classify(x, size[:, prefix:])
    out.decisions = decisions
    return out
