"""Model files for dynvitd: the only writer of the project's safetensors, and golden activations for its tests."""

import json
import struct
from pathlib import Path

import torch
from PIL import Image

from .errors import UserError
from .merging import remove, rule_of
from .model import keep_counts
from .pictures import normalise, open_rgb, plain
from .runs import load_checkpoint, write_atomic
from .weights import facts_of, has_predictors, load_model, of_predictors, read, shape_of

DTYPES = {torch.float32: "F32", torch.float16: "F16", torch.int8: "I8", torch.int64: "I64"}


def encode(tensors, meta):
    """The bytes of a safetensors file: tensors and metadata in the order of their names, header padded to eight bytes,
    so that equal content gives equal bytes and those that dynvitd's own writer gives."""
    header, at = {}, 0
    if meta:
        header["__metadata__"] = {k: meta[k] for k in sorted(meta)}
    parts = []
    for name in sorted(tensors):
        t = tensors[name].detach().cpu().contiguous()
        data = t.numpy().tobytes()
        header[name] = {"dtype": DTYPES[t.dtype], "shape": list(t.shape), "data_offsets": [at, at + len(data)]}
        parts.append(data)
        at += len(data)
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(parts)


def number(x):
    """A float as dynvitd writes it: the shortest digits, no trailing .0."""
    return repr(float(x)).removesuffix(".0")


def metadata(shape, facts, predictors=True):
    """The metadata strings that describe a model completely (modelfile/manifest.go); without predictors it names no
    scorer that is by them."""
    scorer = facts.scorer if predictors or not facts.scorer.startswith("predictor") else ""
    meta = {
        "architecture": facts.architecture, "width": str(shape.width), "depth": str(shape.depth),
        "heads": str(shape.heads), "mlp_ratio": number(shape.hidden / shape.width), "patch_size": str(shape.patch_size),
        "image_size": str(shape.image_size), "interpolation": facts.interpolation,
        "mean": ",".join(map(number, facts.mean)), "std": ",".join(map(number, facts.std)),
        "layer_norm_eps": number(shape.eps), "prune_at": ",".join(map(str, shape.prune_at)),
        "classes": "|".join(facts.classes), "synsets": "|".join(facts.synsets),
        "scorer": scorer, "license": facts.license, "training": facts.training,
    }  # fmt: skip
    if facts.resize:
        meta["resize"] = str(facts.resize)
    if shape.stem:
        meta |= {"stem": "lvvit", "skip_lam": number(shape.skip_lam)}
    if shape.act != "gelu":
        meta["act"] = shape.act
    if shape.pool != "token" or shape.last_norm == "fc_norm":  # with which avg would be taken for granted
        meta["pool"] = shape.pool
    if not shape.classes:
        meta["head"] = "none"
    bad = [c for c in (*facts.classes, *facts.synsets) if "|" in c or not c.strip()]
    if bad:
        raise UserError(f"export: label {bad[0]!r} is empty or holds |")
    return {k: v for k, v in meta.items() if v}


# Under int8 the blocks' Linear layers become codes; what dynvitd computes in higher precision stays half.
BLOCK_LINEAR = ("attn.qkv.weight", "attn.proj.weight", "mlp.fc1.weight", "mlp.fc2.weight")


def convert(tensors, dtype):
    """Tensors of a model as f32, f16 (matrices; vectors stay f32) or int8 (see BLOCK_LINEAR)."""
    out = {}
    for name, t in tensors.items():
        if name.endswith("num_batches_tracked"):
            continue
        if dtype == "f32" or t.dim() < 2 or ".bn" in name:
            out[name] = t.float()
        elif dtype == "int8" and name.startswith("blocks.") and name.endswith(BLOCK_LINEAR):
            out[name], out[name + ".scale"] = quantise(t.float())
        else:
            out[name] = half(name, t)
    return out


def half(name, t):
    h = t.to(torch.float16)
    if not torch.isfinite(h).all():
        raise UserError(f"export: tensor {name} does not fit f16")
    return h


def quantise(w):
    """Codes [out, in] and scales [out]: per row m = max|w|, scale m/127, codes rounded to nearest even; m < 1e-30
    gives zeros."""
    m = w.abs().amax(1)
    dust = m < 1e-30
    safe = torch.where(dust, torch.ones_like(m), m)
    codes = (w * (127 / safe)[:, None]).round().clamp(-127, 127)
    codes[dust] = 0
    return codes.to(torch.int8), torch.where(dust, torch.zeros_like(m), m / 127)


