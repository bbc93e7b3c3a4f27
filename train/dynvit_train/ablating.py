"""The paper's comparisons on a model of one's own: what chooses the patches, what the losses and stages are worth, and
pruning against a smaller network of equal work. Writes ablation.md, ablation.csv and ablation.svg.

Every trained arm is an ordinary run of fit in a folder of its own, so an interrupted ablation goes on where it stood.
"""

import csv
import io
import statistics
from dataclasses import dataclass, replace
from pathlib import Path

from .charts import chart
from .config import Config
from .errors import UserError
from .evaluating import evaluate
from .export import convert, encode, metadata
from .fit import fit
from .macs import macs
from .merging import RULES as MERGING
from .model import keep_counts
from .pictures import scan, spread
from .reducing import RULES, ByRandom
from .runs import load_checkpoint, write_atomic
from .shrinking import fewer_blocks, fewer_units, sample
from .weights import load_model

RATIOS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4)
FREE = {name: RULES[name] for name in ("attention", "cls-attention", "pooling")} | {"merge": lambda: MERGING["merge"]}


@dataclass(frozen=True)
class Row:
    """One line of the table: an arm, a seed, and top-1 by keep ratio; work is GMAC by keep ratio."""

    arm: str
    seed: int
    top1: dict
    work: dict


# What each trained arm changes in the settings of `dynamic`.
ARMS = {
    "dynamic": {},
    "dynamic, any ratio": {"keep": "any"},
    "dynamic, merged": {"keep": "any", "merge": True},
    "static": {"mask": "static"},
    "dynamic, no KL": {"w_kl": 0.0},
    "dynamic, no token loss": {"w_token": 0.0},
    "dynamic, one stage": {"prune_at": "first"},
}


@dataclass(frozen=True)
class Plan:
    """What an ablation runs on."""

    base: Config  # settings of `dynamic`: data, model, teacher, val, epochs, …
    out: Path
    seeds: tuple
    arms: tuple
    smaller: bool


def ablate(plan):
    """Runs all arms that have no results yet and writes the tables. Returns the rows."""
    unknown = [a for a in plan.arms if a not in ARMS]
    if unknown:
        raise UserError(f"ablate: --arms {unknown[0]}: want some of {'; '.join(ARMS)}")
    if not plan.base.val or not plan.base.model:
        raise UserError("ablate: want --model FILE and --val DIR")
    model, facts, _ = load_model(plan.base.model, plan.base.predictors or None)
    folder = spread(scan(plan.base.val, need_labels=True), plan.base.val_limit)
    plan.out.mkdir(parents=True, exist_ok=True)
    rows = untrained(model, facts, folder, plan.seeds)
    for seed in plan.seeds:
        for arm in plan.arms:
            rows.append(trained(plan, arm, seed, model))
            write(plan.out, rows)
        if plan.smaller:
            rows += [smaller(plan, kind, seed, model, facts) for kind in ("fewer blocks", "fewer hidden units")]
            write(plan.out, rows)
    write(plan.out, rows)
    return rows


def work_of(shape, predictors, inside=False):
    stages = len(shape.prune_at)
    counts = {r: None if r == 1 else keep_counts(r, shape.patches, stages) for r in RATIOS}
    return {f"{r:g}": macs(shape, c, predictors, inside) / 1e9 for r, c in counts.items()}


def untrained(model, facts, folder, seeds):
    """Rows of the rules that need no training."""
    rules = {(name, 0): make for name, make in FREE.items()}
    rules |= {("random", seed): (lambda seed=seed: ByRandom(seed)) for seed in seeds}
    asked = {(*key, r): (None if r == 1 else make(), r) for key, make in rules.items() for r in RATIOS}
    scores = evaluate(model, facts, folder, asked)
    top1 = {key: {f"{r:g}": scores[(*key, r)].top1 for r in RATIOS} for key in rules}
    return [Row(*key, top1[key], work_of(model.shape, False, make().inside)) for key, make in rules.items()]


def settings(plan, arm, seed, shape):
    change = dict(ARMS[arm])
    if change.get("prune_at") == "first":
        change["prune_at"] = str(shape.prune_at[0])
    name = f"{arm} {seed}".replace(",", "").replace(" ", "-")
    keeps = ",".join(f"{r:g}" for r in RATIOS)
    return replace(plan.base, out=str(plan.out / name), seed=seed, val_keep=keeps, val_last=True, resume=True, **change)


