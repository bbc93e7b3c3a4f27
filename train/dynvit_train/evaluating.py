"""Accuracy and agreement on a folder of pictures."""

import json
from dataclasses import dataclass

import torch

from .errors import UserError
from .merging import remove, rule_of
from .model import keep_counts
from .pictures import Plain, class_indices, plain_batches, scan
from .runs import write_atomic
from .weights import load_model


@dataclass
class Score:
    images: int = 0
    skipped: int = 0
    right: int = 0
    agreed: int = 0  # same class as the dense pass

    @property
    def top1(self):
        return self.right / self.images if self.images else 0.0

    @property
    def agreement(self):
        return self.agreed / self.images if self.images else 0.0


def targets(folder, shape, facts):
    """The model's class index of each class of the folder."""
    if not folder.labels:
        return None
    if not facts.classes and not facts.synsets and len(folder.classes) == shape.classes:
        return list(range(shape.classes))
    return class_indices(folder.classes, facts.classes or [str(i) for i in range(shape.classes)], facts.synsets)


@torch.no_grad()
def evaluate(model, facts, folder, rules, batch=32, workers=0, device="cpu"):
    """Scores of each rule at each ratio: rules is {name: (rule, ratio)}; a rule None is the dense pass.

    Returns {name: Score}. The dense pass runs once for all, as what others agree with.
    """
    was_training = model.training
    model.eval()
    scores, index = {name: Score() for name in rules}, targets(folder, model.shape, facts)
    for x, labels, skipped in plain_batches(Plain(folder, facts, model.shape.image_size), batch, workers):
        for score in scores.values():
            score.skipped += skipped
        if x is None:
            continue
        x = x.to(device)
        wanted = torch.tensor([index[i] for i in labels]) if index else None
        dense = model(x).logits.argmax(1).cpu()
        for name, (rule, ratio) in rules.items():
            answer = dense if rule is None else prune(model, x, rule, ratio)
            count(scores[name], answer, dense, wanted)
    model.train(was_training)
    if any(s.images == 0 for s in scores.values()):
        raise UserError(f"data {folder.root}: no picture can be read")
    return scores


def prune(model, x, rule, ratio):
    counts = keep_counts(ratio, model.shape.patches, len(model.shape.prune_at))
    return remove(model, x, counts, rule).logits.argmax(1).cpu()


def count(score, answer, dense, wanted):
    score.images += len(answer)
    score.agreed += int((answer == dense).sum())
    if wanted is not None:
        score.right += int((answer == wanted).sum())


TIE = 1e-3  # logits nearer than this may swap between implementations


@torch.no_grad()
def answers(source, output, data, keep, predictors="", scorer="", batch=32):
    """Writes the class of every picture in the order of their sorted paths, for comparison with other implementations,
    patches removed by the scorer named, else by the model's own:

    {"pictures": n, "answers": {ratio: [class, …]}, "ties": {ratio: [index of a picture whose best two are close, …]}}
    """
    model, facts, _ = load_model(source, predictors or None)
    folder = scan(data)
    result = {"pictures": len(folder.paths), "answers": {}, "ties": {}}
    ratios = [float(w) for w in keep.split(",")]
    logits = {f"{r:g}": [] for r in ratios}
    for x, _, skipped in plain_batches(Plain(folder, facts, model.shape.image_size), batch):
        if skipped:
            raise UserError(f"data {folder.root}: {skipped} pictures cannot be read")
        for r in ratios:
            counts = keep_counts(r, model.shape.patches, len(model.shape.prune_at))
            logits[f"{r:g}"].append(remove(model.eval(), x, counts, rule_of(scorer or facts.scorer)).logits)
    for name, parts in logits.items():
        best = torch.cat(parts).topk(2)
        result["answers"][name] = best.indices[:, 0].tolist()
        close = best.values[:, 0] - best.values[:, 1] < TIE
        result["ties"][name] = close.nonzero()[:, 0].tolist()
    write_atomic(output, (json.dumps(result, separators=(",", ":")) + "\n").encode())
    return result
