"""The training loop: one settings object in, a checkpoint, a log and evaluations out."""

import math
import sys
import time
from dataclasses import dataclass, fields, replace
from pathlib import Path

import torch

from .averaging import Average, decay_for
from .deciding import Gumbel, NoisyTopK, draw_ratio, gumbel_noise, logistic_noise
from .errors import UserError
from .evaluating import evaluate, targets
from .export import metadata
from .losses import Following, Weights, dynamic_loss, regression_loss
from .merging import RULES, merged_masked, remove, survivors_of
from .model import TOKENS, DynamicViT, Output, Shape, StaticPredictor, keep_counts
from .pictures import Augment, Batches, View, Views, is_synset, loader, mix, read_labels, scan, spread, without_labels
from .processes import Processes
from .reducing import ByPredictor
from .runs import Log, load_checkpoint, save_checkpoint
from .teachers import Kept, check_teacher, make_teacher
from .weights import IMAGENET_MEAN, IMAGENET_STD, Facts, checked, load_model


@dataclass
class Student:
    model: DynamicViT
    facts: Facts


def fit(config):
    """Trains as the settings say. Returns the results of the last evaluation, {} without one."""
    config.check()
    processes = Processes(device_of(config.device))
    try:
        if config.threads:
            torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        folder = scan(config.data)
        folder = without_labels(folder) if config.no_labels else folder
        student = make_student(config, folder)
        return Trainer(config, student, folder, processes).run()
    finally:
        processes.close()


def device_of(name):
    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"