def trained(plan, arm, seed, model):
    config = settings(plan, arm, seed, model.shape)
    top1 = run(config)
    shape = model.shape if not config.prune_at else replace(model.shape, prune_at=config.prune_blocks())
    return Row(arm, seed, top1, work_of(shape, config.mask == "dynamic", config.merge))


def run(config):
    """The accuracies of a run, which is made or finished if need be."""
    saved = load_checkpoint(config.out)
    if saved and saved["epoch"] == config.regress_epochs + config.epochs:
        config.check_resume(saved["config"])
        return saved["results"]
    return fit(config)


def smaller(plan, kind, seed, model, facts):
    """A network of the work of keep 0.7, cut from the same model and trained as long."""
    stages = len(model.shape.prune_at)
    budget = macs(model.shape, keep_counts(0.7, model.shape.patches, stages))
    path = plan.out / f"{kind.replace(' ', '-')}.safetensors"
    if not path.exists():
        cut = shrunk(model, kind, budget, sample(scan(plan.base.data), facts, model.shape.image_size, 64))
        tensors = {n: t for n, t in cut.state_dict().items() if not n.startswith("score_predictor.")}
        write_atomic(path, encode(convert(tensors, "f32"), metadata(cut.shape, facts, predictors=False)))
    cut, _, _ = load_model(path)
    # "self" would be the cut network, which is worse than what the other arms learn from.
    teacher = plan.base.model if plan.base.teacher == "self" else plan.base.teacher
    base = replace(plan.base, keep="any", train="all", prune_at="none", dense_share=0.0, mask_every=1, regress_epochs=0,
                   teacher=teacher)  # fmt: skip
    epochs = plan.base.epochs + plan.base.regress_epochs
    out = str(plan.out / f"{kind} {seed}".replace(" ", "-"))
    config = replace(base, model=str(path), predictors="", epochs=epochs, seed=seed, out=out, val_keep="1",
                     lr=base.lr * base.backbone_lr, val_last=True, resume=True)  # fmt: skip
    return Row(kind, seed, run(config), {"1": macs(cut.shape) / 1e9})


def shrunk(model, kind, budget, x):
    """The largest cut of that kind within the budget of MACs."""
    shape = model.shape
    if kind == "fewer blocks":
        depths = [d for d in range(1, shape.depth) if macs(replace(shape, depth=d, prune_at=())) <= budget]
        return fewer_blocks(model.eval(), x, max(depths))
    widths = [h for h in range(8, shape.hidden, 8) if macs(replace(shape, hidden=h)) <= budget]
    if not widths:
        raise UserError("ablate: no network with fewer hidden units has the work of keep 0.7")
    return fewer_units(model.eval(), x, max(widths))


# Tables.


def write(out, rows):
    out.mkdir(parents=True, exist_ok=True)
    write_atomic(out / "ablation.csv", table_csv(rows).encode())
    write_atomic(out / "ablation.md", table_md(rows).encode())
    lines = {arm: points(arm_rows) for arm, arm_rows in by_arm(rows).items()}
    write_atomic(out / "ablation.svg", chart(lines, "GMAC a picture", "top-1, %").encode())


def by_arm(rows):
    arms = {}
    for row in rows:
        arms.setdefault(row.arm, []).append(row)
    return arms


def table_csv(rows):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["arm", "seed", "keep", "gmac", "top1"])
    for row in rows:
        for keep, top1 in row.top1.items():
            writer.writerow([row.arm, row.seed, keep, f"{row.work[keep]:.4f}", f"{top1:.4f}"])
    return text.getvalue()


def table_md(rows):
    keeps = [f"{r:g}" for r in RATIOS]
    lines = ["| arm | seeds | " + " | ".join(keeps) + " |", "| --- | --- |" + " --- |" * len(keeps)]
    for arm, same in by_arm(rows).items():
        cells = [cell([row.top1[k] for row in same if k in row.top1]) for k in keeps]
        lines.append(f"| {arm} | {len(same)} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def cell(values):
    """Mean in per cent, and half the range over seeds."""
    if not values:
        return ""
    text = f"{100 * statistics.mean(values):.1f}"
    return text if len(values) == 1 else f"{text} ± {50 * (max(values) - min(values)):.1f}"


def points(rows):
    """(GMAC, top-1 in per cent) of an arm, mean over its seeds."""
    keeps = [k for k in rows[0].top1 if all(k in row.top1 for row in rows)]
    return [(rows[0].work[k], 100 * statistics.mean(row.top1[k] for row in rows)) for k in keeps]
