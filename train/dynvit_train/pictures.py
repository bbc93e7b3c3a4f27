"""Folders of pictures: reading, augmentation, mixing, and batches that do not depend on how many processes share them.

Everything random about a picture is drawn from (seed, epoch, picture), everything about a step from (seed, step), so
a resumed run and a run of several processes see what one uninterrupted process would.
"""

import random
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from .errors import UserError

ENDINGS = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".ppm"}
FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


@dataclass(frozen=True)
class Folder:
    """Pictures and, where there are folders of classes, the class index of each."""

    root: str
    paths: tuple
    labels: tuple  # as paths; empty: no labels
    classes: tuple  # folder names in order


def scan(root, need_labels=False):
    """Lists a folder of class folders, or a bare folder of pictures. UserError where there is nothing to learn from."""
    root = Path(root)
    if not root.is_dir():
        raise UserError(f"data {root}: no such folder")
    folders = sorted(d for d in root.iterdir() if d.is_dir())
    found = [(p, i) for i, d in enumerate(folders) for p in files(d)]
    if not found:
        return bare(root, need_labels)
    classes = sorted({folders[i].name for _, i in found})
    if len(classes) == 1:
        raise UserError(f"data {root}: one class only ({classes[0]}): want two or more, or pictures without folders")
    index = {name: i for i, name in enumerate(classes)}
    labels = tuple(index[folders[i].name] for _, i in found)
    return Folder(str(root), tuple(p for p, _ in found), labels, tuple(classes))


def bare(root, need_labels):
    paths = tuple(files(root))
    if not paths:
        raise UserError(f"data {root}: no pictures ({', '.join(sorted(ENDINGS))}) inside")
    if need_labels:
        raise UserError(f"data {root}: no class folders: want DIR/CLASS/PICTURE")
    return Folder(str(root), paths, (), ())


def files(folder):
    return sorted(str(p) for p in folder.rglob("*") if p.suffix.lower() in ENDINGS and p.is_file())


def without_labels(folder):
    return Folder(folder.root, folder.paths, (), ())


def class_indices(names, classes, synsets):
    """Index of each folder name in a model's classes: by synset, label or number, as dynvitd finds them."""
    table = {str(i): i for i in range(max(len(classes), len(synsets), 0))}
    table |= {c: i for i, c in enumerate(classes)} | {s: i for i, s in enumerate(synsets)}
    missing = [n for n in names if n not in table]
    if missing:
        raise UserError(f"data: folder {missing[0]} is none of the model's classes ({', '.join(classes[:4])}, …)")
    return [table[n] for n in names]


