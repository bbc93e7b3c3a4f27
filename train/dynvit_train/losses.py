"""The losses: the paper's four, and the regression of predictors on attention."""

from dataclasses import dataclass

import torch
from torch.nn import functional as F

from .reducing import RULES, ByPredictor, keep_best


@dataclass(frozen=True)
class Weights:
    """Of the four losses in the sum; the paper's values (DeiT-B: ratio 5)."""

    cls: float = 1.0
    ratio: float = 2.0
    kl: float = 0.5
    token: float = 0.5


@dataclass
class Losses:
    """Scalars; ratio is the sum over stages, before the division by their number."""

    cls: torch.Tensor
    ratio: torch.Tensor
    kl: torch.Tensor
    token: torch.Tensor
    total: torch.Tensor


def soft_cross_entropy(logits, labels):
    """Mean over pictures; labels [B, C] are probabilities."""
    return -(labels * logits.float().log_softmax(-1)).sum(-1).mean()


def logit_kl(student, teacher):
    """KL(teacher || student), mean over rows [*, C]."""
    student, teacher = student.float().log_softmax(-1), teacher.float().log_softmax(-1)
    return F.kl_div(student, teacher, reduction="batchmean", log_target=True)


def ratio_loss(decisions, ratios):
    """Sum over stages of the mean squared distance of each picture's kept share from the wanted one."""
    return sum(((d[..., 0].mean(1) - r) ** 2).mean() for d, r in zip(decisions, ratios))


def token_loss(student, teacher, alive, logits, normalise=lambda n: n):
    """Distance of the patch tokens that are kept in the end: MSE of features, or KL where they are logits (LV-ViT).

    student, teacher [B, N, D]; alive [B, N, 1] of 0 and 1, no gradient. normalise(n) turns the number kept in this
    process into what the sum is divided by, so that several processes average to what one would compute.
    """
    mask = alive.detach()[..., 0] > 0.5
    count = normalise(mask.sum())
    if count < 0.1:
        return student.sum() * 0.0
    student, teacher = student[mask].float(), teacher[mask].float()
    if logits:
        distance = F.kl_div(student.log_softmax(-1), teacher.log_softmax(-1), reduction="sum", log_target=True)
        return distance / count
    return ((student - teacher) ** 2).sum() / (count * student.shape[-1])


def dynamic_loss(out, labels, teacher, ratios=None, weights=Weights(), aux=False, normalise=lambda n: n):
    """The losses of a masked pass.

    labels [B, C] or None; teacher is an Output of the unpruned model, its tokens None without token distillation,
    or None altogether; ratios are the wanted kept shares, None where the decisions have exact counts.
    """
    zero = out.cls_logits.sum() * 0.0
    cls = soft_cross_entropy(out.cls_logits, labels) if labels is not None else zero
    ratio = ratio_loss(out.decisions, ratios) if ratios else zero
    kl = logit_kl(out.cls_logits, teacher.cls_logits) if teacher is not None else zero
    token = zero
    if teacher is not None and teacher.tokens is not None:
        alive = out.decisions[-1] if out.decisions else torch.ones_like(out.tokens[..., :1])
        token = token_loss(out.tokens, teacher.tokens, alive, aux, normalise)
    stages = max(1, len(out.decisions))
    total = weights.cls * cls + weights.ratio * ratio / stages + weights.kl * kl + weights.token * token
    return Losses(cls, ratio, kl, token, total)


def regression_loss(model, x, counts, target):
    """How far the predictors are from an attention rule: KL of the softmax over patches, mean over stages.

    The backbone runs without gradient and pruned by the predictors' own choice, so that they see what they will see
    at inference. x: pictures; target: a rule of reducing that reads attention.
    """
    rule, loss, stage = RULES[target](), 0.0, 0
    by_predictor = RULES["predictor"]()
    with torch.no_grad():
        x = model.embed(x)
        ids = torch.arange(model.shape.patches, device=x.device).expand(len(x), -1)
    for i, block in enumerate(model.blocks):
        if i in model.shape.prune_at:
            loss = loss + stage_regression(model.score_predictor[stage], block, rule, x, ids)
            with torch.no_grad():
                x, ids = by_predictor(model, stage, x, ids, counts[stage])
            stage += 1
            if stage == len(model.shape.prune_at):
                return loss / stage
        with torch.no_grad():
            x = block(x)
    return loss


class Following(ByPredictor):
    """The predictors' own choice, while they are regressed on an attention rule: loss is the sum over stages."""

    def __init__(self, target):
        self.rule, self.loss = RULES[target](), 0.0

    def __call__(self, model, stage, x, ids, keep, probe=None):
        fixed = x.detach()
        block = model.blocks[model.shape.prune_at[stage]]
        self.loss = self.loss + stage_regression(model.score_predictor[stage], block, self.rule, fixed, ids)
        with torch.no_grad():
            score = self.score(model, stage, fixed, ids)
        return keep_best(x, ids, keep, score)


def stage_regression(predictor, block, rule, x, ids):
    with torch.no_grad():
        q, k, v = block.attn.split(block.norm1(x))
        want = rule.score(block.attn.weights(q, k), v, block)[:, -ids.shape[1] :].float()
        want = want / want.sum(1, keepdim=True)
    patches = x[:, -ids.shape[1] :]
    logprobs = predictor(patches, torch.ones_like(patches[..., :1]), ids)
    got = (logprobs[..., 0] - logprobs[..., 1]).log_softmax(1)
    return F.kl_div(got, want, reduction="batchmean")
