"""Reading checkpoints (model files, timm safetensors, official .pth, our own) and telling a model's shape from them."""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from .errors import UserError
from .model import DynamicViT, Shape

# The published widths, whose heads are 64 wide.
HEADS = {192: 3, 256: 4, 384: 6, 512: 8, 768: 12, 1024: 16}

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Facts:
    """What a model file says besides its tensors."""

    architecture: str = "vit"
    resize: int = 0  # pixels of the short side before the centre crop; 0: warp to the image size
    interpolation: str = "bicubic"
    mean: tuple = IMAGENET_MEAN
    std: tuple = IMAGENET_STD
    classes: tuple = ()
    synsets: tuple = ()
    scorer: str = ""  # by which patches are removed as it was trained for; "": predictor, or none of ours
    license: str = ""
    training: str = ""


@dataclass
class Loaded:
    tensors: dict  # name -> float32 tensor
    meta: dict = field(default_factory=dict)


def read(path):
    """Reads a checkpoint; int8 model files are multiplied out. UserError names what is wrong."""
    path = Path(path)
    try:
        loaded = read_safetensors(path) if path.suffix == ".safetensors" else read_torch(path)
    except FileNotFoundError:
        raise UserError(f"model {path}: no such file") from None
    except (SafetensorError, OSError, RuntimeError, ValueError, KeyError, EOFError) as e:
        raise UserError(f"model {path}: not a checkpoint that is understood ({first_line(e)})") from None
    except Exception as e:  # the unpickler's own error types
        raise UserError(f"model {path}: {first_line(e)}") from None
    bad = next((n for n, t in loaded.tensors.items() if not torch.isfinite(t).all()), None)
    if bad:
        raise UserError(f"model {path}: tensor {bad} holds NaN or Inf")
    return loaded


def first_line(e):
    return str(e).strip().split("\n")[0] or type(e).__name__


def read_safetensors(path):
    with safe_open(str(path), "pt") as f:
        tensors = {n: f.get_tensor(n) for n in f.keys()}
        meta = dict(f.metadata() or {})
    scales = {n: tensors.pop(n) for n in list(tensors) if n.endswith(".scale")}
    for name, t in tensors.items():
        if t.dtype == torch.int8:
            scale = scales[name + ".scale"]
            t = t.float() * scale.view(-1, *[1] * (t.dim() - 1))
        tensors[name] = t.float()
    return Loaded(tensors, meta)


def read_torch(path):
    """An official .pth ({'model': …} or bare) or a checkpoint of our own (with 'meta')."""
    data = torch.load(path, map_location="cpu", weights_only=True)
    state = data.get("ema") or data.get("model") or data.get("state_dict") or data
    tensors = {n: t.float() for n, t in state.items() if torch.is_tensor(t)}
    if not tensors:
        raise ValueError("no tensors inside")
    return Loaded(tensors, dict(data.get("meta", {})) if "model" in data else {})


def numbers(text, kind):
    return tuple(kind(w) for w in text.split(","))


def shape_of(loaded, heads=0, prune_at=None, image_size=0):
    """The Shape of a checkpoint; arguments override what names, shapes and metadata tell."""
    t, meta = loaded.tensors, loaded.meta
    if "blocks.0.attn.qkv.weight" not in t or "pos_embed" not in t:
        raise UserError("model: tensors are not those of a plain vision transformer")
    width = t["blocks.0.attn.qkv.weight"].shape[1]
    heads = heads or int(meta.get("heads", 0)) or HEADS.get(width, 0)
    if not heads:
        raise UserError(f"model: width {width} is none of the published ones: say how many heads (--heads)")
    stem = t["patch_embed.conv1.weight"].shape[0] if "patch_embed.conv1.weight" in t else 0
    patch = t["patch_embed.proj.weight"].shape[-1] * (2 if stem else 1)
    grid = int(t["pos_embed"].shape[1] ** 0.5)
    depth = 1 + max(int(m[1]) for n in t if (m := re.match(r"blocks\.(\d+)\.", n)))
    shape = Shape(
        width=width, depth=depth, heads=heads, hidden=t["blocks.0.mlp.fc1.weight"].shape[0],
        classes=classes_of(t, meta), patch_size=patch, stem=stem,
        image_size=image_size or int(meta.get("image_size", 0)) or grid * patch,
        prune_at=prune_blocks(meta, depth, prune_at), skip_lam=float(meta.get("skip_lam", 2 if stem else 1)),
        eps=float(meta.get("layer_norm_eps", 1e-5 if stem or "norm_pre.weight" in t else 1e-6)),
        qkv_bias="blocks.0.attn.qkv.bias" in t, aux_head="aux_head.weight" in t,
        **kind_of(t, meta, width, grid),
    )  # fmt: skip
    return checked(shape)


def classes_of(t, meta):
    """0 for a backbone, which says that it is one."""
    if "head.weight" not in t and meta.get("head") != "none":
        raise UserError("model: tensor head.weight is missing")
    return len(t["head.weight"]) if "head.weight" in t else 0