def export(
    source,
    out,
    dtype="f32",
    raw=False,
    only_predictors=False,
    dense=False,
    license="",
    training="",
    card="",
    predictors="",
):
    """Writes a model file (or a predictors file) from a run's folder, a checkpoint or another model file.

    raw takes the last weights of a run instead of their average; dense leaves the predictors out; card, if named, is
    written as Markdown.
    """
    source, state = Path(source), None
    if source.is_dir():
        state = load_checkpoint(source)
        if state is None:
            raise UserError(f"export: {source} holds no checkpoint")
        tensors, meta = (state["model"] if raw else state["ema"]), dict(state["meta"])
        loaded = type("Loaded", (), {"tensors": {n: t.float() for n, t in tensors.items()}, "meta": meta})
    else:
        loaded = read(source)
        if predictors:
            extra = read(predictors)
            loaded.tensors |= extra.tensors
            loaded.meta |= of_predictors(extra.meta)
    shape = shape_of(loaded)
    tensors = choose(loaded.tensors, only_predictors, dense, source)
    meta = metadata(shape, facts_of(loaded, shape), has_predictors(tensors))
    meta |= {k: v for k, v in (("license", license), ("training", training)) if v}
    if only_predictors:
        meta = {k: meta[k] for k in ("prune_at", "scorer", "license", "training") if k in meta}
    check_size(out)
    write_atomic(out, encode(convert(tensors, dtype), meta))
    if card:
        write_atomic(card, card_text(Path(out), meta, tensors, dtype, state).encode())
    return shape


def check_size(out):
    if Path(out).suffix != ".safetensors":
        raise UserError(f"export: -o {out}: want a name that ends in .safetensors")


def choose(tensors, only_predictors, dense, source):
    if only_predictors and not has_predictors(tensors):
        raise UserError(f"export: {source} has no predictors")
    if only_predictors:
        return {n: t for n, t in tensors.items() if n.startswith("score_predictor.")}
    if dense:
        return {n: t for n, t in tensors.items() if not n.startswith("score_predictor.")}
    return tensors


def card_text(out, meta, tensors, dtype, state):
    """The model card: what it is, how it was made, what it scores."""
    parameters = sum(t.numel() for t in tensors.values())
    lines = [
        f"# {out.stem}",
        "",
        f"{parameters / 1e6:.2f} M parameters, stored as {dtype}, {out.stat().st_size} bytes.",
    ]
    lines += [f"- {k}: {meta[k]}" for k in sorted(meta) if k != "training"]
    lines += ["", f"**Made** by {meta['training']}." if meta.get("training") else ""]
    if state:
        lines += [
            "",
            "Settings: " + ", ".join(f"{k} {v}" for k, v in state["config"].items() if v not in ("", False)) + ".",
        ]
        if state["results"]:
            lines += [
                "",
                "| keep | " + " | ".join(state["results"]) + " |",
                "| --- |" + " --- |" * len(state["results"]),
            ]
            lines += ["| top-1 | " + " | ".join(f"{100 * v:.2f}" for v in state["results"].values()) + " |"]
    return "\n".join(lines).strip() + "\n"


@torch.no_grad()
def golden(source, images, out, ratios, predictors=None, heads=0, brief=False, enlarge=False, scorer=""):
    """Activations of a model for tests of other implementations, named as the project's golden files:

    x and, per ratio R, keepR.embed, .block.NN, .score.k (column 0 of the log-probabilities), .kept.k, .logits.
    Rows are in ascending order of patch id, as .kept.k lists them. brief leaves x and all but scores, kept sets and
    logits out; enlarge takes pictures whose side divides the model's and repeats their pixels, which needs no resizing.
    Patches are removed by the scorer named, else by the model's own; where it merges there are .groups.k as well, the
    patch that each one lives in, -1 where dropped.
    """
    check_size(out)
    model, facts, loaded = load_model(source, predictors, heads)
    if not has_predictors(loaded.tensors):
        raise UserError(f"golden: {source} has no predictors: name a file with --predictors")
    x = torch.stack([golden_input(p, facts, model.shape.image_size, enlarge) for p in images])
    tensors = {} if brief else {"x": x}
    for ratio in ratios:
        counts = keep_counts(ratio, model.shape.patches, len(model.shape.prune_at))
        seen = {}
        result = remove(model.eval(), x, counts, rule_of(scorer or facts.scorer), seen.__setitem__)
        seen = {k: t for k, t in seen.items() if not brief or k.startswith("score.")}
        seen |= {"logits": result.logits} | {f"kept.{k}": ids for k, ids in enumerate(result.kept)}
        seen |= {f"groups.{k}": ids for k, ids in enumerate(getattr(result, "groups", []))}
        tensors |= {f"keep{ratio:g}.{key}": t for key, t in seen.items()}
    write_atomic(out, encode(tensors, {}))


def golden_input(path, facts, size, enlarge):
    try:
        picture = open_rgb(path)
        if not enlarge:
            return plain(picture, facts, size)
    except (OSError, ValueError, SyntaxError) as e:
        raise UserError(f"golden: {e}") from None
    if picture.width != picture.height or size % picture.width:
        raise UserError(f"golden: {path}: {picture.width}x{picture.height}: want a square whose side divides {size}")
    return normalise(picture.resize((size, size), Image.Resampling.NEAREST), facts)
