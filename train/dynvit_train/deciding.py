"""Which patches stay while training. Both ways are straight-through: hard decisions forward, soft gradients back."""

import torch


class Gumbel:
    """The paper's: each patch by itself, by Gumbel-Softmax (temperature 1) of its log-probabilities.

    noise(stage, like) gives Gumbel noise [B, N, 2]. The ratio loss holds the counts near keep.
    """

    def __init__(self, noise):
        self.noise = noise

    def __call__(self, stage, logprobs, previous):
        soft = (logprobs + self.noise(stage, logprobs)).softmax(-1)
        hard = torch.zeros_like(soft).scatter_(-1, soft.argmax(-1, keepdim=True), 1.0)
        decision = hard - soft.detach() + soft
        return decision[..., :1] * previous


class NoisyTopK:
    """The best counts[stage] of the patches alive by score plus noise: any ratio, no ratio loss.

    Scores (keep minus drop) are brought to standard deviation 1 over the patches alive before `noise` (a share of
    that spread) of logistic noise is added, so the noise stays below the spread whatever the predictor's scale; a
    logistic noise of 1 on raw scores made trained predictors worse (57.2 % instead of 68.4 at keep 0.7, DeiT-Tiny).
    The surrogate gradient is that of sigmoid((score - cut) / temperature).
    """

    def __init__(self, counts, noise, scale=0.2, temperature=0.5):
        self.counts, self.noise, self.scale, self.temperature = counts, noise, scale, temperature

    def __call__(self, stage, logprobs, previous):
        score = standardise(logprobs[..., 0] - logprobs[..., 1], previous[..., 0])
        noisy = score + self.scale * self.noise(stage, score)
        noisy = torch.where(previous[..., 0] > 0.5, noisy, torch.full_like(noisy, -1e9))
        best = noisy.topk(min(self.counts[stage] + 1, noisy.shape[1]), dim=1)
        hard = torch.zeros_like(noisy).scatter_(1, best.indices[:, : self.counts[stage]], 1.0)
        cut = best.values[:, -2:].detach().clamp(min=-1e3).mean(1, keepdim=True)
        soft = torch.sigmoid((noisy - cut) / self.temperature)
        return (hard - soft.detach() + soft)[..., None] * previous


def standardise(score, alive):
    """score [B, N] to mean 0 and deviation 1 over the patches alive; gradients flow through the score alone."""
    n = alive.sum(1, keepdim=True)
    mean = ((score * alive).sum(1, keepdim=True) / n).detach()
    deviation = ((((score - mean) ** 2) * alive).sum(1, keepdim=True) / n).sqrt().detach()
    return (score - mean) / (deviation + 1e-6)


def gumbel_noise(generator, shape):
    """Gumbel(0, 1) from a CPU generator."""
    return -torch.empty(shape).exponential_(generator=generator).log()


def logistic_noise(generator, shape):
    """Logistic(0, 1) from a CPU generator: the difference of two Gumbels."""
    u = torch.rand(shape, generator=generator).clamp(1e-6, 1 - 1e-6)
    return u.log() - (1 - u).log()


def draw_ratio(generator, low, high):
    """A keep ratio, uniform between low and high."""
    return low + (high - low) * torch.rand((), generator=generator).item()
