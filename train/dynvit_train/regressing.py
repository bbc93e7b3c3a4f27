"""Predictors for a frozen network without labels, by regression on what each patch is worth to the answer.

The worth of a patch at a stage is how fast KL(answer || answer) grows when the patch is masked out of all attention
from there on: to second order Σ_c p_c (∂ log p_c / ∂ mask)², the diagonal of Fisher's information, over the likeliest
classes. It looks through all later blocks, which the attention of one block does not. Features and worths of some
thousand views are computed once and kept in memory; the predictors, which are small, then pass over them many times.

Later stages learn from all patches of the dense network, thinned by their own noisy worth; or, in turn, from what the
predictors of the stages before, learnt by then, leave.
"""

import os
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from .errors import UserError
from .export import check_size, convert, encode
from .model import DynamicViT, keep_counts
from .pictures import Augment, Folder, View, cut, scan, try_open, without_labels
from .reducing import ByPredictor
from .runs import write_atomic
from .weights import Facts, load_model

CLASSES = 3  # likeliest, whose gradients are taken
FLOOR = 0.05  # added to squared gradients, as a share of their mean
LEFT_NOISE = 0.3  # on the scores that drop patches ahead of a stage that learns in turn, as a share of their spread


@dataclass
class Lessons:
    """Of one stage: features [M, n, D] ahead of its block and log worths [M, n] of M views with n patches each."""

    features: torch.Tensor
    worth: torch.Tensor


def regress(
    source, out, data, views, epochs, predictors="", batch=64, lr=2e-3, mixed=0.5, seed=0, bf16=False, in_turn=False,
    say=print,
):  # fmt: skip
    """Writes out, a predictors file for source, learnt on so many views of the pictures in data.

    predictors is a file of those to go on from; without it they are the source's, or new.
    """
    check_size(out)
    torch.manual_seed(seed)
    model, facts, _ = load_model(source, predictors or None)
    folder = without_labels(scan(data))
    if not model.shape.prune_at:
        raise UserError(f"regress: {source} names no blocks that prune")
    model.eval().requires_grad_(False)
    teach = Teaching(model, facts, folder, views, mixed, seed, bf16, say)
    model.score_predictor.requires_grad_(True)
    losses = []
    if in_turn:
        for stage, predictor in enumerate(model.score_predictor):
            parts = [lessons for (lessons,) in teach.parts(batch, stage)]
            losses.append(learn(predictor, stage, parts, epochs, batch, lr, seed, say))
    else:
        parts = zip(*teach.parts(32))
        whole = [Lessons(torch.cat([p.features for p in of]), torch.cat([p.worth for p in of])) for of in parts]
        for stage, lessons in enumerate(whole):
            thin = stage > 0
            losses.append(learn(model.score_predictor[stage], stage, [lessons], epochs, batch, lr, seed, say, thin))
    tensors = {n: t for n, t in model.state_dict().items() if n.startswith("score_predictor.")}
    how = f"dynvit_train regress: {views} views, {epochs} epochs, lr {lr:g}, seed {seed}, no labels"
    how += f", from {os.path.basename(predictors)}" if predictors else ""
    how += ", each stage on what those before it leave" if in_turn else ""
    meta = {"prune_at": ",".join(map(str, model.shape.prune_at)), "training": how}
    write_atomic(out, encode(convert(tensors, "f32"), meta | ({"license": facts.license} if facts.license else {})))
    return losses


@dataclass
class Teaching:
    """A frozen model and the pictures it looks at: random crops, mirrored, some with a rectangle of another picture."""

    model: DynamicViT
    facts: Facts
    folder: Folder
    views: int
    mixed: float  # share of batches with rectangles
    seed: int
    bf16: bool
    say: Callable

    def parts(self, batch, in_turn=None):
        """Yields a list of Lessons, one a stage, for each batch of views; with in_turn, of that stage alone."""
        rng, start, seen = random.Random(self.seed + 1000 * (in_turn or 0)), time.monotonic(), 0
        view = View(Augment(crop=0.4, randaug=0, erase=0.0), self.facts, self.model.shape.image_size)
        paths = self.folder.paths
        order = [i % len(paths) for i in range(self.views)]
        rng.shuffle(order)
        for at in range(0, self.views, batch):
            pictures = [p for p in (try_open(paths[i]) for i in order[at : at + batch]) if p]
            if not pictures:
                continue
            x = torch.stack([view(p, rng) for p in pictures])
            if rng.random() < self.mixed:
                x, _ = cut(x, torch.randperm(len(x)), rng.uniform(0.4, 0.8), rng)
            with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
                yield worths(self.model, x) if in_turn is None else [self.left(x, in_turn, rng)]
            seen += len(x)
            if at // batch % 8 == 0:
                took = time.monotonic() - start
                self.say(f"{at + len(x)} of {self.views} views, {took:.0f} s", file=sys.stderr, flush=True)
        if not seen:
            raise UserError(f"data {self.folder.root}: no picture can be read")

    def left(self, x, stage, rng):
        """Lessons of one stage on the patches that the predictors before it leave at a random ratio."""
        counts = keep_counts(rng.uniform(0.4, 1), self.model.shape.patches, stage)
        with torch.no_grad():
            x, _ = self.model.pruned_ahead_of(self.model.shape.prune_at[stage], x, counts, ByNoisyPredictor())
        return worths(self.model, x, stage)[0]


