"""Writes the graphs that the peers run: DeiT with DynamicViT's predictors, batch 1, opset 17, random weights (times only).

    python export.py DIR [deit_tiny deit_small ...]    writes DIR/deit_tiny_1.onnx, _0.7.onnx and _0.5.onnx
"""

import sys
from pathlib import Path

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import nn

SIZES = {"deit_tiny": (192, 3), "deit_small": (384, 6), "deit_base": (768, 12)}
KEEPS = (1, 0.7, 0.5)
PRUNE_AT = (3, 6, 9)


class Predictor(nn.Module):
    """DynamicViT's score predictor; what comes out is the log-probability of keeping a patch."""

    def __init__(self, d):
        super().__init__()
        self.in_conv = nn.Sequential(nn.LayerNorm(d), nn.Linear(d, d), nn.GELU())
        self.out_conv = nn.Sequential(
            nn.Linear(d, d // 2), nn.GELU(), nn.Linear(d // 2, d // 4), nn.GELU(), nn.Linear(d // 4, 2), nn.LogSoftmax(-1)
        )

    def forward(self, x):
        x = self.in_conv(x)
        half = x.shape[-1] // 2
        everywhere = x[:, :, half:].mean(1, keepdim=True).expand(-1, x.shape[1], -1)
        return self.out_conv(torch.cat([x[:, :, :half], everywhere], -1))[:, :, 0]


class Pruned(nn.Module):
    def __init__(self, vit, keep):
        super().__init__()
        self.vit, self.keep = vit, keep
        self.predictors = nn.ModuleList(Predictor(vit.embed_dim) for _ in PRUNE_AT)

    def forward(self, pixels):
        vit = self.vit
        x = vit._pos_embed(vit.patch_embed(pixels))
        patches = x.shape[1] - 1
        for i, block in enumerate(vit.blocks):
            if self.keep < 1 and i in PRUNE_AT:
                stage = PRUNE_AT.index(i)
                x = self.drop(x, stage, int(patches * self.keep ** (stage + 1)))
            x = block(x)
        return vit.head(vit.norm(x)[:, 0])

    def drop(self, x, stage, keep):
        rows = self.predictors[stage](x[:, 1:]).topk(keep, dim=1).indices + 1
        rows = torch.cat([torch.zeros_like(rows[:, :1]), rows], 1)
        return x.gather(1, rows[..., None].expand(-1, -1, x.shape[-1]))


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[2:] or ["deit_tiny", "deit_small"]:
        width, heads = SIZES[name]
        for keep in KEEPS:
            torch.manual_seed(0)
            vit = VisionTransformer(patch_size=16, embed_dim=width, depth=12, num_heads=heads, num_classes=1000)
            for block in vit.blocks:
                block.attn.fused_attn = False  # the exporter knows the plain products, which the peers fuse themselves
            file = folder / f"{name}_{keep}.onnx"
            pixels = torch.randn(1, 3, 224, 224)
            torch.onnx.export(
                Pruned(vit, keep).eval(), pixels, file, dynamo=False, opset_version=17, input_names=["x"], output_names=["y"]
            )
            print(file, flush=True)


if __name__ == "__main__":
    main()
