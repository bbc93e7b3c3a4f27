"""The network: a plain vision transformer (DeiT, DeiT-III, timm's, CLIP's tower, DINOv2) or LV-ViT, with DynamicViT's
predictors.

Tensor names are timm's. Letters: B pictures, N patches of the input, P tokens ahead of them (CLS, a distillation token,
registers), n tokens alive (those included), D width, C classes.
The numbers are those of Rao et al., NeurIPS 2021 (raoyongming/DynamicViT), checked against golden files in tests.
"""

from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn import functional as F

PREDICTOR_EPS = 1e-5  # PyTorch's default, which the reference leaves in the predictor
MASK_EPS = 1e-6  # of the masked softmax, as in the reference


# Parameters that are neither matrices nor vectors of a layer.
TOKENS = ("cls_token", "dist_token", "reg_token", "pos_embed")


@dataclass(frozen=True)
class Shape:
    """The sizes of a model; immutable."""

    width: int
    depth: int
    heads: int
    hidden: int  # of the MLP
    classes: int
    image_size: int = 224  # pixels a side
    patch_size: int = 16  # pixels a side
    prune_at: tuple = (3, 6, 9)  # blocks, from 0, in front of which predictors drop patches
    stem: int = 0  # channels of LV-ViT's convolutional stem; 0: patches are embedded directly
    skip_lam: float = 1.0  # residual branches are divided by it (LV-ViT: 2)
    eps: float = 1e-6  # of the backbone's LayerNorms (LV-ViT: 1e-5)
    qkv_bias: bool = True
    aux_head: bool = False  # logits = head(cls) + 0.5 · max over patches of aux_head (LV-ViT)
    cls: bool = True  # there is a CLS token
    distilled: bool = False  # a distillation token behind it, with a head of its own: logits are the mean (DeiT)
    registers: int = 0  # tokens behind those that belong to no patch
    placed: int = 1  # how many of the tokens ahead of the patches have a position: none, one (CLS) or all
    pre_norm: bool = False  # a LayerNorm ahead of the blocks (CLIP)
    patch_bias: bool = True
    layer_scale: bool = False  # residual branches are scaled by ls1.gamma, ls2.gamma
    last_norm: str = "norm"  # or fc_norm, of what the head reads instead of each token, or "": none
    act: str = "gelu"  # of the MLP; or quick_gelu, gelu_tanh
    pool: str = "token"  # what the head reads; or avg (the patches that are left), token+avg (both)

    @property
    def prefix(self):
        """P, the tokens ahead of the patches, which are never scored and never dropped."""
        return self.cls + self.distilled + self.registers

    @property
    def grid(self):
        return self.image_size // self.patch_size

    @property
    def patches(self):
        return self.grid**2

    def check(self):
        """Raises ValueError for the first size that makes no sense."""
        if self.image_size % self.patch_size:
            raise ValueError(f"image size {self.image_size} is not a multiple of patch size {self.patch_size}")
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of {self.heads} heads")
        if self.prune_at and self.width % 4:
            raise ValueError(f"width {self.width}: predictors need a multiple of 4")
        ascending = all(a < b for a, b in zip(self.prune_at, self.prune_at[1:]))
        if not ascending or any(not 0 <= i < self.depth for i in self.prune_at):
            raise ValueError(f"prune_at {list(self.prune_at)}: want ascending blocks from 0 to {self.depth - 1}")


# What the MLP applies between its layers.
ACTS = {
    "gelu": F.gelu,
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
}


@dataclass
class Output:
    """What a forward pass gives."""

    logits: torch.Tensor  # [B, C], what the model answers; of a backbone without a head the features [B, D]
    cls_logits: torch.Tensor  # [B, C], head(cls): the same but for LV-ViT
    tokens: torch.Tensor  # [B, n-P, D] patch tokens after the final norm; LV-ViT: their logits [B, n-P, C]
    decisions: list = field(default_factory=list)  # masked pass: [B, N, 1] of 0 and 1 after each stage
    kept: list = field(default_factory=list)  # pruned pass: [B, n-P] ids of the patches alive after each stage


