"""Multiply-accumulates of one picture: linear layers and the two products of attention, predictors included."""


def macs(shape, counts=None, predictors=True, inside=False):
    """counts: patches kept at each stage; None: the dense pass, which runs no predictor. inside: stages act behind
    their block's attention, ahead of its MLP."""
    patches, total = shape.patches, embedding(shape)
    stage, n = 0, shape.patches
    for i in range(shape.depth):
        if counts is not None and i in shape.prune_at:
            if predictors:
                total += n * predictor(shape.width)
            before, n = n, min(n, counts[stage])
            if inside:
                total += attention(shape, before + shape.prefix) - attention(shape, n + shape.prefix)
            stage += 1
        total += block(shape, n + shape.prefix)
    rows = 1 + (shape.distilled or shape.pool == "token+avg") + (patches if shape.aux_head else 0)
    return total + shape.width * shape.classes * rows


def embedding(shape):
    if not shape.stem:
        return shape.patches * shape.width * 3 * shape.patch_size**2
    half, c = (shape.image_size // 2) ** 2, shape.stem
    return half * c * (3 * 49 + 2 * 9 * c) + shape.patches * shape.width * c * (shape.patch_size // 2) ** 2


def block(shape, n):
    return attention(shape, n) + 2 * n * shape.width * shape.hidden


def attention(shape, n):
    return 4 * n * shape.width**2 + 2 * n * n * shape.width


def predictor(d):
    return d * d + d * (d // 2) + (d // 2) * (d // 4) + (d // 4) * 2
