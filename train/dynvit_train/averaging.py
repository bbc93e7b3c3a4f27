"""Exponential moving average of a model's weights."""

import copy

import torch


class Average:
    """ema += (1 - decay) · (model - ema) after each step, with a faster start: decay at most (1 + n) / (10 + n)."""

    def __init__(self, model, decay):
        self.model = copy.deepcopy(model).requires_grad_(False)
        self.decay, self.updates = decay, 0

    @torch.no_grad()
    def update(self, model):
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for own, new in zip(self.model.state_dict().values(), model.state_dict().values()):
            if own.dtype.is_floating_point:
                own.lerp_(new.to(own.dtype), 1 - decay)
            else:
                own.copy_(new)


def decay_for(setting, steps):
    """The decay of --ema; None: no averaging. 0.9999 over the paper's 37,500 steps is a window of about a quarter."""
    if setting == "auto":
        return 1 - 1 / max(2.0, 0.27 * steps)
    decay = float(setting)
    return decay if decay > 0 else None
