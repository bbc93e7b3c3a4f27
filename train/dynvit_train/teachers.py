"""Teachers: a frozen copy of the student, a file, or any timm model, answering in the student's terms."""

import copy
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn

from .errors import UserError
from .model import Output
from .pictures import read_labels
from .weights import load_model


class Teacher(nn.Module):
    """Wraps a frozen network. forward takes the student's normalised pictures and gives logits of its classes.

    tokens are None where the network has no patch tokens on the student's grid.
    """

    def __init__(self, run, width, rescale=None, classes=None, aux=False):
        super().__init__()
        self.run, self.width, self.rescale, self.classes, self.aux = run, width, rescale, classes, aux

    @torch.no_grad()
    def forward(self, x):
        if self.rescale:
            scale, shift = (t.view(1, 3, 1, 1).to(x.device) for t in self.rescale)
            x = x * scale + shift
        cls, tokens = self.run(x)
        if self.classes is not None:
            cls = cls[:, self.classes]
            tokens = tokens[..., self.classes] if self.aux else tokens
        return Output(cls, cls, tokens)


class Kept:
    """A teacher's outputs for fixed views of pictures, on disk: logits as f32, tokens as f16.

    Rows are computed where they are first asked for and shared by the processes of a machine. A killed run loses at
    most rows, which come again.
    """

    def __init__(self, path, views, pictures, shape, teacher, tokens):
        self.pictures, self.grid, rows = pictures, shape.grid, views * pictures
        classes, width = shape.classes, shape.classes if teacher.aux else teacher.width
        self.logits = opened(f"{path}.logits", "float32", (rows, classes + 1))  # the last column: 1 where known
        self.tokens = opened(f"{path}.tokens", "float16", (rows, shape.patches, width)) if tokens else None

    def __call__(self, x, batch, teacher):
        """The Output for x, the views of batch; those not yet known are asked of the teacher."""
        at = np.array([view * self.pictures + picture for view, picture in batch.key])
        unknown = np.nonzero(self.logits[at, -1] != 1)[0]
        if len(unknown):
            self.add(at[unknown], teacher(unmirrored(x, batch.mirrored)[torch.from_numpy(unknown)]))
        logits = torch.from_numpy(self.logits[at, :-1]).to(x.device)
        if self.tokens is None:
            return Output(logits, logits, None)
        tokens = torch.from_numpy(self.tokens[at]).float().to(x.device)
        grid = tokens.unflatten(1, (self.grid, self.grid))
        mirrored = batch.mirrored.view(-1, 1, 1, 1).to(x.device)
        return Output(logits, logits, torch.where(mirrored, grid.flip(2), grid).flatten(1, 2))

    def add(self, at, out):
        if self.tokens is not None:
            self.tokens[at] = out.tokens.float().cpu().numpy()
        self.logits[at, :-1] = out.cls_logits.float().cpu().numpy()
        self.logits[at, -1] = 1


def unmirrored(x, mirrored):
    return torch.where(mirrored.view(-1, 1, 1, 1).to(x.device), x.flip(3), x)


def opened(path, dtype, shape):
    """A file of numbers of that shape, zeros where it is new. UserError where it cannot be had."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    try:
        with open(path, "ab") as f:
            if f.tell() != size:
                f.truncate(0)
                f.truncate(size)
        return np.memmap(path, dtype, "r+", shape=shape)
    except OSError as e:
        raise UserError(f"fit: {path}: {e.strerror}") from None


def make_teacher(name, student, facts, weights=None, class_file=None):
    """The teacher of that name; None for "none".

    name: self, a path, or a timm name (weights: a local file for it, else timm's own download).
    class_file: lines `synset label` naming the teacher's classes where they differ from the student's.
    """
    if name == "none":
        return None
    if name == "self":
        return dense_teacher(student, facts, facts, None)
    if Path(name).suffix in (".safetensors", ".pth", ".pt"):
        model, own, _ = load_model(name)
        return dense_teacher(
            model, own, facts, pick_classes(model.shape.classes, own.synsets, student, facts, class_file)
        )
    return timm_teacher(name, weights, student, facts, class_file)


def dense_teacher(model, own, facts, classes):
    model = freeze(copy.deepcopy(model))

    def run(x):
        out = model(x)
        return out.cls_logits, out.tokens

    teacher = Teacher(run, model.shape.width, rescaling(facts, own.mean, own.std), classes, model.shape.aux_head)
    teacher.model, teacher.patches, teacher.image_size = model, model.shape.patches, model.shape.image_size
    return teacher


def timm_teacher(name, weights, student, facts, class_file):
    import timm

    try:
        model = timm.create_model(name, pretrained=weights is None, checkpoint_path=weights or "")
    except Exception as e:  # unknown names, no network, damaged files: each of another type
        raise UserError(f"teacher {name}: {str(e).strip().splitlines()[0]}") from None
    model = freeze(model)
    config = model.pretrained_cfg
    prefix = getattr(model, "num_prefix_tokens", 0)

    def run(x):
        features = model.forward_features(x)
        tokens = features[:, prefix:] if features.dim() == 3 and features.shape[1] > prefix else None
        return model.forward_head(features), tokens

    classes = pick_classes(model.num_classes, (), student, facts, class_file)
    teacher = Teacher(run, model.num_features, rescaling(facts, config["mean"], config["std"]), classes)
    with torch.no_grad():
        tokens = run(torch.zeros(1, 3, student.shape.image_size, student.shape.image_size))[1]
    teacher.model, teacher.patches = model, tokens.shape[1] if tokens is not None else 0
    teacher.image_size = student.shape.image_size
    return teacher


def freeze(model):
    return model.eval().requires_grad_(False)


def rescaling(facts, mean, std):
    """(scale, shift) from the student's normalisation to another; None where they are the same."""
    if tuple(mean) == tuple(facts.mean) and tuple(std) == tuple(facts.std):
        return None
    ours, theirs = torch.tensor([facts.mean, facts.std]), torch.tensor([mean, std])
    return ours[1] / theirs[1], (ours[0] - theirs[0]) / theirs[1]


def pick_classes(count, synsets, student, facts, class_file):
    """Indices of the student's classes among the teacher's; None where they are the same."""
    if class_file:
        synsets = tuple(read_labels(class_file))
    if count == student.shape.classes and (not synsets or not facts.synsets or tuple(synsets) == tuple(facts.synsets)):
        return None
    missing = [s for s in facts.synsets if s not in synsets]
    if len(synsets) != count or not facts.synsets or missing:
        why = f"class {missing[0]} is not among them" if missing else "name them with --teacher-classes FILE"
        raise UserError(f"teacher: {count} classes, the student has {student.shape.classes}: {why}")
    return torch.tensor([list(synsets).index(s) for s in facts.synsets])


def check_teacher(teacher, student):
    """Whether tokens can be distilled; warns where they cannot. UserError where the teacher takes other pictures."""
    if teacher.image_size != student.shape.image_size:
        raise UserError(f"teacher: takes {teacher.image_size} pixels, the student {student.shape.image_size}")
    if teacher.patches != student.shape.patches:
        warnings.warn("the teacher has no tokens on the student's grid: logits alone are distilled", stacklevel=2)
        return False
    return True