def kind_of(t, meta, width, grid):
    """What there is besides a plain transformer, as vit/infer.go finds it."""
    cls, fc_norm = "cls_token" in t, "fc_norm.weight" in t
    both = "head.weight" in t and t["head.weight"].shape[1] == 2 * width
    norm = "fc_norm" if fc_norm else "norm" if "norm.weight" in t else ""
    return dict(
        cls=cls, distilled="dist_token" in t, registers=t["reg_token"].shape[1] if "reg_token" in t else 0,
        placed=t["pos_embed"].shape[1] - grid**2, pre_norm="norm_pre.weight" in t,
        patch_bias="patch_embed.proj.bias" in t, layer_scale="blocks.0.ls1.gamma" in t, last_norm=norm,
        act=meta.get("act", "gelu"),
        pool=meta.get("pool", "token+avg" if both else "avg" if fc_norm or not cls else "token"),
    )  # fmt: skip


def checked(shape):
    try:
        shape.check()
    except ValueError as e:
        raise UserError(f"model: {e}") from None
    return shape


def prune_blocks(meta, depth, asked):
    """Where to prune: as asked, as the file says, else at a quarter, half and three quarters of the depth."""
    if asked is not None:
        return tuple(asked)
    if "prune_at" in meta:
        return numbers(meta["prune_at"], int)
    return (depth // 4, depth // 2, 3 * depth // 4) if depth >= 4 else ()


def facts_of(loaded, shape):
    """What the metadata says, with dynvitd's defaults for what it does not."""
    meta = loaded.meta
    size = shape.image_size  # a file's resize belongs to its own image size
    resize = int(meta.get("resize", 0 if size >= 384 else size * 8 // 7)) * size // int(meta.get("image_size", size))
    split = lambda key: tuple(meta[key].split("|")) if meta.get(key) else ()  # noqa: E731
    return Facts(
        architecture=meta.get("architecture", "lvvit" if shape.stem else "vit"),
        resize=resize,
        interpolation=meta.get("interpolation", "bicubic"),
        mean=numbers(meta.get("mean", "0.485,0.456,0.406"), float),
        std=numbers(meta.get("std", "0.229,0.224,0.225"), float),
        classes=split("classes"), synsets=split("synsets"), scorer=meta.get("scorer", ""),
        license=meta.get("license", ""), training=meta.get("training", ""),
    )  # fmt: skip


def fill(model, loaded, source, need_predictors=False):
    """Copies a checkpoint into the model. Predictors may be absent unless needed; anything else must fit."""
    tensors = dict(loaded.tensors)
    if "pos_embed" in tensors:
        tensors["pos_embed"] = resample(tensors["pos_embed"], model.shape.grid)
    own = model.state_dict()
    for name, t in tensors.items():
        if name in own and own[name].shape != t.shape:
            raise UserError(f"model {source}: tensor {name} has shape {list(t.shape)}, want {list(own[name].shape)}")
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    missing = [n for n in missing if need_predictors or not n.startswith("score_predictor.")]
    missing = [n for n in missing if not n.endswith("num_batches_tracked")]
    if missing:
        raise UserError(f"model {source}: tensor {missing[0]} is missing")
    if unexpected:
        raise UserError(f"model {source}: tensor {unexpected[0]} is not part of the model")
    return model


def resample(pos, grid):
    """Position embeddings [1, placed + G·G, D] for another grid, bilinear as the reference does it."""
    old = int(pos.shape[1] ** 0.5)
    placed = pos.shape[1] - old**2
    if old == grid:
        return pos
    maps = pos[:, placed:].transpose(1, 2).unflatten(2, (old, old))
    maps = torch.nn.functional.interpolate(maps, size=(grid, grid), mode="bilinear")
    return torch.cat([pos[:, :placed], maps.flatten(2).transpose(1, 2)], 1)


def has_predictors(tensors):
    return any(n.startswith("score_predictor.") for n in tensors)


def load_model(path, predictors=None, heads=0, prune_at=None, image_size=0, drop_path=0.0):
    """(model, facts, loaded) of a file, with the predictors of another file if one is named."""
    loaded = read(path)
    if predictors:
        extra = read(predictors)
        if not has_predictors(extra.tensors):
            raise UserError(f"predictors {predictors}: no score_predictor tensors inside")
        loaded.tensors = {n: t for n, t in loaded.tensors.items() if not n.startswith("score_predictor.")}
        loaded.tensors |= {n: t for n, t in extra.tensors.items() if n.startswith("score_predictor.")}
        loaded.meta |= of_predictors(extra.meta)
    shape = shape_of(loaded, heads, prune_at, image_size)
    drop_unfit_predictors(loaded, shape)
    model = fill(DynamicViT(shape, drop_path), loaded, path)
    return model, facts_of(loaded, shape), loaded


def of_predictors(meta):
    """What a predictors file's metadata say of a model that gets them."""
    return {k: meta[k] for k in ("prune_at", "scorer") if k in meta}


def drop_unfit_predictors(loaded, shape):
    """Predictors of other stages than asked for cannot serve; training starts new ones."""
    stages = {int(n.split(".")[1]) for n in loaded.tensors if n.startswith("score_predictor.")}
    if stages and len(stages) != len(shape.prune_at):
        loaded.tensors = {n: t for n, t in loaded.tensors.items() if not n.startswith("score_predictor.")}


def with_classes(shape, classes):
    return replace(shape, classes=classes)