def read_labels(path):
    """{folder name: label} of a file of lines `synset label, other names`."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError as e:
        raise UserError(f"labels {path}: {e.strerror}") from None
    words = (line.split(maxsplit=1) for line in lines if line.strip())
    return {w[0]: w[-1].split(",")[0].strip() for w in words}


def is_synset(name):
    return re.fullmatch(r"n\d{8}", name) is not None


def open_rgb(path):
    with Image.open(path) as picture:
        return picture.convert("RGB")


def try_open(path):
    """The picture, or None where it cannot be read."""
    try:
        return open_rgb(path)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # what Pillow raises on damage
        return None


def normalise(picture, facts):
    """RGB picture -> float tensor [3, H, W]."""
    x = torch.from_numpy(np.asarray(picture, dtype=np.float32)).permute(2, 0, 1) / 255
    mean, std = torch.tensor(facts.mean), torch.tensor(facts.std)
    return (x - mean[:, None, None]) / std[:, None, None]


def plain(picture, facts, size):
    """The inference view: short side to facts.resize and a centre crop, or warped to the size where resize is 0."""
    kind = FILTERS[facts.interpolation]
    if not facts.resize:
        return normalise(picture.resize((size, size), kind), facts)
    w, h = picture.size
    short = min(w, h)
    w, h = (int(facts.resize * side / short) if side != short else facts.resize for side in (w, h))
    picture = picture.resize((w, h), kind)
    left, top = round((w - size) / 2), round((h - size) / 2)
    return normalise(picture.crop((left, top, left + size, top + size)), facts)


@dataclass(frozen=True)
class Augment:
    """How training views differ from the inference view; zeros switch things off."""

    crop: float = 0.08  # smallest share of the picture's area in a crop; 1: the inference view
    flip: bool = True
    randaug: int = 9  # RandAugment's magnitude
    erase: float = 0.25  # probability of a rectangle of noise
    mixup: float = 0.8  # Beta parameter
    cutmix: float = 1.0
    smoothing: float = 0.1


# RandAugment's operations whose strength grows with the magnitude (timm's list for "inc1"), but for posterising,
# which at full strength asks Pillow for 0 bits, an error of newer Pillows.
OPERATIONS = (
    "AutoContrast", "Equalize", "Invert", "Rotate", "PosterizeOriginal", "SolarizeIncreasing", "SolarizeAdd",
    "ColorIncreasing", "ContrastIncreasing", "BrightnessIncreasing", "SharpnessIncreasing", "ShearX", "ShearY",
    "TranslateXRel", "TranslateYRel",
)  # fmt: skip


def rand_augment(magnitude, facts):
    """Two operations of that magnitude (0 to 10, deviation 0.5) a picture, each with probability one half."""
    from timm.data.auto_augment import RandAugment, rand_augment_ops

    grey = tuple(round(255 * m) for m in facts.mean)
    hparams = {"img_mean": grey, "magnitude_std": 0.5}
    return RandAugment(rand_augment_ops(magnitude, prob=0.5, hparams=hparams, transforms=OPERATIONS), num_layers=2)


class View:
    """A training view of a picture: crop, flip, RandAugment, erasing, all drawn from rng."""

    def __init__(self, augment, facts, size):
        self.augment, self.facts, self.size = augment, facts, size
        self.policy = rand_augment(augment.randaug, facts) if augment.randaug else None

    def __call__(self, picture, rng):
        a = self.augment
        if a.crop >= 1:
            x = plain(picture, self.facts, self.size)
            return x.flip(2) if a.flip and rng.random() < 0.5 else x
        picture = self.crop(picture, rng)
        if a.flip and rng.random() < 0.5:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        x = normalise(self.randaug(picture, rng), self.facts)
        return self.erase(x, rng) if rng.random() < a.erase else x

    def crop(self, picture, rng):
        """A crop of random area and of aspect 3/4 to 4/3, resized."""
        w, h = picture.size
        box = (0, 0, w, h)
        for _ in range(10):
            area = w * h * rng.uniform(self.augment.crop, 1)
            aspect = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
            cw, ch = round((area * aspect) ** 0.5), round((area / aspect) ** 0.5)
            if 0 < cw <= w and 0 < ch <= h:
                left, top = rng.randint(0, w - cw), rng.randint(0, h - ch)
                box = (left, top, left + cw, top + ch)
                break
        return picture.resize((self.size, self.size), FILTERS[self.facts.interpolation], box)

    def randaug(self, picture, rng):
        """timm's RandAugment draws from the global generators: they are lent a seed and put back."""
        if self.policy is None:
            return picture
        python, numpy = random.getstate(), np.random.get_state()
        seed = rng.getrandbits(32)
        random.seed(seed)
        np.random.seed(seed)
        try:
            return self.policy(picture)
        finally:
            random.setstate(python)
            np.random.set_state(numpy)

    def erase(self, x, rng):
        """A rectangle of 2 % to a third of the area becomes noise."""
        area, aspect = self.size**2 * rng.uniform(0.02, 1 / 3), np.exp(rng.uniform(np.log(0.3), np.log(3.3)))
        h, w = (min(self.size, max(1, round(s))) for s in ((area * aspect) ** 0.5, (area / aspect) ** 0.5))
        top, left = rng.randint(0, self.size - h), rng.randint(0, self.size - w)
        noise = torch.Generator().manual_seed(rng.getrandbits(32))
        x[:, top : top + h, left : left + w] = torch.randn(3, h, w, generator=noise)
        return x


class Viewed(NamedTuple):
    view: torch.Tensor  # [3, S, S]
    label: int  # -1: none
    bad: list  # indices of unreadable pictures met
    key: tuple  # (which view, which picture)
    mirrored: bool  # after that view was drawn


class Views(Dataset):
    """Items are asked for as (epoch, index) and come as a Viewed.

    An unreadable picture is answered by the next readable one. With fixed > 0 each picture has so many views, one an
    epoch in turn, mirrored anew in each epoch.
    """

    def __init__(self, folder, view, seed, fixed=0):
        self.folder, self.view, self.seed, self.fixed = folder, view, seed, fixed

    def __len__(self):
        return len(self.folder.paths)

    def __getitem__(self, asked):
        epoch, index = asked
        key, mirrored = (epoch, index), False
        if self.fixed:
            key = (epoch % self.fixed, index)
            mirrored = self.view.augment.flip and random.Random(f"{self.seed} mirror {epoch} {index}").random() < 0.5
        rng = random.Random(f"{self.seed} {key[0]} {index}")
        bad = []
        while len(bad) < len(self):
            picture = try_open(self.folder.paths[index])
            if picture:
                label = self.folder.labels[index] if self.folder.labels else -1
                x = self.view(picture, rng)
                return Viewed(x.flip(2) if mirrored else x, label, bad, key, mirrored)
            bad.append(index)
            index = (index + 1) % len(self)
        raise UserError(f"data {self.folder.root}: none of {len(self)} pictures can be read")


