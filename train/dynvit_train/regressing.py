"""Predictors for a frozen network without labels, by regression on what each patch is worth to the answer.

The worth of a patch at a stage is how fast KL(answer || answer) grows when the patch is masked out of all attention
from there on: to second order Σ_c p_c (∂ log p_c / ∂ mask)², the diagonal of Fisher's information, over the likeliest
classes. It looks through all later blocks, which the attention of one block does not. Features and worths of some
thousand views are computed once and kept in memory; the predictors, which are small, then pass over them many times.
"""

import random
import sys
import time
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from .errors import UserError
from .export import check_size, convert, encode
from .model import keep_counts
from .pictures import Augment, View, cut, scan, try_open, without_labels
from .runs import write_atomic
from .weights import load_model

CLASSES = 3  # likeliest, whose gradients are taken
FLOOR = 0.05  # added to squared gradients, as a share of their mean


@dataclass
class Lessons:
    """Of one stage, for all views: features [M, N, D] ahead of its block and log worths [M, N]."""

    features: torch.Tensor
    worth: torch.Tensor


def regress(source, out, data, views, epochs, batch=64, lr=2e-3, mixed=0.5, seed=0, bf16=False, say=print):
    """Writes out, a predictors file for source, learnt on so many views of the pictures in data."""
    check_size(out)
    torch.manual_seed(seed)
    model, facts, _ = load_model(source)
    folder = without_labels(scan(data))
    if not model.shape.prune_at:
        raise UserError(f"regress: {source} names no blocks that prune")
    model.eval().requires_grad_(False)
    lessons = collect(model, facts, folder, views, mixed, seed, bf16, say)
    model.score_predictor.requires_grad_(True)
    losses = [learn(p, stage, lesson, epochs, batch, lr, seed, say)
              for stage, (p, lesson) in enumerate(zip(model.score_predictor, lessons))]  # fmt: skip
    tensors = {n: t for n, t in model.state_dict().items() if n.startswith("score_predictor.")}
    how = f"dynvit_train regress: {views} views, {epochs} epochs, lr {lr:g}, seed {seed}, no labels"
    meta = {"prune_at": ",".join(map(str, model.shape.prune_at)), "training": how}
    write_atomic(out, encode(convert(tensors, "f32"), meta | ({"license": facts.license} if facts.license else {})))
    return losses


def collect(model, facts, folder, views, mixed, seed, bf16, say, batch=32):
    """Lessons of each stage from random views: crops, mirrored, some with a rectangle of another picture."""
    rng, start = random.Random(seed), time.monotonic()
    view = View(Augment(crop=0.4, randaug=0, erase=0.0), facts, model.shape.image_size)
    order = [i % len(folder.paths) for i in range(views)]
    rng.shuffle(order)
    parts = []
    for at in range(0, views, batch):
        pictures = [p for p in (try_open(folder.paths[i]) for i in order[at : at + batch]) if p]
        if not pictures:
            continue
        x = torch.stack([view(p, rng) for p in pictures])
        if rng.random() < mixed:
            x, _ = cut(x, torch.randperm(len(x)), rng.uniform(0.4, 0.8), rng)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            parts.append(worths(model, x))
        if at // batch % 8 == 0:
            say(f"{at + len(x)} of {views} views, {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    if not parts:
        raise UserError(f"data {folder.root}: no picture can be read")
    return [Lessons(torch.cat([p[k][0] for p in parts]), torch.cat([p[k][1] for p in parts]))
            for k in range(len(model.shape.prune_at))]  # fmt: skip


def worths(model, x):
    """(features in half, log worths) of each stage for pictures x."""
    masks = [torch.ones(len(x), model.shape.patches, 1, requires_grad=True) for _ in model.shape.prune_at]
    features, policy = [], torch.ones(len(x), 1 + model.shape.patches, 1)
    with torch.enable_grad():
        y = model.embed(x)
        for i, block in enumerate(model.blocks):
            if i in model.shape.prune_at:
                features.append(y[:, 1:].detach().half())
                policy = torch.cat([policy[:, :1], policy[:, 1:] * masks[len(features) - 1]], 1)
            y = block(y, policy if features else None)
        logprobs = model.classify(y).logits.float().log_softmax(-1)
    best = logprobs.detach().topk(min(CLASSES, logprobs.shape[1]))
    total = [torch.zeros(len(x), model.shape.patches) for _ in masks]
    for c in range(best.indices.shape[1]):
        chosen = logprobs.gather(1, best.indices[:, c : c + 1]).sum()
        gradients = torch.autograd.grad(chosen, masks, retain_graph=c + 1 < best.indices.shape[1])
        share = best.values[:, c : c + 1].exp()
        total = [t + share * g[..., 0].float() ** 2 for t, g in zip(total, gradients)]
    return [(f, log_worth(t)) for f, t in zip(features, total)]


def log_worth(squares):
    """Half the log of squared gradients as shares of their mean. The floor keeps gradients that happen to cross zero
    from standing out, and a picture without any gradient even."""
    mean = squares.mean(1, keepdim=True)
    return 0.5 * (squares / mean.clamp(min=1e-37) + FLOOR).log()


def learn(predictor, stage, lesson, epochs, batch, lr, seed, say):
    """Fits one predictor; returns the loss of the last epoch, the share of the variance that it does not explain."""
    optimiser = torch.optim.AdamW(predictor.parameters(), lr=lr, weight_decay=0.02)
    generator = torch.Generator().manual_seed(seed + stage)
    steps = max(1, len(lesson.features) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, lr, total_steps=steps * epochs + 1, pct_start=0.1)
    for epoch in range(epochs):
        total, order = 0.0, torch.randperm(len(lesson.features), generator=generator)
        for rows in order[: steps * batch].split(batch):
            loss = lesson_loss(predictor, stage, lesson, rows, generator)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(predictor.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            total += loss.item() / steps
        if epoch + 1 == epochs or epoch % 5 == 0:
            say(f"stage {stage} epoch {epoch + 1}: unexplained {total:.3f}", file=sys.stderr, flush=True)
    return total


def lesson_loss(predictor, stage, lesson, rows, generator):
    """Squared distance of scores from log worths, both brought to mean 0 and deviation 1 over the patches alive.

    Later stages see what a random ratio leaves, chosen by noisy worth, as the stages before them would.
    """
    x, worth = lesson.features[rows].float(), lesson.worth[rows]
    if stage:
        ratio = 0.4 + 0.6 * torch.rand((), generator=generator).item()
        noisy = unit(worth) + 0.7 * torch.randn(worth.shape, generator=generator)
        alive = noisy.topk(keep_counts(ratio, worth.shape[1], stage)[-1], dim=1).indices
        x, worth = x.gather(1, alive[..., None].expand(-1, -1, x.shape[-1])), worth.gather(1, alive)
    logprobs = predictor(x, torch.ones_like(x[..., :1]))
    return F.mse_loss(logprobs[..., 0] - logprobs[..., 1], unit(worth))


def unit(worth):
    return (worth - worth.mean(1, keepdim=True)) / (worth.std(1, keepdim=True) + 1e-6)
