"""What timm's definitions of vision transformers set: a table for dynvitd's `model import`; and their shapes."""

import csv
import gzip
import io
import json
import re
from pathlib import Path

import timm
import torch
from torch import nn

MODULES = ("vision_transformer", "deit")
FIELDS = ("architecture", "heads", "layer_norm_eps", "act", "pool", "head", "refused")
ACTS = {"GELU": "gelu", "GELUTanh": "gelu_tanh", "QuickGELU": "quick_gelu"}

# What is no plain transformer, by the class of a part.
BLOCKS = {
    "ResPostBlock": "normalises behind its branches (res-post-norm)",
    "ParallelScalingBlock": "parallel blocks",
    "ParallelThingsBlock": "parallel blocks",
    "DiffParallelScalingBlock": "parallel blocks, differential attention",
}


def scan(table, shapes):
    """Writes the table (.csv) and the shapes (.json.gz), of blocks that are alike the first. Nothing is downloaded."""
    rows, models = [], {}
    for name in sorted({n for module in MODULES for n in timm.list_models(module=module)}):
        with torch.device("meta"):
            model = timm.create_model(name)
        rows.append(describe(name, model))
        models[name] = outline(model)
    out = io.StringIO()
    writer = csv.DictWriter(out, FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    Path(table).write_text(out.getvalue())
    text = json.dumps(models, separators=(",", ":"), sort_keys=True).encode()
    Path(shapes).write_bytes(gzip.compress(text, mtime=0))


def describe(name, model):
    """A definition's row."""
    reason = refusal(model)
    if reason:
        return {"architecture": name, "refused": reason}
    block = model.blocks[0]
    eps = {m.eps for m in model.modules() if isinstance(m, nn.LayerNorm)}
    if len(eps) != 1:
        return {"architecture": name, "refused": f"LayerNorms of different eps {sorted(eps)}"}
    return {
        "architecture": name,
        "heads": block.attn.num_heads,
        "layer_norm_eps": f"{eps.pop():.0e}",
        "act": ACTS[type(block.mlp.act).__name__],
        "pool": model.global_pool,
        "head": "" if model.num_classes else "none",
    }


def refusal(model):
    """Why a definition is not taken; "" where it is."""
    block = model.blocks[0]
    norms = {type(m).__name__ for m in model.modules() if "Norm" in type(m).__name__}
    kind = type(block).__name__
    if kind != "Block":
        return BLOCKS.get(kind, f"blocks of another kind ({kind})")
    attention, mlp, patches = (type(part).__name__ for part in (block.attn, block.mlp, model.patch_embed))
    checks = (
        (attention == "DiffAttention", "differential attention"),
        (attention != "Attention", f"another attention ({attention})"),
        (any("rms" in n.lower() for n in norms), "RMSNorm"),
        (norms != {"LayerNorm"}, f"another norm ({sorted(norms)})"),
        (mlp != "Mlp", "SwiGLU" if "GLU" in mlp.upper() else f"another MLP ({mlp})"),
        (patches != "PatchEmbed", f"patches of another kind ({patches}): a hybrid"),
        (not identity(getattr(block.attn, "q_norm", None)), "q and k are normalised (qk_norm)"),
        (not identity(getattr(block.attn, "norm", None)), "a LayerNorm inside its attention"),
        (not identity(getattr(block.mlp, "norm", None)), "a LayerNorm inside its MLP"),
        (model.global_pool == "map", "pools by attention"),
        (model.global_pool not in ("token", "avg", "map"), f"pools by {model.global_pool}"),
        (identity(model.norm) and identity(model.fc_norm), "no LayerNorm behind its blocks"),
        (not isinstance(model.head, nn.Linear | nn.Identity), "a head that is not one layer"),
    )
    return next((reason for wrong, reason in checks if wrong), "")


def identity(part):
    return part is None or isinstance(part, nn.Identity)


def outline(model):
    """Depth and shapes by name; of the blocks, which must be alike, the first."""
    shapes = {n: list(t.shape) for n, t in model.state_dict().items()}
    depth = len(model.blocks)
    kept = {n: s for n, s in shapes.items() if not re.match(r"blocks\.[1-9]", n)}
    alike = {n.replace("blocks.0.", f"blocks.{i}.", 1) for n in kept if n.startswith("blocks.0.") for i in range(depth)}
    if {n for n in shapes if n.startswith("blocks.")} != alike:
        raise ValueError("blocks differ")
    return {"depth": depth, "tensors": kept}