def make_student(config, folder):
    """The model to train: a checkpoint's, or a new one shaped by settings and folder."""
    if config.model:
        model, facts, _ = load_model(
            config.model,
            config.predictors or None,
            config.heads,
            config.prune_blocks(),
            config.image_size,
            config.drop_path,
        )
        return Student(with_mask(config, model), facts)
    if not folder.classes:
        raise UserError("fit: a new model needs class folders, or --model FILE to start from")
    depth, prune = config.depth, config.prune_blocks()
    shape = checked(Shape(
        width=config.width, depth=depth, heads=config.heads or max(1, config.width // 64),
        hidden=int(config.width * config.mlp_ratio), classes=len(folder.classes), image_size=config.image_size or 224,
        patch_size=config.patch_size, prune_at=(depth // 4, depth // 2, 3 * depth // 4) if prune is None else prune,
        stem=config.stem, skip_lam=2.0 if config.stem else 1.0, eps=1e-5 if config.stem else 1e-6,
        qkv_bias=not config.stem, aux_head=bool(config.stem),
    ))  # fmt: skip
    model = with_mask(config, DynamicViT(shape, config.drop_path))
    return Student(model, new_facts(config, folder, shape))


def with_mask(config, model):
    if config.mask == "static":
        model.score_predictor = torch.nn.ModuleList(StaticPredictor(model.shape.patches) for _ in model.shape.prune_at)
    return model


def new_facts(config, folder, shape):
    names = read_labels(config.labels) if config.labels else {}
    synsets = folder.classes if all(is_synset(c) for c in folder.classes) else ()
    return Facts(
        architecture="lvvit" if shape.stem else "vit", mean=IMAGENET_MEAN, std=IMAGENET_STD,
        resize=0 if shape.image_size >= 384 else shape.image_size * 8 // 7,
        classes=tuple(names.get(c, c) for c in folder.classes), synsets=synsets,
    )  # fmt: skip


class Trainer:
    """One run. The model, its average and the optimiser live here; everything else is given."""

    def __init__(self, config, student, folder, processes):
        self.config, self.processes, self.folder = config, processes, folder
        self.facts, self.device = student.facts, processes.device
        self.model = student.model.to(self.device)
        self.index = targets(folder, self.model.shape, self.facts)
        self.teacher = self.with_teacher()
        self.batches = Batches(len(folder.paths), config.batch, config.seed, processes.rank, processes.world)
        self.steps = min(self.batches.steps, config.max_steps or self.batches.steps)
        self.epochs = config.regress_epochs + config.epochs
        augment = Augment(**{f.name: getattr(config, f.name) for f in fields(Augment)})
        self.augment = augment
        self.views = Views(folder, View(augment, self.facts, self.model.shape.image_size), config.seed, config.views)
        answers = (config.w_cls, config.w_kl) if self.model.shape.classes else (0.0, 0.0)  # a backbone has none
        self.weights = Weights(answers[0], config.w_ratio, answers[1], config.w_token)
        self.optimiser = torch.optim.AdamW(self.groups(), lr=self.base_lr(), betas=(0.9, 0.999))
        decay = decay_for(config.ema, self.steps * max(1, config.epochs))
        self.average = Average(self.model, decay) if decay else None
        self.kept = None
        self.epoch, self.step, self.bad = 0, 0, set()

    def with_teacher(self):
        c = self.config
        teacher = make_teacher(c.teacher, self.model, self.facts, c.teacher_weights or None, c.teacher_classes or None)
        self.tokens, self.projection = False, None
        if teacher is None:
            return None
        teacher = teacher.to(self.device)
        self.tokens = check_teacher(teacher, self.model) and c.w_token > 0
        if self.tokens and teacher.width != self.model.shape.width and not self.model.shape.aux_head:
            self.projection = torch.nn.Linear(self.model.shape.width, teacher.width).to(self.device)
        if self.model.shape.aux_head != teacher.aux:
            self.tokens = False  # logits of patches on one side, features on the other
        return teacher

    def base_lr(self):
        return self.config.lr or max(1e-4, 1e-3 * self.config.batch / 1024)

    def groups(self):
        """Matrices decay, vectors do not; the backbone of a joint run is slow, its positions fixed as in the paper."""
        joint = self.config.train == "joint"
        named = [(n, p, not n.startswith("score_predictor.")) for n, p in self.model.named_parameters()]
        if self.projection:
            named += [("projection." + n, p, False) for n, p in self.projection.named_parameters()]
        groups = {}
        for name, p, backbone in named:
            decay = p.dim() > 1 and name not in TOKENS
            scale = self.config.backbone_lr if backbone and joint else 1.0
            key = (decay, scale)
            groups.setdefault(key, {"params": [], "scale": scale, "weight_decay": self.config.weight_decay * decay})
            groups[key]["params"].append(p)
        return list(groups.values())

    # The run.

    def run(self):
        state = self.start()
        log = None
        if self.processes.first:
            log = Log(self.config.out, self.epochs * self.steps, self.step)
        try:
            while self.epoch < self.epochs:
                self.train_epoch(log)
                self.epoch += 1
                state = self.finish_epoch(log)
        finally:
            if log:
                log.close()
        return state

    def start(self):
        """Makes the folder of the run, or takes up what is in it; returns the last results."""
        out = Path(self.config.out)
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise UserError(f"fit: --out {out}: {e.strerror}") from None
        saved = load_checkpoint(out)
        self.processes.wait()  # nobody writes before everybody has looked
        if self.config.views and self.teacher:
            self.kept = self.processes.one_by_one(lambda: self.keep_teacher(out))
        if saved and not self.config.resume:
            raise UserError(
                f"fit: --out {out} holds a run of {saved['epoch']} epochs: --resume it, or name another folder"
            )
        if not saved:
            return {}
        self.config.check_resume(saved["config"])
        self.restore(saved)
        return saved["results"]

    def keep_teacher(self, out):
        pictures = len(self.folder.paths)
        return Kept(out / "teacher", self.config.views, pictures, self.model.shape, self.teacher, self.tokens)

    def restore(self, saved):
        self.model.load_state_dict(saved["model"])
        if self.projection:
            self.projection.load_state_dict(saved["projection"])
        if self.average:
            self.average.model.load_state_dict(saved["ema"])
            self.average.updates = saved["updates"]
        self.optimiser.load_state_dict(saved["optimiser"])
        self.epoch, self.step, self.bad = saved["epoch"], saved["step"], set(saved["bad"])

    def finish_epoch(self, log):
        """Evaluates and saves; the first process alone. Others wait at the next collective operation."""
        self.bad = self.processes.gather(self.bad)
        if not self.processes.first:
            return {}
        results = self.validate()
        log.accuracy(self.step, results)
        save_checkpoint(self.config.out, self.state(results))
        if results or self.bad:
            words = [f"keep {k}: {v:.4f}" for k, v in results.items()]
            words += [f"{len(self.bad)} unreadable pictures skipped"] if self.bad else []
            print(f"epoch {self.epoch}: {', '.join(words)}", file=sys.stderr)
        return results

    def state(self, results):
        model = self.average.model if self.average else self.model
        scorer = "predictor+merge" if self.config.merge else ""
        meta = metadata(self.model.shape, replace(self.facts, scorer=scorer, training=self.recipe(results)))
        return {
            "model": self.model.state_dict(), "ema": model.state_dict(), "meta": meta,
            "updates": self.average.updates if self.average else 0,
            "projection": self.projection.state_dict() if self.projection else {},
            "optimiser": self.optimiser.state_dict(), "config": self.config.bound(),
            "epoch": self.epoch, "step": self.step, "bad": sorted(self.bad), "results": results,
        }  # fmt: skip

    def recipe(self, results):
        """One line for the model's card: what was trained how, from which seed."""
        c = self.config
        accuracy = "; top-1 " + ", ".join(f"{k}: {v:.4f}" for k, v in results.items()) if results else ""
        return (
            f"dynvit_train, {c.train}, keep {c.keep}, {self.epoch} of {self.epochs} epochs of {self.steps} steps of "
            f"{c.batch} pictures, the first {c.regress_epochs} regression on {c.target}, lr {self.base_lr():.3g}, "
            f"seed {c.seed}{accuracy}"
        )

    def validate(self):
        if not self.config.val or (self.config.val_last and self.epoch < self.epochs):
            return {}
        folder = spread(scan(self.config.val, need_labels=True), self.config.val_limit)
        rules = {f"{r:g}": (None if r == 1 else self.rule(), r) for r in self.config.val_ratios()}
        model = self.average.model if self.average else self.model
        scores = evaluate(model, self.facts, folder, rules, workers=self.config.workers, device=self.device)
        return {name: s.top1 for name, s in scores.items()}

    def rule(self):
        """What removes patches at inference."""
        return RULES["predictor+merge"] if self.config.merge else ByPredictor()

    # An epoch.

    def train_epoch(self, log):
        regress = self.epoch < self.config.regress_epochs
        self.set_trainable(regress)
        meter = Meter(self.config.batch)
        batches = list(self.batches.epoch(self.epoch))[: self.steps]
        for i, batch in enumerate(loader(self.views, batches, self.config.workers)):
            self.report_bad(batch.bad)
            values = self.train_step(batch, regress)
            meter.add(values)
            last = i + 1 == self.steps
            if log and (last or self.step % self.config.log_every == 0):
                log.row(meter.row(self.epoch, self.step, "regress" if regress else "main", len(self.bad)))
            if log:
                log.progress(self.epoch, self.step, values["loss"])

    def set_trainable(self, regress):
        """Which parameters move in this epoch; a frozen backbone also keeps its BatchNorm statistics."""
        c = self.config
        thawed = c.train != "joint" or self.epoch - c.regress_epochs >= c.freeze_epochs
        backbone = c.train != "predictors" and thawed and not regress
        for name, p in self.model.backbone_parameters():
            p.requires_grad_(backbone and (c.train != "joint" or name not in TOKENS))
        self.model.score_predictor.requires_grad_(c.train != "network" or regress)
        self.model.train(backbone)

    def report_bad(self, bad):
        for i in set(bad) - self.bad:
            self.bad.add(i)
            print(f"skip {self.folder.paths[i]}: not a picture that can be read", file=sys.stderr)

    # A step.

    def train_step(self, batch, regress):
        """One update; returns the numbers of the log. UserError if the loss is not finite."""
        draw = torch.Generator().manual_seed(self.config.seed * 1000003 + self.step)
        lr = self.set_lr(regress)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bf16):
            losses, ratio = self.regression(batch.view, draw) if regress else self.losses(batch, draw)
        parts = self.processes.mean(torch.stack([t.detach().float() for t in losses.values()]).cpu())
        values = dict(zip(losses, parts.tolist()))
        self.check_finite(values)
        self.optimiser.zero_grad(set_to_none=True)
        losses["loss"].backward()
        self.update()
        self.step += 1
        return values | {"lr": lr, "keep": ratio}

    def regression(self, x, draw):
        low, high = self.config.keep_range()
        ratio = draw_ratio(draw, low, high)
        counts = self.counts(ratio)
        loss = regression_loss(self.model, x.to(self.device), counts, self.config.target)
        return {"loss": loss}, ratio

    def losses(self, batch, draw):
        labels = torch.tensor([self.index[i] for i in batch.label]) if self.index else None
        x, labels = mix(batch.view, labels, self.augment, self.model.shape.classes, draw)
        x = x.to(self.device)
        labels = None if labels is None or self.config.w_cls == 0 else labels.to(self.device)
        teacher = self.teach(x, batch)
        ratio = draw_ratio(draw, *self.config.keep_range())
        cut = round(len(x) * self.config.dense_share)
        parts = [self.pass_losses(x[cut:], rows(labels, cut), teacher_rows(teacher, cut), ratio, draw)]
        if cut:
            dense = self.loss_of(self.model(x[:cut]), rows(labels, 0, cut), teacher_rows(teacher, 0, cut), None)
            parts.append(dense)
        shares = (1 - self.config.dense_share, self.config.dense_share)
        names = ["loss", "cls", "ratio", "kl", "token"]
        return {n: sum(s * p[n] for s, p in zip(shares, parts)) if cut else parts[0][n] for n in names}, ratio

    def teach(self, x, batch):
        """The teacher's Output, from what is kept of earlier epochs where views are fixed."""
        if not self.teacher:
            return None
        if self.config.views:
            out = self.kept(x, batch, self.teacher)
        else:
            out = self.teacher(x)
        if not self.tokens:
            out.tokens = None
        return out

    def pass_losses(self, x, labels, teacher, ratio, draw):
        """Losses of the pruned pass: masked, or with patches dropped for real."""
        fixed = self.config.train == "network"
        if not self.model.shape.prune_at or not fixed and self.step % self.config.mask_every == 0:
            stages = len(self.model.shape.prune_at)
            ratios = [ratio ** (k + 1) for k in range(stages)] if self.config.is_fixed else None
            return self.loss_of(self.forward(x, ratio, draw), labels, teacher, ratios)
        choose = self.rule() if fixed else Following(self.config.target)
        out = remove(self.model, x, self.counts(ratio), choose)
        if teacher is not None and teacher.tokens is not None:
            ids = out.kept[-1][..., None].expand(-1, -1, teacher.tokens.shape[-1])
            teacher = Output(teacher.logits, teacher.cls_logits, teacher.tokens.gather(1, ids))
        values = self.loss_of(out, labels, teacher, None)
        if not fixed:
            values["loss"] = values["loss"] + self.config.w_score * choose.loss
        return values

    def loss_of(self, out, labels, teacher, ratios):
        if self.projection and self.tokens:
            out.tokens = self.projection(out.tokens)
        got = dynamic_loss(out, labels, teacher, ratios, self.weights, self.model.shape.aux_head, self.normalise)
        return {"loss": got.total, "cls": got.cls, "ratio": got.ratio, "kl": got.kl, "token": got.token}

    def forward(self, x, ratio, draw):
        if not self.model.shape.prune_at:
            return self.model(x)
        kind = gumbel_noise if self.config.is_fixed else logistic_noise

        def noise(stage, like):
            """Noise of the whole batch, of which this process takes its share."""
            whole = kind(draw, (self.config.batch, *like.shape[1:]))
            return whole[self.batches.share()][-len(like) :].to(like.device)

        if self.config.is_fixed:
            return self.model.masked(x, Gumbel(noise))
        counts = self.counts(ratio)
        left = survivors_of(counts, self.model.shape.patches) if self.config.merge else counts
        decide = NoisyTopK(left, noise, self.config.noise, self.config.temperature)
        if self.config.merge:
            return merged_masked(self.model, x, counts, decide)
        return self.model.masked(x, decide)

    def counts(self, ratio):
        return keep_counts(ratio, self.model.shape.patches, len(self.model.shape.prune_at))

    def normalise(self, count):
        return self.processes.mean(count.detach().float())

    def check_finite(self, values):
        if not all(math.isfinite(v) for v in values.values()):
            parts = ", ".join(f"{k} {v:.3g}" for k, v in values.items())
            saved = f"the checkpoint of epoch {self.epoch} is intact" if self.epoch else "no epoch was finished"
            where = f"step {self.step + 1} of epoch {self.epoch + 1}"
            raise UserError(f"fit: loss is not finite at {where} ({parts}): {saved}; lower --lr or set --clip")

    def update(self):
        parameters = [p for g in self.optimiser.param_groups for p in g["params"]]
        self.processes.average_gradients(parameters)
        if self.config.clip:
            torch.nn.utils.clip_grad_norm_(parameters, self.config.clip)
        self.optimiser.step()
        if self.average:
            self.average.update(self.model)

    def set_lr(self, regress):
        lr = self.config.regress_lr if regress else self.scheduled_lr()
        for group in self.optimiser.param_groups:
            group["lr"] = lr * group["scale"]
        return lr

    def scheduled_lr(self):
        """Linear warm-up, then a cosine to min_lr, by steps after the regression."""
        step = self.step - self.config.regress_epochs * self.steps
        total = self.config.epochs * self.steps
        warm = min(int(self.config.warmup_epochs * self.steps), total // 5)
        if step < warm:
            return self.base_lr() * (step + 1) / warm
        share = (step - warm) / max(1, total - warm)
        low = min(self.config.min_lr, self.base_lr())
        return low + (self.base_lr() - low) * (1 + math.cos(math.pi * share)) / 2


def rows(tensor, start, end=None):
    return None if tensor is None else tensor[start:end]


def teacher_rows(out, start, end=None):
    if out is None:
        return None
    return Output(out.logits[start:end], out.cls_logits[start:end], rows(out.tokens, start, end))


class Meter:
    """Means of the numbers since the last row of the log."""

    def __init__(self, batch):
        self.batch = batch
        self.reset()

    def reset(self):
        self.sums, self.count, self.start = {}, 0, time.monotonic()

    def add(self, values):
        self.count += 1
        for name, v in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + v

    def row(self, epoch, step, phase, skipped):
        rate = self.batch * self.count / max(1e-9, time.monotonic() - self.start)
        means = {name: v / self.count for name, v in self.sums.items()}
        self.reset()
        return {"epoch": epoch + 1, "step": step, "phase": phase, "skipped": skipped, "images_per_s": rate} | means