class Batches:
    """Which pictures each step of each epoch takes: epochs are shuffles, the rest that fills no batch waits.

    Each process takes a contiguous share of every batch; batch must be a multiple of 2 · processes, so that the
    neighbours that are mixed (see mix) are in the same share.
    """

    def __init__(self, count, batch, seed, rank=0, world=1):
        if batch % (2 * world):
            raise UserError(f"batch {batch}: want a multiple of {2 * world} (pairs are mixed, {world} processes share)")
        if count < batch:
            raise UserError(f"data: {count} pictures do not fill a batch of {batch}: lower --batch")
        self.count, self.batch, self.seed, self.rank, self.world = count, batch, seed, rank, world
        self.steps = count // batch

    def share(self):
        """The slice of a batch that this process computes."""
        n = self.batch // self.world
        return slice(self.rank * n, (self.rank + 1) * n)

    def epoch(self, epoch):
        """Batches of one epoch: lists of (epoch, index)."""
        order = torch.randperm(self.count, generator=torch.Generator().manual_seed(self.seed * 100003 + epoch)).tolist()
        for step in range(self.steps):
            whole = order[step * self.batch : (step + 1) * self.batch]
            yield [(epoch, i) for i in whole[self.share()]]


def collate(items):
    """The items of a batch as one Viewed of lists and stacked tensors."""
    views, labels, bad, keys, mirrored = zip(*items)
    bad = sorted({i for b in bad for i in b})
    return Viewed(torch.stack(views), torch.tensor(labels), bad, list(keys), torch.tensor(mirrored))


def loader(dataset, batches, workers):
    return DataLoader(dataset, batch_sampler=list(batches), num_workers=workers, collate_fn=collate)


def mix(x, labels, augment, classes, generator):
    """Mixup or cutmix of neighbours (0 with 1, 2 with 3, …) and smoothed soft labels [B, C] (None without labels).

    One kind and one share for the whole batch, drawn from generator.
    """
    soft = None
    if labels is not None:
        soft = torch.full((len(x), classes), augment.smoothing / classes)
        soft.scatter_(1, labels[:, None], 1 - augment.smoothing + augment.smoothing / classes)
    kinds = [k for k in ("mixup", "cutmix") if getattr(augment, k) > 0]
    if not kinds:
        return x, soft
    rng = random.Random(torch.randint(1 << 62, (), generator=generator).item())
    kind = rng.choice(kinds)
    share = rng.betavariate(getattr(augment, kind), getattr(augment, kind))
    other = torch.arange(len(x)) ^ 1
    if kind == "mixup":
        x = x * share + x[other] * (1 - share)
    else:
        x, share = cut(x, other, share, rng)
    return x, None if soft is None else soft * share + soft[other] * (1 - share)


def cut(x, other, share, rng):
    """Pastes a rectangle of about 1 - share of the area of each picture's partner; returns the exact share kept."""
    size = x.shape[-1]
    side = size * (1 - share) ** 0.5
    cy, cx = rng.randrange(size), rng.randrange(size)
    top, bottom = (int(min(max(cy + s * side / 2, 0), size)) for s in (-1, 1))
    left, right = (int(min(max(cx + s * side / 2, 0), size)) for s in (-1, 1))
    mixed = x.clone()
    mixed[:, :, top:bottom, left:right] = x[other, :, top:bottom, left:right]
    return mixed, 1 - (bottom - top) * (right - left) / size**2


class Plain(Dataset):
    """Inference views in order, for evaluation; an unreadable picture comes as None."""

    def __init__(self, folder, facts, size):
        self.folder, self.facts, self.size = folder, facts, size

    def __len__(self):
        return len(self.folder.paths)

    def __getitem__(self, i):
        picture = try_open(self.folder.paths[i])
        if picture is None:
            return None
        x = plain(picture, self.facts, self.size)
        return x, self.folder.labels[i] if self.folder.labels else -1


def plain_batches(dataset, batch, workers=0):
    """Yields (views, labels, number skipped)."""

    def gather(items):
        good = [item for item in items if item is not None]
        if not good:
            return None, None, len(items)
        return torch.stack([x for x, _ in good]), torch.tensor([y for _, y in good]), len(items) - len(good)

    return DataLoader(dataset, batch_size=batch, num_workers=workers, collate_fn=gather)


def spread(folder, limit):
    """limit pictures spread evenly over the sorted list; 0: all."""
    n = len(folder.paths)
    if not limit or limit >= n:
        return folder
    take = [i * n // limit for i in range(limit)]
    labels = tuple(folder.labels[i] for i in take) if folder.labels else ()
    return Folder(folder.root, tuple(folder.paths[i] for i in take), labels, folder.classes)