class Attention(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.heads = shape.heads
        self.qkv = nn.Linear(shape.width, 3 * shape.width, bias=shape.qkv_bias)
        self.proj = nn.Linear(shape.width, shape.width)

    def split(self, x):
        """q, k, v, each [B, heads, n, D/heads]."""
        b, n, d = x.shape
        return self.qkv(x).reshape(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)

    def merge(self, y):
        return self.proj(y.transpose(1, 2).flatten(2))

    def weights(self, q, k, size=None):
        """Attention of each query to each key, [B, heads, n, n]; key j counts as size_j of it, size [B, n, 1]."""
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
        if size is not None:
            scores = scores + size.log().transpose(1, 2)[:, None]
        return scores.softmax(-1)

    def forward(self, x, policy=None):
        q, k, v = self.split(x)
        if policy is None:
            return self.merge(F.scaled_dot_product_attention(q, k, v))
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
        return self.merge(masked_softmax(scores, policy) @ v)


def masked_softmax(scores, policy):
    """Softmax over keys in which key j counts policy_j, but at least 1 for its own query; sums in float32.

    scores [B, heads, n, n], policy [B, n, 1] of 0 to 1, or a size above that, differentiable in both.
    """
    n = scores.shape[-1]
    keys = policy.float().reshape(-1, 1, 1, n)
    own = torch.eye(n, device=scores.device)
    allowed = keys + torch.where(keys > 1.5, 0, 1 - keys) * own  # a decision of 1 may be a rounding above it
    e = (scores - scores.amax(-1, keepdim=True)).float().exp() * allowed
    return ((e + MASK_EPS / n) / (e.sum(-1, keepdim=True) + MASK_EPS)).type_as(scores)


class MLP(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.act = ACTS[shape.act]
        self.fc1 = nn.Linear(shape.width, shape.hidden)
        self.fc2 = nn.Linear(shape.hidden, shape.width)

    def forward(self, x):
        return self.fc2(self.act(self.fc1(x)))


class LayerScale(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return x * self.gamma


class Block(nn.Module):
    def __init__(self, shape, drop_path=0.0):
        super().__init__()
        self.skip_lam = shape.skip_lam
        self.drop_path = drop_path
        self.norm1 = nn.LayerNorm(shape.width, eps=shape.eps)
        self.attn = Attention(shape)
        self.norm2 = nn.LayerNorm(shape.width, eps=shape.eps)
        self.mlp = MLP(shape)
        self.ls1 = LayerScale(shape.width) if shape.layer_scale else nn.Identity()
        self.ls2 = LayerScale(shape.width) if shape.layer_scale else nn.Identity()

    def add(self, x, branch):
        """x + branch, the branch left out for whole pictures at rate drop_path while training."""
        if self.training and self.drop_path > 0:
            keep = 1 - self.drop_path
            branch = branch * (torch.rand(len(x), 1, 1, device=x.device) < keep) / keep
        return x + branch / self.skip_lam

    def forward(self, x, policy=None):
        x = self.add(x, self.ls1(self.attn(self.norm1(x), policy)))
        return self.add(x, self.ls2(self.mlp(self.norm2(x))))

    def forward_scored(self, x, reduce, size=None):
        """The block for rules that read its own attention: reduce acts after its residual, before its MLP."""
        q, k, v = self.attn.split(self.norm1(x))
        weights = self.attn.weights(q, k, size)
        x = self.add(x, self.ls1(self.attn.merge(weights @ v)))
        x = reduce(x, weights, k, v)
        return self.add(x, self.ls2(self.mlp(self.norm2(x))))


class PatchEmbed(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.proj = nn.Conv2d(3, shape.width, shape.patch_size, shape.patch_size, bias=shape.patch_bias)

    def forward(self, x):
        return self.proj(x).flatten(2).transpose(1, 2)


class ConvStem(nn.Module):
    """LV-ViT's stem 4_2: 7×7 stride 2, 3×3, 3×3, each with BatchNorm and ReLU, then half-size patches."""

    def __init__(self, shape):
        super().__init__()
        c, half = shape.stem, shape.patch_size // 2
        self.conv1 = nn.Conv2d(3, c, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(c)
        self.conv2 = nn.Conv2d(c, c, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(c)
        self.conv3 = nn.Conv2d(c, c, 3, 1, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(c)
        self.proj = nn.Conv2d(c, shape.width, half, half)

    def forward(self, x):
        for conv, norm in ((self.conv1, self.bn1), (self.conv2, self.bn2), (self.conv3, self.bn3)):
            x = F.relu(norm(conv(x)))
        return self.proj(x).flatten(2).transpose(1, 2)


class Predictor(nn.Module):
    """Scores patches from their own features and the mean over those alive."""

    def __init__(self, width):
        super().__init__()
        self.in_conv = nn.Sequential(nn.LayerNorm(width, eps=PREDICTOR_EPS), nn.Linear(width, width), nn.GELU())
        self.out_conv = nn.Sequential(
            nn.Linear(width, width // 2),
            nn.GELU(),
            nn.Linear(width // 2, width // 4),
            nn.GELU(),
            nn.Linear(width // 4, 2),
        )

    def forward(self, x, alive, ids=None):
        """x [B, n, D] patch tokens, alive [B, n, 1] of 0 and 1 -> log-probabilities [B, n, 2], column 0 = keep."""
        local, spread = self.in_conv(x).chunk(2, -1)
        # The clamp speaks only where Gumbel noise dropped every patch of a picture, which gave 0/0.
        mean = (spread * alive).sum(1, keepdim=True) / alive.sum(1, keepdim=True).clamp(min=0.5)
        return self.out_conv(torch.cat([local, mean.expand_as(spread)], -1)).float().log_softmax(-1)


class StaticPredictor(nn.Module):
    """One learned score for each position of the grid, the same for every picture: the ablation's static mask."""

    def __init__(self, patches):
        super().__init__()
        self.score = nn.Parameter(torch.zeros(patches))

    def forward(self, x, alive, ids=None):
        """As Predictor; ids [B, n] are the positions of the rows, None: all of them in order."""
        score = self.score.expand(len(x), -1) if ids is None else self.score[ids]
        return torch.stack([score, torch.zeros_like(score)], -1).log_softmax(-1)


class DynamicViT(nn.Module):
    """The model. forward is the dense pass; masked trains, pruned infers. Not safe for concurrent training."""

    def __init__(self, shape, drop_path=0.0):
        super().__init__()
        shape.check()
        self.shape = shape
        self.patch_embed = ConvStem(shape) if shape.stem else PatchEmbed(shape)
        for name, count in self.ahead():
            self.register_parameter(name, nn.Parameter(torch.zeros(1, count, shape.width)))
        self.pos_embed = nn.Parameter(torch.zeros(1, shape.patches + shape.placed, shape.width))
        self.norm_pre = nn.LayerNorm(shape.width, eps=shape.eps) if shape.pre_norm else nn.Identity()
        rates = torch.linspace(0, drop_path, shape.depth).tolist()
        self.blocks = nn.ModuleList(Block(shape, r) for r in rates)
        if shape.last_norm:
            self.add_module(shape.last_norm, nn.LayerNorm(shape.width, eps=shape.eps))
        if shape.classes:
            self.head = nn.Linear(shape.width * (1 + (shape.pool == "token+avg")), shape.classes)
            if shape.distilled:
                self.head_dist = nn.Linear(shape.width, shape.classes)
        if shape.aux_head:
            self.aux_head = nn.Linear(shape.width, shape.classes)
        self.score_predictor = nn.ModuleList(Predictor(shape.width) for _ in shape.prune_at)
        self.apply(initialise)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        for name, _ in self.ahead():
            nn.init.trunc_normal_(getattr(self, name), std=0.02)

    def ahead(self):
        """(name, count) of the tokens ahead of the patches, in order."""
        shape = self.shape
        counts = (("cls_token", int(shape.cls)), ("dist_token", int(shape.distilled)), ("reg_token", shape.registers))
        return [(name, count) for name, count in counts if count]

    def backbone_parameters(self):
        """(name, parameter) of all but the predictors."""
        return [(n, p) for n, p in self.named_parameters() if not n.startswith("score_predictor.")]

    def embed(self, x):
        """Normalised pictures [B, 3, S, S] -> tokens [B, P+N, D]."""
        x, placed = self.patch_embed(x), self.shape.placed
        tokens = [getattr(self, name).expand(len(x), -1, -1).to(x.dtype) for name, _ in self.ahead()]
        if tokens:
            ahead = torch.cat(tokens, 1)
            ahead = torch.cat([ahead[:, :placed] + self.pos_embed[:, :placed], ahead[:, placed:]], 1)
            return self.norm_pre(torch.cat([ahead, x + self.pos_embed[:, placed:]], 1))
        return self.norm_pre(x + self.pos_embed)

    def classify(self, x, alive=None):
        """The answer read off the tokens that are left; alive [B, n-P, 1], where given, weighs a mean of patches."""
        shape = self.shape
        each = self.norm if shape.last_norm == "norm" else nn.Identity()
        pooled = self.fc_norm if shape.last_norm == "fc_norm" else nn.Identity()
        x = each(x)
        patches = x[:, shape.prefix :]
        if shape.distilled:
            logits = self.answer(x[:, 0], x[:, 1])
        elif shape.pool == "token":
            logits = self.answer(pooled(x[:, 0]))
        elif shape.pool == "avg":
            logits = self.answer(pooled(mean(patches, alive)))
        else:
            logits = self.answer(torch.cat([x[:, 0], mean(patches, alive)], -1))
        if not shape.aux_head:
            return Output(logits, logits, patches)
        aux = self.aux_head(patches)
        return Output(logits + 0.5 * aux.amax(1), logits, aux)

    def answer(self, row, distilled=None):
        """Logits of what the head reads; of a backbone the row itself."""
        if distilled is None:
            return self.head(row) if self.shape.classes else row
        if not self.shape.classes:
            return (row + distilled) / 2
        return (self.head(row) + self.head_dist(distilled)) / 2

    def forward(self, x):
        x = self.embed(x)
        for block in self.blocks:
            x = block(x)
        return self.classify(x)

    def masked(self, x, decide):
        """The training pass: every token stays, the dropped ones are masked out of attention.

        decide(stage, logprobs [B, N, 2], previous [B, N, 1]) returns the decision [B, N, 1].
        """
        x = self.embed(x)
        prefix = self.shape.prefix
        alive = torch.ones(len(x), self.shape.patches, 1, device=x.device)
        policy, decisions = torch.ones(len(x), x.shape[1], 1, device=x.device), []
        ahead = policy[:, :prefix]
        for i, block in enumerate(self.blocks):
            if i in self.shape.prune_at:
                stage = len(decisions)
                alive = decide(stage, self.score_predictor[stage](x[:, prefix:], alive), alive)
                decisions.append(alive)
                policy = torch.cat([ahead, alive], 1)
            x = block(x, policy)
        out = self.classify(x, alive)
        out.decisions = decisions
        return out

    def pruned(self, x, counts, reduce, probe=None):
        """The inference pass: stage k keeps counts[k] patches as reduce (see reducing) chooses.

        probe(name, tensor), if given, sees embed, block.NN and score.k as golden files name them.
        """
        x, kept = self.pruned_ahead_of(self.shape.depth, x, counts, reduce, probe)
        out = self.classify(x)
        out.kept = kept
        return out

    def pruned_ahead_of(self, end, x, counts, reduce, probe=None):
        """The inference pass up to block end: the tokens ahead of it, and the ids of the patches left by each stage."""
        x = self.embed(x)
        ids = torch.arange(self.shape.patches, device=x.device).expand(len(x), -1)
        probe = probe or (lambda name, tensor: None)
        probe("embed", x)
        kept = []
        for i, block in enumerate(self.blocks[:end]):
            stage = len(kept) if i in self.shape.prune_at else -1
            x, ids = self.step(block, x, ids, stage, counts, reduce, probe)
            if stage >= 0:
                kept.append(ids)
            probe(f"block.{i:02d}", x)
        return x, kept

    def step(self, block, x, ids, stage, counts, reduce, probe):
        """One block of the pruned pass, with the drop of its stage (-1: none)."""
        if stage < 0 or counts[stage] >= ids.shape[1]:
            return block(x), ids
        if not reduce.inside:
            x, ids = reduce(self, stage, x, ids, counts[stage], probe)
            return block(x), ids

        def drop(x, weights, k, v):
            nonlocal ids
            x, ids = reduce.scored(x, ids, counts[stage], weights, v, block)
            return x

        return block.forward_scored(x, drop), ids


def mean(patches, alive):
    """Mean over the patches [B, n, D], weighed by alive [B, n, 1] if that is given."""
    if alive is None:
        return patches.mean(1)
    return (patches * alive).sum(1) / alive.sum(1).clamp(min=0.5)


def initialise(module):
    """DeiT's: weights of Linear layers normal (0.02, cut), biases 0."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def keep_counts(ratio, patches, stages):
    """Patches kept at each stage: int(N · ratio^k) in doubles, k from 1, at least one."""
    return [max(1, int(patches * ratio ** (k + 1))) for k in range(stages)]
