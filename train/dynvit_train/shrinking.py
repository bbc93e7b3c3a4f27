"""A smaller start from a larger model: blocks and hidden units that pictures need least are left out.

What is left is trained by fit with the large model as its teacher. Depth is taken away block by block, the one whose
loss moves the answers and the final features least; hidden units by the size of what they add; what the lost units
add on average goes into the bias.
"""

from dataclasses import replace

import torch
from torch.nn import functional as F

from .errors import UserError
from .export import check_size, convert, encode, metadata
from .losses import logit_kl
from .model import DynamicViT
from .pictures import Plain, plain_batches, scan, spread
from .runs import write_atomic
from .weights import load_model


def shrink(source, out, data, depth, hidden, teacher_classes, labels, images=128):
    """Writes out: source with depth blocks of hidden units and a head of the classes of data's folders."""
    check_size(out)
    model, facts, _ = load_model(source)
    folder = scan(data, need_labels=True)
    model, facts = with_head(model.eval(), facts, folder, teacher_classes, labels)
    if not 1 <= depth <= model.shape.depth or not 1 <= hidden <= model.shape.hidden:
        raise UserError(f"shrink: want 1 to {model.shape.depth} blocks of 1 to {model.shape.hidden} hidden units")
    x = sample(folder, facts, model.shape.image_size, images)
    model = fewer_blocks(model, x, depth)
    model = fewer_units(model, x, hidden)
    how = f"blocks and hidden units of {source.rsplit('/', 1)[-1]} that {len(x)} pictures need least left out"
    meta = metadata(model.shape, facts, predictors=False) | {"training": how}
    tensors = {n: t for n, t in model.state_dict().items() if not n.startswith("score_predictor.")}
    write_atomic(out, encode(convert(tensors, "f32"), meta))
    return model


def with_head(model, facts, folder, teacher_classes, labels):
    """The model with a head of the folder's classes, whose rows are the large model's."""
    from .pictures import read_labels

    names = list(read_labels(teacher_classes)) if teacher_classes else list(facts.synsets)
    missing = [c for c in folder.classes if c not in names]
    if missing or len(names) != model.shape.classes:
        raise UserError(f"shrink: class {(missing or ['?'])[0]} is not among the {len(names)} names of the model's")
    rows = torch.tensor([names.index(c) for c in folder.classes])
    heads = [n for n in model.state_dict() if n.startswith(("head.", "head_dist."))]
    small = rebuilt(model, model.state_dict() | {n: model.state_dict()[n][rows] for n in heads},
                    classes=len(rows))  # fmt: skip
    table = read_labels(labels) if labels else {}
    classes = tuple(table.get(c, c) for c in folder.classes)
    return small, replace(facts, architecture="vit", classes=classes, synsets=folder.classes)


def rebuilt(model, tensors, **more):
    shape = replace(model.shape, **more)
    depth = shape.depth
    shape = replace(shape, prune_at=(depth // 4, depth // 2, 3 * depth // 4) if depth >= 4 else ())
    small = DynamicViT(shape)
    tensors = {n: t for n, t in tensors.items() if not n.startswith("score_predictor.")}
    small.load_state_dict(small.state_dict() | tensors)
    return small.eval()


def sample(folder, facts, size, images):
    few = spread(folder, images)
    batches = [x for x, _, _ in plain_batches(Plain(few, facts, size), 32) if x is not None]
    return torch.cat(batches)


@torch.no_grad()
def fewer_blocks(model, x, depth):
    want, left = model(x), list(range(model.shape.depth))
    while len(left) > depth:
        harm = {i: distance(without(model, x, [j for j in left if j != i]), want) for i in left}
        least = min(harm, key=harm.get)
        print(f"block {least} left out: distance {harm[least]:.4f}")
        left.remove(least)
    tensors = {}
    for name, t in model.state_dict().items():
        part = name.split(".")
        if part[0] != "blocks":
            tensors[name] = t
        elif int(part[1]) in left:
            tensors[".".join(["blocks", str(left.index(int(part[1]))), *part[2:]])] = t
    return rebuilt(model, tensors, depth=depth)


def without(model, x, blocks):
    x = model.embed(x)
    for i in blocks:
        x = model.blocks[i](x)
    return model.classify(x)


def distance(got, want):
    """KL of the answers plus the relative squared error of the final features."""
    error = F.mse_loss(got.tokens, want.tokens) / want.tokens.var()
    return (logit_kl(got.logits, want.logits) + error).item()


@torch.no_grad()
def fewer_units(model, x, hidden):
    tensors, y = dict(model.state_dict()), model.embed(x)
    for i, block in enumerate(model.blocks):
        after = y + block.ls1(block.attn(block.norm1(y)))
        act = block.mlp.act(block.mlp.fc1(block.norm2(after)))
        y = after + block.ls2(block.mlp.fc2(act))
        size = act.flatten(0, 1).std(0) * block.mlp.fc2.weight.norm(dim=0)
        stay = size.topk(hidden).indices.sort().values
        mean = act.mean((0, 1))
        mean[stay] = 0
        name = f"blocks.{i}.mlp."
        tensors[name + "fc2.bias"] = block.mlp.fc2.bias + block.mlp.fc2.weight @ mean
        tensors[name + "fc2.weight"] = block.mlp.fc2.weight[:, stay]
        tensors[name + "fc1.weight"] = block.mlp.fc1.weight[stay]
        tensors[name + "fc1.bias"] = block.mlp.fc1.bias[stay]
    return rebuilt(model, tensors, hidden=hidden)
