"""Which patches stay: exact counts, agreement of masking with dropping, gradients."""

import pytest
import torch
from conftest import SMALL

from dynvit_train.deciding import Gumbel, NoisyTopK, gumbel_noise, logistic_noise
from dynvit_train.losses import dynamic_loss, regression_loss
from dynvit_train.model import DynamicViT, Shape, keep_counts
from dynvit_train.reducing import ByAttention, ByCLSAttention, ByPredictor, Pooling, keep_best

NO_NOISE = lambda stage, like: torch.zeros_like(like)  # noqa: E731


def test_counts_are_python_doubles():
    assert keep_counts(0.7, 196, 3) == [137, 96, 67]
    assert keep_counts(0.5, 196, 3) == [98, 49, 24]
    assert keep_counts(0.7, 100, 2) == [70, 48]
    assert keep_counts(0.01, 16, 3) == [1, 1, 1]


def test_noisy_top_k_keeps_the_counts_and_nests(small):
    x, g = torch.randn(3, 3, 32, 32), torch.Generator().manual_seed(1)
    for ratio in (1.0, 0.8, 0.4):
        counts = keep_counts(ratio, 16, 3)
        out = small.masked(x, NoisyTopK(counts, lambda stage, like: logistic_noise(g, like.shape)))
        before = torch.ones_like(out.decisions[0])
        for decision, count in zip(out.decisions, counts):
            assert torch.equal(decision.round().sum((1, 2)), torch.full((3,), float(count)))
            assert ((before.round() - decision.round()) >= 0).all()
            before = decision


@pytest.mark.parametrize("stem", [0, 8])
def test_masking_equals_dropping(stem):
    """The training pass without noise answers as inference that drops the same patches."""
    torch.manual_seed(2)
    shape = Shape(16, 4, 2, 32, 3, 32, 8, (1, 2, 3), stem, 2.0 if stem else 1.0, 1e-5, not stem, aux_head=False)
    model = DynamicViT(shape).eval()
    for predictor in model.score_predictor:
        torch.nn.init.normal_(predictor.out_conv[-1].weight, std=3)
    x, counts = torch.randn(2, 3, 32, 32), [11, 7, 5]
    masked = model.masked(x, NoisyTopK(counts, NO_NOISE))
    dropped = model.pruned(x, counts, ByPredictor())
    for decision, kept in zip(masked.decisions, dropped.kept):
        assert torch.equal(decision[..., 0].round().nonzero()[:, 1].view(2, -1), kept)
    torch.testing.assert_close(masked.logits, dropped.logits, rtol=1e-4, atol=1e-5)


def test_gradients_reach_every_predictor(small):
    x, g = torch.randn(4, 3, 32, 32), torch.Generator().manual_seed(1)
    ways = {
        "gumbel": lambda: small.masked(x, Gumbel(lambda stage, like: gumbel_noise(g, like.shape))),
        "top-k": lambda: small.masked(x, NoisyTopK([11, 7, 5], lambda stage, like: logistic_noise(g, like.shape))),
    }
    labels = torch.eye(3)[[0, 1, 2, 0]]
    for name, way in ways.items():
        small.zero_grad()
        dynamic_loss(way(), labels, None).total.backward()
        for i, predictor in enumerate(small.score_predictor):
            assert predictor.out_conv[-1].weight.grad.abs().max() > 0, (name, i)


def test_a_useful_patch_gains_score():
    """Straight-through gradients push the scores of patches whose loss says they help."""
    logits = torch.zeros(1, 6, requires_grad=True)
    use = torch.tensor([0.0, 0.0, 0.0, 1.0, 1.0, 1.0])
    optimiser = torch.optim.SGD([logits], lr=0.5)
    g = torch.Generator().manual_seed(0)
    for _ in range(60):
        logprobs = torch.stack([logits, torch.zeros_like(logits)], -1).log_softmax(-1)
        decision = NoisyTopK([3], lambda stage, like: logistic_noise(g, like.shape))(0, logprobs, torch.ones(1, 6, 1))
        optimiser.zero_grad()
        (-(decision[..., 0] * use).sum()).backward()
        optimiser.step()
    assert logits[0, 3:].min() > logits[0, :3].max()


def test_regression_moves_towards_attention(small):
    x = torch.randn(8, 3, 32, 32)
    for target in ("attention", "cls-attention", "projection"):
        optimiser = torch.optim.Adam(small.score_predictor.parameters(), lr=3e-3)
        first = None
        for _ in range(30):
            loss = regression_loss(small, x, [11, 7, 5], target)
            first = first or loss.item()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        assert loss.item() < first, target
    assert all(p.grad is None for _, p in small.backbone_parameters())


def test_ties_go_to_the_lower_row():
    x = torch.arange(5.0).view(1, 5, 1)
    ids = torch.arange(4)[None]
    kept, left = keep_best(x, ids, 2, torch.tensor([[1.0, 2.0, 2.0, 2.0]]))
    assert left.tolist() == [[1, 2]] and kept[0, :, 0].tolist() == [0, 2, 3]


def test_rules_that_need_no_training(small):
    x = torch.randn(2, 3, 32, 32)
    small.eval()
    for rule in (ByAttention(), ByCLSAttention()):
        out = small.pruned(x, [11, 7, 5], rule)
        assert [k.shape[1] for k in out.kept] == [11, 7, 5]
    assert [k.shape[1] for k in small.pruned(x, [11, 7, 4], Pooling()).kept] == [9, 4, 4]
    dense = small(x).logits
    torch.testing.assert_close(small.pruned(x, [SMALL.patches] * 3, ByAttention()).logits, dense)
