"""The settings of a run: one dataclass, from which the command line is made and which a checkpoint keeps."""

import argparse
import dataclasses
from dataclasses import dataclass, field

from .errors import UserError


def option(default, text, **more):
    return field(default=default, metadata={"help": text, **more})


@dataclass(frozen=True)
class Config:
    data: str = option("", "folder of class folders, or a bare folder of pictures (distillation alone)")
    out: str = option("", "folder of the run: checkpoint, log")
    model: str = option("", "checkpoint to start from; without it a new model of --width … is made")
    predictors: str = option("", "file of predictors to start from")
    no_labels: bool = option(False, "ignore the class folders: distillation alone")
    labels: str = option("", "file of lines `synset name` that names the folders")

    width: int = option(192, "of a new model")
    depth: int = option(12, "of a new model")
    heads: int = option(0, "attention heads (default: 64 wide each)")
    mlp_ratio: float = option(4.0, "of a new model")
    patch_size: int = option(16, "of a new model, pixels")
    image_size: int = option(0, "pixels a side (default: the checkpoint's, else 224)")
    stem: int = option(0, "channels of LV-ViT's stem: makes the new model an LV-ViT")
    prune_at: str = option("", "blocks that drop patches, such as 3,6,9; none for a dense model")
    drop_path: float = option(0.0, "stochastic depth (the paper: 0.2 for DeiT-B)")

    train: str = option("predictors", "predictors alone, joint (backbone slow, as the paper), all at the full rate, "
                        "or network (all but the predictors, which drop patches for real)",
                        choices=["predictors", "joint", "all", "network"])  # fmt: skip
    keep: str = option(
        "0.7", "a fixed ratio (Gumbel, ratio loss), or any or any:LOW,HIGH (noisy top-k of a drawn count)"
    )
    mask: str = option(
        "dynamic", "static: one learned score a position instead of predictors", choices=["dynamic", "static"]
    )
    regress_epochs: int = option(0, "first regress the predictors on --target for so many epochs")
    regress_lr: float = option(1e-3, "learning rate of the regression")
    target: str = option("attention", "what is regressed on", choices=["attention", "cls-attention", "projection"])
    merge: bool = option(
        False, "merge what is removed into the most similar patches left, but for what scores least (with any)"
    )
    noise: float = option(0.2, "logistic noise of noisy top-k, as a share of the scores' spread")
    dense_share: float = option(0.0, "share of each batch that is trained dense, the rest pruned (any)")
    mask_every: int = option(
        1,
        "mask, with gradients for the predictors, at each so many steps; at the others drop patches for real "
        "(cheaper) while the predictors follow --target",
    )
    w_score: float = option(0.2, "weight of that following")
    temperature: float = option(0.5, "of noisy top-k's surrogate gradient, as a share of the scores' spread")

    teacher: str = option("self", "self (the model before training, dense), none, a file, or a timm name")
    teacher_weights: str = option("", "local weights of a timm teacher")
    teacher_classes: str = option("", "file of lines `synset name`: the teacher's classes, where they differ")
    views: int = option(0, "fixed views a picture, whose teacher outputs are kept in --out (0: new views each epoch)")
    w_cls: float = option(1.0, "weight of the cross-entropy (0 without labels)")
    w_ratio: float = option(2.0, "weight of the ratio loss (DeiT-B: 5)")
    w_kl: float = option(0.5, "weight of KL(teacher || student)")
    w_token: float = option(0.5, "weight of the token distillation")

    epochs: int = option(30, "after the regression")
    batch: int = option(64, "pictures a step, all processes together")
    lr: float = option(0.0, "learning rate (default: 1e-3 · batch / 1024, at least 1e-4)")
    min_lr: float = option(1e-6, "end of the cosine")
    warmup_epochs: float = option(5.0, "of linear warm-up, at most a fifth of the run")
    weight_decay: float = option(0.05, "of matrices")
    backbone_lr: float = option(0.01, "joint: the backbone's rate as a share of the predictors'")
    freeze_epochs: int = option(5, "joint: epochs before the backbone moves")
    clip: float = option(1.0, "largest gradient norm (0: none, as the reference)")
    ema: str = option("auto", "decay of the averaged weights; auto: a window of a quarter of the steps; 0: none")

    crop: float = option(0.08, "smallest share of a picture in a crop; 1: the inference view")
    flip: bool = option(True, "mirror half of the pictures")
    randaug: int = option(9, "RandAugment's magnitude (0: none)")
    erase: float = option(0.25, "probability of erasing a rectangle")
    mixup: float = option(0.8, "Beta parameter (0: none)")
    cutmix: float = option(1.0, "Beta parameter (0: none)")
    smoothing: float = option(0.1, "of labels")

    val: str = option("", "folder to evaluate on after each epoch")
    val_limit: int = option(0, "evaluate on so many, spread evenly (0: all)")
    val_keep: str = option("1,0.7,0.5", "ratios to evaluate")
    val_last: bool = option(False, "evaluate after the last epoch only")
    max_steps: int = option(0, "steps an epoch at most (0: all pictures)")

    seed: int = option(0, "of everything random")
    bf16: bool = option(False, "autocast to bfloat16")
    device: str = option("auto", "auto, cpu, cuda")
    threads: int = option(0, "CPU threads (0: PyTorch's choice)", free=True)
    workers: int = option(0, "processes that read pictures", free=True)
    log_every: int = option(10, "steps a row of the log", free=True)
    resume: bool = option(False, "go on from the last finished epoch", free=True)

    def check(self):
        """UserError for the first setting that makes no sense."""
        if not self.data or not self.out:
            raise UserError("fit: want --data DIR and --out DIR")
        for name in ("epochs", "batch"):
            if getattr(self, name) < (1 if name == "batch" else 0):
                raise UserError(f"fit: --{name} {getattr(self, name)}: want at least 1")
        if self.teacher == "none" and (self.no_labels or self.w_cls == 0):
            raise UserError("fit: without labels and without a teacher there is nothing to learn")
        if self.views and (self.mixup or self.cutmix):
            raise UserError("fit: --views: mixed pictures have no teacher outputs to keep: set --mixup 0 --cutmix 0")
        if not 0 <= self.dense_share < 1 or self.mask_every < 1:
            raise UserError("fit: want --dense-share from 0 to below 1 and --mask-every of at least 1")
        if self.is_fixed and (self.dense_share or self.mask_every > 1 or self.train == "network"):
            raise UserError("fit: --dense-share, --mask-every and --train network go with --keep any")
        if self.merge and (self.is_fixed or self.mask_every > 1):
            raise UserError("fit: --merge goes with --keep any, and with --mask-every 1")
        self.keep_range()

    def keep_range(self):
        """(low, high) of any-ratio training, or (ratio, ratio) with is_fixed."""
        try:
            if self.is_fixed:
                low = high = float(self.keep)
            elif self.keep == "any":
                low, high = 0.4, 1.0
            else:
                low, high = (float(w) for w in self.keep.removeprefix("any:").split(","))
        except ValueError:
            low = high = 0.0
        if not 0 < low <= high <= 1:
            raise UserError(f"fit: --keep {self.keep}: want any, any:LOW,HIGH or a ratio above 0 and at most 1")
        return low, high

    @property
    def is_fixed(self):
        return not self.keep.startswith("any")

    def prune_blocks(self):
        """None: not asked for."""
        if not self.prune_at:
            return None
        if self.prune_at == "none":
            return ()
        try:
            return tuple(int(w) for w in self.prune_at.split(","))
        except ValueError:
            raise UserError(f"fit: --prune-at {self.prune_at}: want blocks such as 3,6,9, or none") from None

    def val_ratios(self):
        return [float(w) for w in self.val_keep.split(",")]

    def bound(self):
        """The settings that a resumed run must share, as plain values."""
        free = {f.name for f in dataclasses.fields(self) if f.metadata.get("free")} | {"out"}
        return {k: v for k, v in dataclasses.asdict(self).items() if k not in free}

    def check_resume(self, saved):
        for name, value in self.bound().items():
            if name in saved and saved[name] != value:
                raise UserError(f"resume: --{name.replace('_', '-')} is {value}, the run was begun with {saved[name]}")


def add_arguments(parser, default=Config()):
    for f in dataclasses.fields(Config):
        name, value = "--" + f.name.replace("_", "-"), getattr(default, f.name)
        text = f.metadata["help"] + ("" if value in ("", 0, False) else f" [{value}]")
        if f.type is bool or isinstance(value, bool):
            parser.add_argument(name, action=argparse.BooleanOptionalAction, default=value, help=text)
        else:
            parser.add_argument(name, type=type(value), default=value, choices=f.metadata.get("choices"), help=text)


def from_arguments(args):
    return Config(**{f.name: getattr(args, f.name) for f in dataclasses.fields(Config)})
