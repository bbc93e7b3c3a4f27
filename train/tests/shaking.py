"""Weights for the models of golden files."""

import torch


def shake(model):
    """Weights spread as a trained model's, so that each part has a say; all are float16's."""
    for name, p in model.named_parameters():
        spread, centre = 0.3, 0.0
        if name.endswith("gamma") or "lambda" in name:
            spread, centre = 0.1, 0.5
        elif p.dim() == 2:
            spread = p.shape[1] ** -0.5
        elif p.dim() == 1 and name.endswith("weight"):
            centre = 1.0
        p.data = (torch.randn_like(p) * spread + centre).half().float()