class ByNoisyPredictor(ByPredictor):
    def score(self, model, stage, x, ids, probe=None):
        score = unit(super().score(model, stage, x, ids, probe))
        return score + LEFT_NOISE * torch.randn(score.shape)


def worths(model, x, stage=None):
    """Lessons of each stage for pictures x, features in half; of one stage for x, the tokens ahead of its block."""
    prune_at, prefix = model.shape.prune_at, model.shape.prefix
    first = 0 if stage is None else prune_at[stage]
    masked = prune_at if stage is None else (first,)
    masks, features, policy = [], [], None
    with torch.enable_grad():
        y = model.embed(x) if stage is None else x
        for i, block in enumerate(model.blocks[first:], first):
            if i in masked:
                features.append(y[:, prefix:].detach().half())
                masks.append(torch.ones(len(y), y.shape[1] - prefix, 1, requires_grad=True))
                ahead = policy[:, prefix:] if policy is not None else 1.0
                policy = torch.cat([torch.ones(len(y), prefix, 1), ahead * masks[-1]], 1)
            y = block(y, policy)
        numbers, shares = parts_of_answer(model, model.classify(y, policy[:, prefix:]).logits.float())
    total = [torch.zeros(m.shape[:2]) for m in masks]
    for c in range(numbers.shape[1]):
        gradients = torch.autograd.grad(numbers[:, c].sum(), masks, retain_graph=c + 1 < numbers.shape[1])
        total = [t + shares[:, c : c + 1] * g[..., 0].float() ** 2 for t, g in zip(total, gradients)]
    return [Lessons(f, log_worth(t)) for f, t in zip(features, total)]


def parts_of_answer(model, answer):
    """Numbers [B, k] whose squared gradients, each times its share [B, k], say how much the answer changes: the
    likeliest classes' log-probabilities; of a backbone, which has none, sums of its features with random signs."""
    if not model.shape.classes:
        signs = torch.randint(0, 2, (answer.shape[1], CLASSES)) * 2.0 - 1
        return answer @ signs, torch.full((len(answer), CLASSES), 1 / CLASSES)
    logprobs = answer.log_softmax(-1)
    best = logprobs.detach().topk(min(CLASSES, logprobs.shape[1]))
    return logprobs.gather(1, best.indices), best.values.exp()


def log_worth(squares):
    """Half the log of squared gradients as shares of their mean. The floor keeps gradients that happen to cross zero
    from standing out, and a picture without any gradient even."""
    mean = squares.mean(1, keepdim=True)
    return 0.5 * (squares / mean.clamp(min=1e-37) + FLOOR).log()


def learn(predictor, stage, parts, epochs, batch, lr, seed, say, thin=False):
    """Fits one predictor to Lessons; returns the loss of the last epoch, the share of the variance not explained.

    With thin, a batch sees what a random ratio leaves, chosen by noisy worth, as the stages before would choose it.
    """
    optimiser = torch.optim.AdamW(predictor.parameters(), lr=lr, weight_decay=0.02)
    generator = torch.Generator().manual_seed(seed + stage)
    steps = sum(max(1, len(lessons.worth) // batch) for lessons in parts)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, lr, total_steps=steps * epochs + 1, pct_start=0.1)
    for epoch in range(epochs):
        total = 0.0
        for x, worth in shuffled(parts, batch, generator):
            if thin:
                x, worth = thinned(x, worth, stage, generator)
            loss = lesson_loss(predictor, x, worth)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(predictor.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            total += loss.item() / steps
        if epoch + 1 == epochs or epoch % 5 == 0:
            say(f"stage {stage} epoch {epoch + 1}: unexplained {total:.3f}", file=sys.stderr, flush=True)
    return total


def shuffled(parts, batch, generator):
    """Yields (features, worths) of one pass over parts, whole batches alone unless a part is smaller than one."""
    for at in torch.randperm(len(parts), generator=generator).tolist():
        lessons = parts[at]
        order = torch.randperm(len(lessons.worth), generator=generator)
        for rows in order[: max(batch, len(order) // batch * batch)].split(batch):
            yield lessons.features[rows].float(), lessons.worth[rows]


def thinned(x, worth, stage, generator):
    ratio = 0.4 + 0.6 * torch.rand((), generator=generator).item()
    noisy = unit(worth) + 0.7 * torch.randn(worth.shape, generator=generator)
    alive = noisy.topk(keep_counts(ratio, worth.shape[1], stage)[-1], dim=1).indices
    return x.gather(1, alive[..., None].expand(-1, -1, x.shape[-1])), worth.gather(1, alive)


def lesson_loss(predictor, x, worth):
    """Squared distance of scores from log worths, both brought to mean 0 and deviation 1 over the patches of x."""
    logprobs = predictor(x, torch.ones_like(x[..., :1]))
    return F.mse_loss(logprobs[..., 0] - logprobs[..., 1], unit(worth))


def unit(worth):
    return (worth - worth.mean(1, keepdim=True)) / (worth.std(1, keepdim=True) + 1e-6)
